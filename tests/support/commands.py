"""The command as a person would call it: a process of its own, in a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

from scenarios.cli import main

ROOT = Path(__file__).parents[2]
SMALL = ("--epochs", "40", "--set", "tamiyo_config.plateau_patience=4")
"""Options under which a run grows once and is over in a second or two."""


@dataclass(frozen=True)
class Answer:
    """What a process said and how it ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on standard output; anything beside it fails."""
        assert "Traceback" not in self.err, self.err
        return json.loads(self.out)

    @property
    def complaint(self) -> str:
        """The one line on standard error."""
        assert self.err.startswith("regrow: "), self.err
        assert self.err.count("\n") == 1 and self.err.endswith("\n"), f"not one line: {self.err}"
        return self.err.removeprefix("regrow: ").rstrip("\n")


@dataclass(frozen=True)
class Shell:
    """A folder to call ``regrow`` in, with a journal in it."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def journal(self) -> Path:
        """The journal's file."""
        return self.folder / "journal.db"

    def variables(self) -> dict[str, str]:
        """What the process sees: the outer environment, this journal, and what the test asked for."""
        return {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "REGROW_JOURNAL": f"sqlite:///{self.journal}",
            "COLUMNS": "200",
            **self.environment,
        }

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Begin a command, both outputs piped."""
        self.folder.mkdir(parents=True, exist_ok=True)
        piped = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        return subprocess.Popen(
            [sys.executable, "-m", "scenarios.cli", *arguments],
            cwd=self.folder,
            env=self.variables(),
            text=True,
            encoding="utf-8",
            **piped,
        )

    def regrow(self, *arguments: str, before: Callable[[], None] | None = None) -> Answer:
        """Run a command to its end; ``before`` is called in the new process first."""
        process = self.start(*arguments, preexec_fn=before)
        return ended(process)

    def inside(self, *arguments: str) -> Answer:
        """The same command in this process: loading torch anew takes longer than most of them do."""
        out, err = StringIO(), StringIO()
        code: Any = 0
        with (
            chdir(self.folder),
            patch.dict(os.environ, self.variables()),
            patch.object(sys, "argv", ["regrow", *arguments]),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            try:
                main()
            except SystemExit as ending:
                code = ending.code
        return Answer(int(code or 0), out.getvalue(), err.getvalue())

    def ask(self, *arguments: str) -> Any:
        """Run a command that must succeed, with ``--json``; its document."""
        answer = self.regrow(*arguments, "--json")
        assert answer.code == 0, answer.err
        return answer.document


def ended(process: subprocess.Popen[str]) -> Answer:
    """Wait for a command and gather what it said."""
    out, err = process.communicate()
    return Answer(process.returncode, out or "", err or "")
