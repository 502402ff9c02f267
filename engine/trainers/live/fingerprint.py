"""What the bits of a live run depend on beside its run key, and the switches that make them depend on nothing else."""

from __future__ import annotations

import platform

import torch

from domain.header import Fingerprint


def fingerprint(threads: int) -> Fingerprint:
    """This process's fingerprint with ``threads`` torch threads. Two runs with equal ones must agree bit for bit."""
    return Fingerprint(
        torch=str(torch.__version__),
        python=platform.python_version(),
        cpu_capability=torch.backends.cpu.get_cpu_capability(),
        machine=platform.machine(),
        threads=threads,
        device="cpu",
    )


def settle(threads: int) -> None:
    """Fix the thread count and refuse kernels whose results vary. One and two threads give different bits.

    Torch would also fill every fresh buffer with NaN in this mode; we read none that we have not written.
    """
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(mode=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
