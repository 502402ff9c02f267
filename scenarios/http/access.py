"""Who may do what: everyone on this machine may look, who holds the token may steer."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Coroutine
from typing import Any, Final, final

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer

from scenarios.http.system import System

BEARER: Final = HTTPBearer(auto_error=False, description="The token that `regrow serve` was started with.")


def system_of(request: Request) -> System:
    """The system that the app was made for."""
    found: System = request.app.state.system
    return found


@final
class OperatorsRoute(APIRoute):
    """A route for who holds the token. Asked before the body is read: a dependency would be asked after it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler behind the question for the token."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            await _admit(request)
            return await handle(request)

        return guarded


async def _admit(request: Request) -> None:
    """Raises 401 without a token and 403 with a wrong one."""
    given = await BEARER(request)
    if given is None:
        raise HTTPException(401, "this needs the token: Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"})
    if not secrets.compare_digest(given.credentials.encode(), request.app.state.token.encode()):
        raise HTTPException(403, "this is not the token that `regrow serve` was started with")
