import json
import logging
from typing import Any
from urllib.parse import quote

import pytest

from query_events import access_log
from query_events.access_log import MOST_LISTED, hash_recipient, log_request
from query_events.routing import READ_EVENTS, Request, Route, RouteTable

ADDRESS = "ada.lovelace@example.com"


def answer_nothing(_request: Request) -> bytes:
    """Is not called."""
    raise AssertionError


TABLE = RouteTable(
    [
        Route(path, READ_EVENTS, answer_nothing)
        for path in ("/api/v1/events/message", "/api/v1/recipients/{address}", "/api/v1/people/{person}")
    ]
)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key of these tests' own."""
    monkeypatch.setattr(access_log, "_key", lambda: b"key")


@pytest.fixture(autouse=True)
def verbose(caplog: pytest.LogCaptureFixture) -> None:
    """Every line of the log is kept, and no other's: botocore's would be too, from whatever runs beside."""
    caplog.set_level(logging.DEBUG, logger=access_log.__name__)


def log_one(
    path: str = "/api/v1/events/message", query: str = "", *, status: int = 200, method: str = "GET", **context: Any
) -> None:
    """Logs one request."""
    event = {"requestContext": {"http": {"method": method}, **context}, "rawPath": path, "rawQueryString": query}
    log_request(TABLE, event, {"statusCode": status, "body": "12345"}, 0.01234)


def test_line_says_who_asked_for_what(caplog: pytest.LogCaptureFixture) -> None:
    """Route, caller, status, time, size, and parameters by name."""
    log_one(query="recipients=a%40x.com&from=2026&events=", authorizer={"lambda": {"name": "support", "scopes": "x"}})
    (line,) = caplog.records
    expected = {
        "message": "answered",
        "method": "GET",
        "path": "/api/v1/events/message",
        "caller": "support",
        "status": 200,
        "ms": 12.3,
        "bytes": 5,
        "parameters": ["events", "from", "recipients"],
        "recipients": [hash_recipient("a@x.com")],
    }
    assert {name: vars(line)[name] for name in expected if name != "message"} | {
        "message": line.getMessage()
    } == expected


@pytest.mark.parametrize("authorizer", [{}, {"authorizer": {}}, {"authorizer": {"lambda": None}}])
def test_refusal_is_logged(caplog: pytest.LogCaptureFixture, authorizer: dict[str, Any]) -> None:
    """Who is refused has no name."""
    log_one(status=401, **authorizer)
    assert (vars(caplog.records[0])["caller"], vars(caplog.records[0])["status"]) == ("", 401)
    assert not hasattr(caplog.records[0], "recipients")


PLACES = {
    "a parameter": {"query": f"recipients={quote(ADDRESS)}"},
    "several": {"query": f"recipients=x@y.z,{quote(ADDRESS)}&recipients={ADDRESS}"},
    "negated": {"query": f"recipients!={ADDRESS}"},
    "another parameter": {"query": f"friendly_froms={ADDRESS}&metadata.user={ADDRESS}"},
    "a parameter's name": {"query": f"{ADDRESS}=1&metadata.{quote(ADDRESS)}=1"},
    "the path": {"path": f"/api/v1/recipients/{ADDRESS}"},
    "a person's name": {"path": f"/api/v1/people/{ADDRESS}"},
    "a path without a route": {"path": f"/api/v1/recipient/{ADDRESS}"},
    "another method": {"path": f"/api/v1/recipients/{ADDRESS}", "method": "POST"},
    "the method": {"method": ADDRESS},
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
def test_no_address_is_logged(caplog: pytest.LogCaptureFixture, place: dict[str, str]) -> None:
    """Wherever in a request an address is, the line does not have it."""
    log_one(**place)  # type: ignore[arg-type]
    text = json.dumps(vars(caplog.records[0]), default=str)
    assert "lovelace" not in text
    assert "@" not in text


@pytest.mark.parametrize("place", ["a parameter", "negated", "the path", "a person's name", "another method"])
def test_recipient_is_found_by_its_hash(caplog: pytest.LogCaptureFixture, place: str) -> None:
    """The same recipient has the same hash, however the request was written."""
    log_one(**PLACES[place])  # type: ignore[arg-type]
    assert vars(caplog.records[0])["recipients"] == [hash_recipient(f" {ADDRESS.upper()} ")]


def test_hash_is_the_deployments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under another key it is another: a guessed address can't be tried without the key."""
    before = hash_recipient(ADDRESS)
    assert len(before) == 16
    monkeypatch.setattr(access_log, "_key", lambda: b"other")
    assert hash_recipient(ADDRESS) != before


def test_line_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    """A request with thousands of recipients and parameters makes no huge line."""
    many = ",".join(f"{number}@x.com" for number in range(1000))
    log_one(query=f"recipients={many}&" + "&".join(f"p{number}=" for number in range(1000)))
    assert len(vars(caplog.records[0])["recipients"]) == len(vars(caplog.records[0])["parameters"]) == MOST_LISTED


@pytest.mark.parametrize("query", ["%", "recipients=%ff%00", "recipients=\ud800", "&&==&", "recipients=,,"])
def test_no_request_breaks_the_log(caplog: pytest.LogCaptureFixture, query: str) -> None:
    """What can't be decoded is logged like the rest."""
    log_one(query=query)
    assert len(caplog.records) == 1
