"""Who may do what: everyone on this machine may look, who holds the token may steer."""

from __future__ import annotations

import secrets
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from scenarios.http.system import System

_bearer = HTTPBearer(auto_error=False, description="The token that `regrow serve` was started with.")


def system_of(request: Request) -> System:
    """The system that the app was made for."""
    found: System = request.app.state.system
    return found


def _operator(request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> None:
    """Raises 401 without a token and 403 with a wrong one."""
    if given is None:
        raise HTTPException(401, "this needs the token: Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"})
    if not secrets.compare_digest(given.credentials.encode(), request.app.state.token.encode()):
        raise HTTPException(403, "this is not the token that `regrow serve` was started with")


Operator = Annotated[None, Depends(_operator)]
