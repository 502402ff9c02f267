"""Other processes that write into a journal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def writer(url: str, run_id: str) -> subprocess.Popen[str]:
    """A process that appends epochs to a run until it is killed, with a line after each."""
    script = ROOT / "tests" / "support" / "small_runs.py"
    python_path = os.pathsep.join([*os.environ.get("PYTHONPATH", "").split(os.pathsep), str(ROOT)])
    return subprocess.Popen(
        [sys.executable, str(script), url, run_id],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": python_path},
        cwd=ROOT,
    )
