"""From an ESP's POST to an answered query."""

import base64
import gzip
import json

import pytest

from local.stack import Stack
from tests.stack.client import (
    await_events,
    basic_auth,
    call,
    count_events,
    make_event,
    make_recipient,
    post,
    query,
    select,
)


def test_posted_event_is_returned(stack: Stack) -> None:
    """An event that is posted to the webhook is given back by a query for its recipient."""
    recipient = make_recipient()
    event = make_event(recipient, subject="Your invoice — June")
    assert post(stack, [event]) == 200
    await_events(stack, recipient, 1)
    (found,) = query(stack, recipient)
    assert found["subject"] == "Your invoice — June"
    assert found["type"] == "delivery"
    assert found["event_id"] == event["msys"]["message_event"]["event_id"]


def test_body_is_stored_byte_for_byte(stack: Stack) -> None:
    """The object in the raw bucket has the very bytes that were posted."""
    recipient = make_recipient()
    body = json.dumps([make_event(recipient)], indent=3).encode() + b"\n\n"
    assert post(stack, body) == 200
    await_events(stack, recipient, 1)
    (key,) = select(
        stack, "SELECT object_key FROM batches JOIN events USING (batch_id) WHERE recipient = %s", recipient
    )[0]
    assert key.startswith("raw/sparkpost/")
    stored = stack.client("s3").get_object(Bucket=stack.name("RawBucket"), Key=key)["Body"].read()
    assert stored == body


@pytest.mark.parametrize("body", [b'[{"msys":{}}]', b"[]"])
def test_ping_is_answered(stack: Stack, body: bytes) -> None:
    """SparkPost's ping and an empty batch are answered 200."""
    assert post(stack, body) == 200


def test_gzip_body_is_loaded(stack: Stack) -> None:
    """A compressed body reaches the listener as base64 and is loaded like any other."""
    recipient = make_recipient()
    headers = {"content-type": "application/json", "content-encoding": "gzip", **basic_auth(stack)}
    body = gzip.compress(json.dumps([make_event(recipient)]).encode())
    assert call(stack, "POST", "/webhooks/sparkpost", headers=headers, body=body)[0] == 200
    await_events(stack, recipient, 1)


def test_redelivered_batch_loads_once(stack: Stack) -> None:
    """A batch that comes again is answered 200, and its events are there once."""
    recipient = make_recipient()
    batch = [make_event(recipient), make_event(recipient, kind="injection")]
    assert [post(stack, batch), post(stack, batch), post(stack, list(reversed(batch)))] == [200, 200, 200]
    await_events(stack, recipient, 2)
    stack.await_empty_queue()
    assert count_events(stack, recipient) == 2


def test_broken_event_leaves_its_batch_alone(stack: Stack) -> None:
    """An event that cannot be parsed goes to quarantine with its place and reason; the rest of its batch loads."""
    recipient = make_recipient()
    broken = make_event(recipient, timestamp="not-a-time")
    assert post(stack, [make_event(recipient), broken, "no event", make_event(recipient)]) == 200
    await_events(stack, recipient, 2)
    rows = select(
        stack,
        """SELECT item_index, reason FROM quarantine WHERE object_key =
           (SELECT DISTINCT object_key FROM batches JOIN events USING (batch_id) WHERE recipient = %s)
           ORDER BY item_index""",
        recipient,
    )
    assert [index for index, _ in rows] == [1, 2]
    assert all(reason for _, reason in rows)


@pytest.mark.parametrize(
    ("method", "path", "password", "status"),
    [
        ("POST", "/webhooks/sparkpost", "wrong", 401),
        ("GET", "/webhooks/sparkpost", None, 405),
        ("POST", "/webhooks/nobody", None, 404),
    ],
)
def test_webhook_refuses(stack: Stack, method: str, path: str, password: str | None, status: int) -> None:
    """Wrong credentials, another method and an unknown provider are refused in the one error body."""
    headers = basic_auth(stack)
    if password is not None:
        headers = {"Authorization": "Basic " + base64.b64encode(f"mailwake:{password}".encode()).decode()}
    answered, _, body = call(stack, method, path, headers=headers, body=b"[]" if method == "POST" else b"")
    assert answered == status
    assert json.loads(body)["errors"][0]["message"]


@pytest.mark.parametrize("key", [None, "mw_" + "0" * 40])
def test_api_needs_a_key(stack: Stack, key: str | None) -> None:
    """Without a live API key nothing is answered, and the refusal has the one error body."""
    headers = {} if key is None else {"Authorization": key}
    status, _, body = call(stack, "GET", "/api/v1/events/message", headers=headers)
    assert status == 401
    assert json.loads(body)["errors"][0]["message"]


def test_unrouted_path_is_not_found(stack: Stack) -> None:
    """A path without a route is answered by the gateway itself, in API Gateway's words."""
    status, _, body = call(stack, "GET", "/elsewhere")
    assert (status, json.loads(body)) == (404, {"message": "Not Found"})


def test_too_large_batch_is_refused(stack: Stack) -> None:
    """A body of more than Lambda takes is refused, whether the listener or the gateway says so."""
    for size in (5_950_000, 7_000_000, 11_000_000):
        headers = {"Content-Type": "application/json", **basic_auth(stack)}
        body = b'["' + b"x" * size + b'"]'
        try:
            status, _, _ = call(stack, "POST", "/webhooks/sparkpost", headers=headers, body=body)
        except ConnectionError:
            status = 413  # the gateway had answered and closed before all was sent
        assert status == 413


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data", ""])
def test_content_type_does_not_matter(stack: Stack, content_type: str) -> None:
    """Whatever a sender calls its body, the bytes are stored and loaded."""
    recipient = make_recipient()
    headers = basic_auth(stack) | ({"Content-Type": content_type} if content_type else {})
    body = json.dumps([make_event(recipient)]).encode()
    assert call(stack, "POST", "/webhooks/sparkpost", headers=headers, body=body)[0] == 200
    await_events(stack, recipient, 1)
