"""Speed, as ratios measured in one run: ``python tests/benchmarks/run.py [name...]``. Judges nothing: exit code 0."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from measuring import say

BENCHMARKS = (
    "recording",
    "dormant",
    "boundary",
    "deciding",
    "storing",
    "starting",
    "showing",
    "projecting",
    "simulating",
    "forking",
    "sweeping",
    "covering",
    "attributing",
    "messaging",
    "certifying",
)


def main() -> None:
    """Run the benchmarks that are named, or all."""
    chosen = sys.argv[1:] or BENCHMARKS
    unknown = [name for name in chosen if name not in BENCHMARKS]
    if unknown:
        sys.stderr.write(f"there is no benchmark {unknown[0]!r}; there are {', '.join(BENCHMARKS)}\n")
        raise SystemExit(2)
    sys.path.append(str(Path(__file__).parents[2]))  # some share what the tests are made with
    for name in chosen:
        importlib.import_module(name).main()
        say()


if __name__ == "__main__":
    main()
