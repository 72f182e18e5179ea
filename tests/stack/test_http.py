"""HTTP as a client meets it, through the gateway."""

import gzip
import json

import pytest

from local.stack import Stack
from tests.stack.client import await_events, call, make_event, make_recipient, post

SEARCH = "/api/v1/events/message"
DOCUMENT = "/api/v1/openapi.json"


def test_answer_is_compressed_where_asked(stack: Stack) -> None:
    """The same JSON, in gzip only where the client takes it."""
    key = {"Authorization": stack.api_key}
    _, headers, plain = call(stack, "GET", DOCUMENT, headers=key)
    assert "content-encoding" not in headers
    _, headers, packed = call(stack, "GET", DOCUMENT, headers=key | {"Accept-Encoding": "br, gzip;q=0.5"})
    assert headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed) == plain


def test_large_page_arrives_compressed(stack: Stack) -> None:
    """A page of megabytes passes the gateway as base64 and arrives whole."""
    recipient = make_recipient()
    events = [make_event(recipient, subject=f"{number} " + "é" * 2_000) for number in range(400)]
    assert post(stack, events) == 200
    await_events(stack, recipient, 400)
    headers = {"Authorization": stack.api_key, "Accept-Encoding": "gzip"}
    status, _, body = call(stack, "GET", f"{SEARCH}?recipients={recipient}", headers=headers)
    assert status == 200
    assert len(json.loads(gzip.decompress(body))["results"]) == 400


def test_head_has_headers_and_no_body(stack: Stack) -> None:
    """HEAD says of which length and kind the answer would be."""
    key = {"Authorization": stack.api_key}
    status, headers, body = call(stack, "HEAD", DOCUMENT, headers=key)
    _, of_get, content = call(stack, "GET", DOCUMENT, headers=key)
    assert (status, body) == (200, b"")
    assert headers["content-type"] == of_get["content-type"]
    assert headers["etag"] == of_get["etag"]
    assert int(headers["content-length"]) == len(content)


def test_unchanged_answer_is_304(stack: Stack) -> None:
    """Who has the answer gets it only once."""
    key = {"Authorization": stack.api_key}
    etag = call(stack, "GET", DOCUMENT, headers=key)[1]["etag"]
    status, headers, body = call(stack, "GET", DOCUMENT, headers=key | {"If-None-Match": etag})
    assert (status, body, headers["etag"]) == (304, b"", etag)


@pytest.mark.parametrize(
    ("origin", "allowed"), [("https://support.example.com", "https://support.example.com"), ("https://x.example", None)]
)
def test_pages_of_chosen_origins_may_ask(stack: Stack, origin: str, allowed: str | None) -> None:
    """A preflight gets past the authorizer without a key; answers and errors name the origin if it is let in."""
    headers = {"Origin": origin, "Access-Control-Request-Method": "GET"}
    status, answered, body = call(stack, "OPTIONS", SEARCH, headers=headers)
    assert (status, body, answered["allow"]) == (204, b"", "GET, HEAD, OPTIONS")
    assert answered.get("access-control-allow-origin") == allowed
    assert ("access-control-allow-headers" in answered) is bool(allowed)
    for key, expected in ((stack.api_key, 200), ("mw_wrong", 401)):
        status, answered, _ = call(stack, "GET", SEARCH, headers={"Origin": origin, "Authorization": key})
        assert (status, answered.get("access-control-allow-origin")) == (expected, allowed)


@pytest.mark.parametrize(
    "target",
    [
        "/api/v1/events/message?recipients=%00",
        "/api/v1/events/message?recipients=%ff%fe%zz%",
        "/api/v1/events/message?from=99999999999999999999-01-01&per_page=" + "9" * 400,
        "/api/v1/events/message?cursor=%00",
        "/api/v1/events/message?recipients=" + "a" * 8_000,
        "/api/v1/events/message?" + "&".join(f"x{number}=1" for number in range(1_000)),
        "/api/v1/%00",
        "/api/v1/%ff%fe",
        "/api/v1/%",
        "/api/v1//events//message",
        "/api/v1/" + "x" * 8_000,
        "/api/v1/..%2f..%2f",
    ],
)
def test_odd_requests_are_no_mistake_of_ours(stack: Stack, target: str) -> None:
    """What can't be decoded, is too long or too large is refused or ignored; nothing of it becomes a 5xx."""
    status, headers, _ = call(stack, "GET", target, headers={"Authorization": stack.api_key})
    assert status in (200, 400, 404)
    assert headers["content-type"] == "application/json"
