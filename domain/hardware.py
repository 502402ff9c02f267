"""The machine a host is meant to run on, as the scenario declares it (never as this machine measures itself)."""

from __future__ import annotations

from typing import Literal, final

from pydantic import Field

from domain.values import Value

DeviceType = Literal["CPU", "GPU", "TPU", "NEUROMORPHIC"]


@final
class HardwareContext(Value):
    """Limits that the shield holds a blueprint against. Declared, so that two machines decide alike."""

    device_type: DeviceType = "CPU"
    memory_available_gb: float = Field(default=4.0, gt=0)
    """GB."""
    compute_capacity_tflops: float = Field(default=0.05, ge=0)
    """10^12 floating-point operations a second; 0 means unknown, and then no latency is estimated."""
    supports_quantization: bool = False
    latency_budget_ms: float = Field(default=10.0, gt=0)
    """What one forward pass of a blueprint on one sample may take."""

    def latency_ms(self, flops: int) -> float:
        """Estimated time of ``flops`` operations in ms. An estimate on purpose: a measured time would not replay."""
        if self.compute_capacity_tflops == 0:
            return 0.0
        return flops / (self.compute_capacity_tflops * 1e12) * 1e3
