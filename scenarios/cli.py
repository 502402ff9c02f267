"""The command ``regrow``: its commands are in ``scenarios/commands``, a module for what belongs together.

To add one: a function there with ``@app.command()``, three lines in the README, and a test in ``tests/examples``. A new
module is imported here; ``answering`` holds what all of them share. Only these modules print and exit.
"""

from __future__ import annotations

import sys

from typer import TyperException

from scenarios.commands import (
    analysing,
    attributing,
    auditing,
    comparing,
    evolving,
    http,
    looking,
    proving,
    recording,
    serving,
    wondering,
)
from scenarios.commands.answering import USAGE, app, say

COMMANDS = (
    looking,
    recording,
    evolving,
    comparing,
    attributing,
    analysing,
    wondering,
    proving,
    auditing,
    http,
    serving,
)
"""The modules register their commands when they are imported."""


def main() -> None:
    """Entry point of the command."""
    try:
        sys.exit(app(standalone_mode=False))
    except TyperException as error:  # flags and arguments that typer itself refuses
        refusal = error.format_message().rstrip(".")
        if refusal:  # without any argument the help was printed instead
            say(f"{refusal}; `regrow --help` and `regrow COMMAND --help` say what there is")
        sys.exit(USAGE)


if __name__ == "__main__":
    main()
