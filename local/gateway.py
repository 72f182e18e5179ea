"""The HTTP API: finds the route, asks the authorizer, invokes the function, and answers as API Gateway does."""

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from local.declared import Route
from local.payloads import InvalidAnswerError, build_event, parse_answer, split_target
from local.web import Answer, Request, Response, WebServer
from local.workers import MAX_PAYLOAD_BYTES, PoolLookup

MAX_BODY_BYTES = 10 * 1024 * 1024  # API Gateway's limit
OWN_PATHS = "/local/"
MAX_WAIT_S = 30.0  # API Gateway's integration timeout


def answer_error(status: int, message: str) -> Response:
    """An error of the gateway itself, in its own body."""
    return Response(
        status=status,
        headers=[("Content-Type", "application/json")],
        body=json.dumps({"message": message}).encode(),
    )


@dataclass(frozen=True, kw_only=True)
class _Pattern:
    route: Route
    regex: re.Pattern[str]
    order: tuple[int, int, int]  # smaller wins: exact paths, then variables, then {proxy+}; a method before ANY


def _compile(route: Route) -> _Pattern:
    if route.path == "$default":
        return _Pattern(route=route, regex=re.compile(r"[\s\S]*"), order=(2, 0, 0))
    regex, greedy = "", 0
    for piece in re.split(r"(\{[^}]+\})", route.path):
        if piece.startswith("{") and piece.endswith("+}"):
            regex, greedy = regex + f"(?P<{piece[1:-2]}>.+)", 1
        elif piece.startswith("{"):
            regex += f"(?P<{piece[1:-1]}>[^/]+)"
        else:
            regex += re.escape(piece)
    variables = route.path.count("{")
    return _Pattern(
        route=route,
        regex=re.compile(regex, re.DOTALL),
        order=(greedy, variables - len(route.path.split("/")), int(route.method == "ANY")),
    )


class RouteTable:
    """Finds routes as an HTTP API does: the most specific path that matches, and a method's own route before ANY."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._patterns = sorted((_compile(route) for route in routes), key=lambda pattern: pattern.order)

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """The route and its path parameters."""
        for pattern in self._patterns:
            if pattern.route.method not in ("ANY", method):
                continue
            if match := pattern.regex.fullmatch(path):
                return pattern.route, match.groupdict()
        return None


class Gateway:
    """Serves the template's routes on one port."""

    def __init__(self, pools: PoolLookup, *, port: int) -> None:
        self._table = RouteTable([])
        self._pools = pools
        self._log: IO[str] | None = None
        self.own: Answer | None = None  # answers what begins with `/local/`, which no deployment has
        self.server = WebServer(
            self._answer_logged,
            port=port,
            body_limit=MAX_BODY_BYTES,
            too_large=answer_error(413, "Request Entity Too Large"),
        )

    def open_log(self, path: Path) -> None:
        """Keeps an access log from now on."""
        self._log = path.open("a", buffering=1)

    def serve(self, routes: Sequence[Route]) -> None:
        """Begins to serve; the routes may be known only after the port is."""
        self._table = RouteTable(routes)
        self.server.start("gateway")

    def close(self) -> None:
        """Stops listening."""
        self.server.stop()
        if self._log is not None:
            self._log.close()

    def _answer_logged(self, request: Request) -> Response | None:
        if self.own is not None and request.target.startswith(OWN_PATHS):
            return self.own(request)
        began = time.monotonic()
        found = self._table.find(request.method, split_target(request.target)[0])
        response = self._answer(request, *found) if found else answer_error(404, "Not Found")
        took_ms = (time.monotonic() - began) * 1000
        key = found[0].key if found else "-"  # paths and queries may hold recipients and secrets: the log has neither
        if self._log is not None and not self._log.closed:
            self._log.write(f"{request.method} ({key}) {response.status} {took_ms:.1f} ms\n")
        return response

    def _answer(self, request: Request, route: Route, path_parameters: Mapping[str, str]) -> Response:
        event = build_event(request, route, path_parameters)
        if route.authorizer is not None:
            refusal = self._authorize(route.authorizer, event)
            if refusal is not None:
                return refusal
        payload = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
        if len(payload) > MAX_PAYLOAD_BYTES:
            return answer_error(413, "Request Entity Too Large")
        return self._invoke(route, payload, str(event["requestContext"]["requestId"]))

    def _invoke(self, route: Route, payload: bytes, request_id: str) -> Response:
        result = self._pools(route.function).invoke(payload, patience=min(route.timeout, MAX_WAIT_S))
        if result is None:
            return answer_error(503, "Service Unavailable")
        if result.error is not None:
            return answer_error(500, "Internal Server Error")
        try:
            response = parse_answer(result.payload)
        except InvalidAnswerError:
            return answer_error(500, "Internal Server Error")
        return Response(
            status=response.status,
            headers=[*response.headers, ("Apigw-Requestid", request_id)],
            body=response.body,
        )

    def _authorize(self, authorizer: str, event: dict[str, Any]) -> Response | None:
        """Asks a REQUEST authorizer with simple responses; puts its context into the event, or gives a refusal."""
        question = {key: value for key, value in event.items() if key not in ("body", "isBase64Encoded")}
        question.update(type="REQUEST", routeArn="arn:aws:execute-api:local", identitySource=None)
        payload = json.dumps(question, ensure_ascii=False, separators=(",", ":")).encode()
        result = self._pools(authorizer).invoke(payload, patience=10.0)  # API Gateway's limit for authorizers
        if result is None or result.error is not None:
            return answer_error(500, "Internal Server Error")
        verdict = json.loads(result.payload)
        if not isinstance(verdict, Mapping) or not isinstance(verdict.get("isAuthorized"), bool):
            return answer_error(500, "Internal Server Error")
        if not verdict["isAuthorized"]:
            return answer_error(403, "Forbidden")
        event["requestContext"]["authorizer"] = {"lambda": verdict.get("context") or {}}
        return None
