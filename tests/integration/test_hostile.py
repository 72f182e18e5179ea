"""What nobody means well by: each parameter of each route with values that break programs, through the entry point."""

import base64
import json
import struct
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from common.database import Database
from query_events import app, exports
from query_events.export_files import ExportFiles
from query_events.routes import ROUTES
from query_events.routing import Route
from tests.declared import check_answer
from tests.integration.conftest import Connect
from tests.integration.lookups import make_loader, tell
from tests.integration.test_export import FakeBucket

LARGEST = 2**63 - 1
CALLER = {"name": "stranger", "scopes": "events:read"}
Send = Callable[[Route, str, str], int]


def encode(packed: bytes) -> str:
    """As cursors and keys are encoded."""
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def pack(form: str, *numbers: int) -> str:
    """A cursor of these numbers."""
    return encode(struct.pack(form, *numbers))


PLACES: list[list[Any]] = [["\ud800", 1], ["\0", 10**30], [[], {}]]
VALUES = [
    *("", " ", "\0", "\ufffd", "\n", "%", "\\", "'; --", "%(v0)s", "{}", ",", "-1", "0", "1e309", "NaN", "٣", "²"),
    *("9" * 400, str(2**31), str(-(2**63) - 1), "a" * 8_000, "a," * 1_001, "../../etc/passwd", "America"),
    *("0001-01-01T00:00Z", "9999-12-31T23:59Z", "1900-01-01T00:00:00+23:59", "2026-02-30T00:00", "2026-11-21T24:00"),
    *(pack(">qq", time, key) for time in (-LARGEST - 1, LARGEST, 0) for key in (-LARGEST - 1, LARGEST)),
    *(pack(">qqI", time, 0, 2**32 - 1) for time in (-LARGEST - 1, LARGEST, -62_135_596_800_000_000, 253 * 10**15)),
    *(encode(json.dumps(["2026-11-21T00:00:00Z", *place]).encode()) for place in PLACES),
    encode(b"[" * 5_000),
]
RAW = ["%", "%zz", "%00", "%FF%FE", "%ED%A0%80", "%C0%80", "\ud800", "ä"]  # as they stand in a URL


@pytest.fixture
def send(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> Send:
    """Asks a route with the value of its path's variable and a query; the status, of an answer that is as declared."""
    load = make_loader(connect("mailwake_loader"))
    load(tell(1, "m", "delivery", 90), tell(2, "m", "click", 80, rcpt_meta={"user": "u"}), tell(3, None, "open", 70))
    load("no event")
    connection = connect("mailwake_query")
    connection.autocommit = True
    monkeypatch.setattr(app, "_database", lambda: Database(lambda: connection))
    bucket: Any = FakeBucket()
    monkeypatch.setattr(exports, "_files", lambda: ExportFiles(bucket))

    checked: set[tuple[int, str]] = set()

    def ask(route: Route, value: str, query: str) -> int:
        path = route.path.partition("{")[0] + value if "{" in route.path else route.path
        context = {"http": {"method": "GET"}, "authorizer": {"lambda": CALLER}}
        event = {"requestContext": context, "rawPath": path, "rawQueryString": query}
        response: dict[str, Any] = app.handler(event, None)
        status, body = response["statusCode"], response["body"]
        if (status, body) not in checked:  # the same answer comes many times
            checked.add((status, body))
            check_answer("GET", quote(path, errors="surrogatepass"), status, response["headers"], body.encode())
        return int(status)

    return ask


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_no_value_is_our_mistake(send: Send, route: Route) -> None:
    """Whatever a parameter holds, the answer is one that the document declares, and no 5xx."""
    names = [item.name for item in route.inputs if f"{{{item.name}}}" not in route.path]
    names += [f"{form}metadata.{key}" for form in ("", "not.", "prefix.") for key in ("user", "\0", "%s", "k" * 3_000)]
    queries = [urlencode({name: value}) for name in names for value in VALUES]
    queries += [f"{name}={value}" for name in names for value in RAW]
    queries += [f"{quote(value, errors='surrogatepass')}=1" for value in VALUES] + [f"{value}=1" for value in RAW]
    statuses = {query: send(route, "ada@example.com", query) for query in queries}
    assert {query: status for query, status in statuses.items() if status not in (200, 400, 403, 404)} == {}


@pytest.mark.parametrize("route", [route for route in ROUTES if "{" in route.path], ids=lambda route: route.path)
def test_no_path_is_our_mistake(send: Send, route: Route) -> None:
    """Nor whatever stands in the path's place for an address, an id or a key."""
    values = [*VALUES, *RAW, "/", "//", "a/b", "..", "?", "#", "\ud800"]
    statuses = {value: send(route, value, "") for value in values}
    assert {value: status for value, status in statuses.items() if status not in (200, 400, 404)} == {}
