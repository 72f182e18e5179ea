"""API Gateway's payload format 2.0, both ways."""

import base64
import json
from email.message import Message
from typing import Any

import pytest

from local.declared import Route
from local.payloads import InvalidAnswerError, build_event, parse_answer
from local.web import Request

ROUTE = Route(method="ANY", path="/webhooks/{provider}", function="F", authorizer=None, timeout=30)


def make_request(
    *, target: str = "/webhooks/sparkpost", headers: list[tuple[str, str]] | None = None, body: bytes = b""
) -> Request:
    """A POST."""
    message = Message()
    for name, value in [("Host", "127.0.0.1:8600"), *(headers or [])]:
        message[name] = value
    return Request(method="POST", target=target, headers=message, body=body, client="127.0.0.1", protocol="HTTP/1.1")


def test_whole_event() -> None:
    """The event has every field of the format, with header names in lower case."""
    request = make_request(
        target="/webhooks/spark%20post?a=1&a=2&b=%C3%A4",
        headers=[("X-Batch", "1"), ("x-batch", "2"), ("Cookie", "a=1; b=2"), ("Content-Type", "application/json")],
        body='["ä"]'.encode(),
    )
    event = build_event(request, ROUTE, {"provider": "spark post"})
    assert event["version"] == "2.0"
    assert event["routeKey"] == "ANY /webhooks/{provider}"
    assert event["rawPath"] == "/webhooks/spark post"
    assert event["rawQueryString"] == "a=1&a=2&b=%C3%A4"
    assert event["queryStringParameters"] == {"a": "1,2", "b": "ä"}
    assert event["cookies"] == ["a=1", "b=2"]
    assert event["headers"]["x-batch"] == "1,2"
    assert "cookie" not in event["headers"]
    assert event["pathParameters"] == {"provider": "spark post"}
    assert (event["body"], event["isBase64Encoded"]) == ('["ä"]', False)
    context = event["requestContext"]
    assert context["http"]["method"] == "POST"
    assert context["stage"] == "$default"
    assert context["requestId"]
    assert isinstance(context["timeEpoch"], int)


def test_bare_event_leaves_out() -> None:
    """Without query, cookies, path variables or body these fields are missing, as at API Gateway."""
    event = build_event(make_request(), ROUTE, {})
    assert not {"queryStringParameters", "cookies", "pathParameters", "body"} & set(event)


@pytest.mark.parametrize(
    ("headers", "encoded"),
    [
        ({"Content-Type": "application/json; charset=utf-8"}, False),
        ({"Content-Type": "TEXT/plain"}, False),
        ({"Content-Type": "application/problem+json"}, False),
        ({"Content-Type": "application/x-www-form-urlencoded"}, True),
        ({"Content-Type": "application/octet-stream"}, True),
        ({}, True),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, True),
    ],
)
def test_binary_bodies_are_base64(headers: dict[str, str], encoded: bool) -> None:
    """Text types arrive as text, all others and anything compressed as base64."""
    event = build_event(make_request(headers=list(headers.items()), body=b"abc"), ROUTE, {})
    assert event["isBase64Encoded"] is encoded
    assert event["body"] == (base64.b64encode(b"abc").decode() if encoded else "abc")


def test_bytes_that_are_no_text_survive() -> None:
    """A body that calls itself JSON but is no UTF-8 keeps its bytes."""
    request = make_request(headers=[("Content-Type", "application/json")], body=b"\xff\xfe")
    event = build_event(request, ROUTE, {})
    assert base64.b64decode(event["body"]) == b"\xff\xfe"


def test_answer() -> None:
    """Status, headers, cookies and a base64 body become the response; the length is the server's business."""
    answer: dict[str, Any] = {
        "statusCode": 201,
        "headers": {"X-Number": 3, "Content-Length": "99", "content-type": "image/png"},
        "cookies": ["a=1", "b=2"],
        "body": base64.b64encode(b"\x00\x01").decode(),
        "isBase64Encoded": True,
    }
    response = parse_answer(json.dumps(answer).encode())
    assert response.status == 201
    assert response.body == b"\x00\x01"
    assert response.headers == [
        ("X-Number", "3"),
        ("content-type", "image/png"),
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
    ]


def test_answer_without_status_is_the_body() -> None:
    """A function that returns anything else has returned the JSON of a 200."""
    response = parse_answer(b'{"a": 1}')
    assert (response.status, json.loads(response.body)) == (200, {"a": 1})


@pytest.mark.parametrize(
    "payload",
    [
        b"{",
        b'{"statusCode": "x"}',
        b'{"statusCode": 200, "body": 5}',
        b'{"statusCode": 200, "headers": []}'.replace(b"[]", b"[1]"),
    ],
)
def test_malformed_answer(payload: bytes) -> None:
    """An answer that is not in the format is an error, which the gateway turns into a 500."""
    with pytest.raises(InvalidAnswerError):
        parse_answer(payload)
