"""The API's routes: method and path → the scope that a caller needs, and what answers."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import NamedTuple

from psycopg2.extensions import connection as Connection

from common.errors import ApiError
from query_events import events_message

READ_EVENTS = "events:read"
ADMIN = "admin"  # may do everything

Answer = Callable[[Connection, Mapping[str, str], datetime], bytes]


class Route(NamedTuple):
    """What answers a path; `scope` is what the caller's key must have."""

    path: str
    scope: str
    answer: Answer


ROUTES = {route.path: route for route in (Route(events_message.PATH, READ_EVENTS, events_message.answer_search),)}


def find_route(method: str, path: str) -> Route:
    """The route of a request; a slash at the end does not count. Raises `ApiError`."""
    route = ROUTES.get(path.rstrip("/"))
    if route is None:
        raise ApiError(404, "Not found", "There is nothing at this path.", "1101")
    if method not in ("GET", "HEAD"):
        raise ApiError(405, "Method not allowed", "Use GET.", "1102")
    return route


def check_caller(route: Route, caller: Mapping[str, str] | None) -> None:
    """Lets the caller in whom the authorizer found. Raises `ApiError`: 401 for nobody, 403 for too narrow a key."""
    if not caller or caller.get("refusal") or not caller.get("name"):
        raise ApiError(401, "Unauthorized", "Send a valid API key in the Authorization header.")
    scopes = caller.get("scopes", "").split()
    if route.scope not in scopes and ADMIN not in scopes:
        raise ApiError(403, "Forbidden", f"This key lacks the scope {route.scope}.", "1100")
