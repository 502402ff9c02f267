"""Urza's and Tamiyo's endpoints as one application with OpenAPI, for the loopback interface."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.middleware.trustedhost import TrustedHostMiddleware

from domain.urza.library import UnknownBlueprint
from engine.journal.errors import JournalError, RunMissing
from engine.journal.journal import Journal
from scenarios.http import tamiyo, urza
from scenarios.http.system import System
from scenarios.specification import BadInput

HOSTS: Final = ["127.0.0.1", "localhost"]
"""What a request may call this host: a page elsewhere that resolves its own name to here is turned away."""


def application(journal: Journal, token: str) -> FastAPI:
    """The application over one journal. POSTs need ``token``."""
    app = FastAPI(
        title="regrow",
        version=version("regrow"),
        description="The blueprint library (Urza) and the state and control of runs (Tamiyo).",
    )
    app.state.system = System(journal)
    app.state.token = token
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=HOSTS)
    app.include_router(urza.router)
    app.include_router(tamiyo.router)
    app.include_router(tamiyo.control)
    app.add_exception_handler(RequestValidationError, _bad_request)
    app.add_exception_handler(UnknownBlueprint, _not_found)
    app.add_exception_handler(RunMissing, _not_found)
    app.add_exception_handler(BadInput, _conflict)
    app.add_exception_handler(JournalError, _broken)
    return app


def _said(code: int, line: str) -> JSONResponse:
    return JSONResponse({"detail": line}, status_code=code)


async def _bad_request(request: Request, error: Exception) -> JSONResponse:
    """400 and the rule: which parameter, what it got, what it must be."""
    assert isinstance(error, RequestValidationError)
    first: dict[str, Any] = dict(error.errors()[0])
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "json_invalid":
        return _said(400, f"body: no JSON at character {first['loc'][-1]}: {first['ctx']['error']}")
    got = "" if first["type"] in {"missing", "extra_forbidden"} else f" but got {first.get('input')!r}"
    return _said(400, f"{where}: {first['msg']}{got}")


async def _not_found(request: Request, error: Exception) -> JSONResponse:
    return _said(404, str(error.args[0]))


async def _conflict(request: Request, error: Exception) -> JSONResponse:
    return _said(409, str(error))


async def _broken(request: Request, error: Exception) -> JSONResponse:
    return _said(500, str(error))
