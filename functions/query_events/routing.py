"""Requests, the routes that answer them, and who may ask.

A route also says what the OpenAPI document tells of it: `summary` (one line, plain text), `inputs` (an `Input` for each
variable of its path and each query parameter), `result` (JSON Schema of its 200), `refusals` (400, 404: what it answers
beside what every route may: 401, 403, 405, 500, 503), and `etag` where the same answer is often asked for again.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from psycopg2.extensions import connection as Connection

from common.errors import ApiError
from common.text import clean_text
from query_events.answers import METHODS, Answer, MethodError

READ_EVENTS = "events:read"
READ_PII = "pii:read"  # without it addresses and metadata are masked
ADMIN = "admin"  # may do everything


class Caller(NamedTuple):
    """Who asks."""

    name: str
    scopes: frozenset[str]

    def may(self, scope: str) -> bool:
        """Whether the caller's key has the scope."""
        return scope in self.scopes or ADMIN in self.scopes


class Request(NamedTuple):
    """A request whose caller may have the answer."""

    connect: Callable[[], Connection]  # the database, opened when it is first needed; autocommit
    instant: datetime  # now
    caller: Caller
    path: str  # as it was asked for
    path_values: Mapping[str, str] = {}  # of the route's variables
    given: Mapping[str, str] = {}  # query parameters, the last one of each name
    headers: Mapping[str, str] = {}  # names in lower case


class Input(NamedTuple):
    """A variable of a path, or a query parameter, as the OpenAPI document shows it."""

    name: str
    meaning: str  # plain text
    schema: Mapping[str, Any] = {"type": "string"}  # JSON Schema; an array is separated by commas


class Route(NamedTuple):
    """What answers a path; `scope` is what the caller's key must have."""

    path: str  # with variables: /api/v1/recipients/{address}
    scope: str
    answer: Callable[[Request], bytes | Answer]  # the JSON of a 200, or an answer; raises `ApiError`
    summary: str = ""
    inputs: Sequence[Input] = ()  # variables of the path, then query parameters
    result: Mapping[str, Any] = {}  # JSON Schema of the answer
    refusals: Sequence[int] = ()  # 400 for bad input, 404 for what is not there
    etag: bool = False  # tells who asks again that nothing changed, by a hash of the answer
    contents: Mapping[int, Mapping[str, Any]] = {}  # what else it answers: JSON Schemas by status and content type
    slashes: bool = False  # its variable may hold slashes: the gateway decodes %2F before we see the path


def _compile(path: str, variable: str) -> re.Pattern[str]:
    pieces = re.split(r"\{(\w+)\}", path)
    regex = "".join(f"(?P<{piece}>{variable})" if odd % 2 else re.escape(piece) for odd, piece in enumerate(pieces))
    return re.compile(regex, re.DOTALL)


class RouteTable:
    """Finds the route of a path. A path without variables goes before one that has them."""

    def __init__(self, routes: Sequence[Route], changes: Mapping[str, Sequence[str]] = {}) -> None:
        """`changes`: by what methods something is changed at a path; another function answers these."""
        paths = sorted({route.path for route in routes} | {*changes}, key=lambda path: path.count("{"))
        slashes = {route.path for route in routes if route.slashes}
        read = {route.path: METHODS for route in routes}
        self._methods = [
            (
                _compile(path, ".+" if path in slashes else "[^/]+"),
                ", ".join((read.get(path, "OPTIONS"), *changes.get(path, ()))),
            )
            for path in paths
        ]
        ordered = sorted(routes, key=lambda route: route.path.count("{"))
        self._routes = [(_compile(route.path, ".+" if route.slashes else "[^/]+"), route) for route in ordered]

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """The route of a decoded path, and its variables' values; a slash at the end does not count. Raises `ApiError`.

        API Gateway has decoded a `rawPath` once, as AWS SAM's own stand-in does: a percent sign in it is one.
        """
        methods = self.list_methods(path)
        if method in ("GET", "HEAD") and "GET" in methods:
            for pattern, route in self._routes:
                if match := pattern.fullmatch(path.rstrip("/")):
                    return route, {name: clean_text(value) for name, value in match.groupdict().items()}
        raise MethodError(methods)

    def list_methods(self, path: str) -> str:
        """By what methods there is something at a path, with commas between them. Raises `ApiError`."""
        for pattern, methods in self._methods:
            if pattern.fullmatch(path.rstrip("/")):
                return methods
        raise ApiError(404, "Not found", "There is nothing at this path.", "1101")


def check_caller(route: Route, found: Mapping[str, str] | None) -> Caller:
    """The caller whom the authorizer found.

    Raises `ApiError`: 401 for nobody, 403 for too narrow a key or token, 503 for a token that can't be checked now.
    """
    if found and found.get("refusal") == "unavailable":
        raise ApiError(503, "Service unavailable", "The issuer of the token can't be reached; try again.")
    if not found or found.get("refusal") or not found.get("name"):
        raise ApiError(401, "Unauthorized", "Send a valid API key or token in the Authorization header.")
    caller = Caller(found["name"], frozenset(found.get("scopes", "").split()))
    if not caller.may(route.scope):
        raise ApiError(403, "Forbidden", f"The key or token lacks the scope {route.scope}.", "1100")
    return caller
