"""Serving the endpoints on the loopback interface, and the same orders by command."""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import suppress
from typing import Annotated, Final

import typer
from pydantic import ValidationError

from scenarios.commands.answering import Journal, Json, Run, answer, answering, app, say
from scenarios.lab import DEFAULT_JOURNAL, Lab
from scenarios.runs.orders import GrowthOrder, give
from scenarios.runs.remote import send_order
from scenarios.specification import BadInput

By = Annotated[str, typer.Option(help="Who orders it; it is recorded.")]
Reason = Annotated[str, typer.Option(help="Why; it is recorded.")]
Bus = Annotated[str | None, typer.Option(help="Over a bus, to a run that is recorded in another journal.")]

LOOPBACK: Final = "127.0.0.1"
"""Not another interface, whatever is asked for: there is no encryption and one token for all."""


@app.command()
def serve(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8123,
    *,
    journal: Journal = DEFAULT_JOURNAL,
) -> None:
    """Serve blueprints, lineage, status, health and pause/resume on http://127.0.0.1 until it is interrupted."""
    with answering(), Lab(journal) as lab:
        try:
            import uvicorn

            from scenarios.http.app import application
        except ImportError as error:
            raise BadInput("serving needs FastAPI and uvicorn: pip install 'regrow[http]'") from error
        token = os.environ.get("REGROW_TOKEN") or secrets.token_urlsafe(24)
        with _listening(port) as listening:
            at = f"http://{LOOPBACK}:{listening.getsockname()[1]}"
            say(f"{at}/docs; POSTs need the token {token} (set REGROW_TOKEN to choose it)")
            serving = uvicorn.Config(application(lab.journal, token), log_level="warning")
            # Ctrl-C is how it ends: the server stops on it, and then passes it on.
            with suppress(KeyboardInterrupt):
                uvicorn.Server(serving).run(sockets=[listening])


def _listening(port: int) -> socket.socket:
    """A socket on ``port``, or on a free one for 0. Raises BadInput for one that cannot be had."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((LOOPBACK, port))
        listening.listen()  # else another one could still be bound beside it
    except OSError as error:
        listening.close()
        raise BadInput(f"--port {port}: {error.strerror}; name another port, or 0 for a free one") from error
    return listening


@app.command()
def pause(
    run: Run,
    *,
    by: By = "operator",
    reason: Reason = "",
    bus: Bus = None,
    journal: Journal = DEFAULT_JOURNAL,
    as_json: Json = False,
) -> None:
    """From the next boundary of a run on let nothing germinate; what has begun goes on."""
    _order(run, journal, bus, paused=True, by=by, reason=reason, as_json=as_json)


@app.command()
def unpause(
    run: Run,
    *,
    by: By = "operator",
    reason: Reason = "",
    bus: Bus = None,
    journal: Journal = DEFAULT_JOURNAL,
    as_json: Json = False,
) -> None:
    """Let a paused run grow again from its next boundary on."""
    _order(run, journal, bus, paused=False, by=by, reason=reason, as_json=as_json)


def _order(run: str, journal: str, bus: str | None, *, paused: bool, by: str, reason: str, as_json: bool) -> None:
    with answering(), Lab(journal) as lab:
        try:
            order = GrowthOrder(paused=paused, by=by, reason=reason)
        except ValidationError as error:
            first = error.errors()[0]
            raise BadInput(f"--{first['loc'][0]}: {first['msg']} but got {first['input']!r}") from error
        if bus is None:
            give(lab.journal, run, order)
        else:
            send_order(bus, lab.journal, run, order)
        status = "PAUSING" if paused else "RESUMING"
        answer({"run": run, "status": status}, [f"{run}: {status} at its next boundary"], as_json=as_json)
