"""What every command shares: the app, its options, its answer and its exit code.

Exit codes: 0 done, 2 usage, 3 the run ended badly, 4 a replay diverged, 5 the journal is damaged.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer

from engine.journal.errors import BlobDamaged, BlobMissing, JournalDamaged, JournalError, StorageFailed
from engine.replay import Diverged
from engine.trainers.trainer import CheckpointDamaged, CheckpointMissing
from scenarios.display.queries import plain
from scenarios.specification import BadInput, NoAnswer

USAGE: Final = 2
ENDED_BADLY: Final = 3
DIVERGED: Final = 4
DAMAGED: Final = 5

app: Final = typer.Typer(
    name="regrow",
    help="Record, replay and re-imagine the growth of neural networks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Journal = Annotated[str, typer.Option("--journal", help="Where runs are kept.", envvar="REGROW_JOURNAL")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Run = Annotated[str, typer.Argument(help="A run's id; `regrow runs` lists them.")]
Tamiyo = Annotated[str | None, typer.Option(help="Built-in name, module:Class or path/file.py:Class.")]
Karn = Annotated[str | None, typer.Option(help="As --tamiyo.")]
Dynamics = Annotated[Path | None, typer.Option(help="For --trainer simulated: a file of `regrow fit`.")]
Settings = Annotated[list[str] | None, typer.Option("--set", help="section.key=value, repeatable.")]


def answer(document: Any, lines: list[str], *, as_json: bool) -> None:
    """Print the document, or the lines for a person."""
    said = json.dumps(plain(document), indent=2, allow_nan=False) if as_json else "\n".join(lines)
    if said:
        write(said + "\n")


def write(content: str | bytes) -> None:
    """Put text or bytes on standard output, whole or with exit code 3."""
    if sys.stdout is None:  # closed before the start
        return
    try:
        if isinstance(content, bytes):
            sys.stdout.buffer.write(content)
        else:
            sys.stdout.write(content)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what could not be written is not tried again
        fail(ENDED_BADLY, f"the answer could not be written: {error.strerror}; write it to another place")


def fail(code: int, line: str) -> NoReturn:
    """One line on standard error, and the exit code."""
    say(line)
    raise typer.Exit(code)


def say(line: str) -> None:
    """One line on standard error, whatever ``line`` holds."""
    if sys.stderr is not None:
        sys.stderr.write(f"regrow: {' '.join(line.split())}\n")


@contextmanager
def answering() -> Iterator[None]:
    """Turn what can go wrong into one line and an exit code; our own bugs keep their traceback."""
    try:
        yield
    except (JournalDamaged, BlobDamaged, BlobMissing, CheckpointDamaged, CheckpointMissing) as error:
        fail(DAMAGED, str(error))
    except Diverged as diverged:
        fail(DIVERGED, f"trained again, the run diverges at {diverged}")
    except (StorageFailed, NoAnswer) as error:
        fail(ENDED_BADLY, str(error))
    except (BadInput, JournalError) as error:
        fail(USAGE, str(error))
    except BrokenPipeError:
        sys.stderr.close()  # the reader has gone; nothing more to say
    except KeyboardInterrupt:
        fail(ENDED_BADLY, "interrupted; every epoch that was sealed stays recorded")
