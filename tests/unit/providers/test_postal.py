"""Postal: what its payloads alone don't show."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from common.events import Event, Unparseable
from providers import Delivery, UnverifiedError
from providers.postal import SIGNATURE, SIGNATURE_256, parse, restore, verify
from tests.unit.providers.payloads import flatten, list_payloads

DELIVERY = Delivery(datetime(2026, 11, 21, 9, 30, tzinfo=UTC))
PAYLOADS = {payload.name.rpartition("/")[2]: payload for payload in list_payloads("postal")}
GOLDEN = PAYLOADS["sent"]
MESSAGE = {"id": 7, "direction": "outgoing", "to": "ada@example.com"}


def read(event: str, payload: Any, **fields: Any) -> dict[str, Any]:
    """The values of one event with this payload, after a look at what is restored."""
    item = {"event": event, "timestamp": 1795253340.5, "uuid": "a", "payload": payload} | fields
    (found,) = parse(json.dumps(item).encode(), DELIVERY)
    assert isinstance(found, Event), found
    assert restore(found) == item
    return flatten(found)


@pytest.mark.parametrize("name", [SIGNATURE, SIGNATURE_256])
def test_golden_signatures(name: str) -> None:
    """Each header alone proves the exact body under any live key; nothing else does."""
    other = {SIGNATURE: SIGNATURE_256, SIGNATURE_256: SIGNATURE}[name]
    headers = {key: value for key, value in GOLDEN.request.headers.items() if key != other}
    request = GOLDEN.request._replace(headers=headers)
    verify(request, GOLDEN.secrets, GOLDEN.now)
    verify(request, GOLDEN.secrets[::-1], GOLDEN.now)
    given = headers[name]
    flipped = given[:20] + ("A" if given[20] != "A" else "B") + given[21:]
    wrong = [
        (request._replace(body=request.body + b"\n"), GOLDEN.secrets),
        (request._replace(headers={name: flipped}), GOLDEN.secrets),
        (request._replace(headers={other: given}), GOLDEN.secrets),
        (request, GOLDEN.secrets[:1]),
        (request, ["not a key"]),
        (request, []),
    ]
    for bad, secrets in wrong:
        with pytest.raises(UnverifiedError):
            verify(bad, secrets, GOLDEN.now)


@pytest.mark.parametrize("value", ["", " ", "ä", "AAAA", "{"])
@pytest.mark.parametrize("name", [SIGNATURE, SIGNATURE_256])
def test_malformed_headers(name: str, value: str) -> None:
    """Whatever stands in the header, or nothing: refused."""
    for headers in ({name: value}, {}):
        with pytest.raises(UnverifiedError):
            verify(GOLDEN.request._replace(headers=headers), GOLDEN.secrets, GOLDEN.now)


def test_key_in_a_dkim_record() -> None:
    """What Postal's command prints can be pasted as it is."""
    record = f"v=DKIM1; t=s; h=sha256; p={GOLDEN.secrets[1]};"
    verify(GOLDEN.request, [record], GOLDEN.now)
    with pytest.raises(UnverifiedError):
        verify(GOLDEN.request, ["v=DKIM1; t=s; h=sha256; p=;"], GOLDEN.now)


@pytest.mark.parametrize(
    ("output", "details", "kind", "why"),
    [
        ("550 5.1.1 no such user", "", "hard", "bounced"),
        ("554 5.7.1 listed", "", "block", "blocked"),
        ("451 4.3.0 later", "Maximum number of delivery attempts (18) has been reached", "soft", "timed_out"),
        (None, "Maximum number of delivery attempts (18) has been reached", "soft", "timed_out"),
        (None, "No SMTP servers were available", "undetermined", "bounced"),
        ({}, 7, "undetermined", "bounced"),
    ],
)
def test_failures_are_told_apart(output: object, details: object, kind: str, why: str) -> None:
    """Only a receiving server's final word makes an address bad."""
    values = read("MessageDeliveryFailed", {"output": output, "details": details, "message": MESSAGE})
    assert (values["event_type"], values["bounce_kind"], values["reject_reason"]) == ("bounced", kind, why)


def test_held_messages() -> None:
    """A message held for a person's look is rejected by policy, not by the suppression list."""
    values = read("MessageHeld", {"details": "Server is in development mode.", "message": MESSAGE})
    assert (values["event_type"], values["reject_reason"]) == ("rejected", "blocked")


def test_tags() -> None:
    """One tag, which may be absent or null."""
    assert "tags" not in read("MessageLoaded", {"message": MESSAGE | {"tag": None}})
    assert read("MessageLoaded", {"message": MESSAGE | {"tag": "a"}})["tags"] == ["a"]


def test_a_bounce_is_of_the_original_message() -> None:
    """The mail that came back is incoming; the message that it is about is not."""
    values = read("MessageBounced", {"original_message": MESSAGE, "bounce": {"id": 8, "direction": "incoming"}})
    assert (values["recipient"], values["message_id"], values["out_of_band"]) == ("ada@example.com", "7", True)
    incoming = {"original_message": MESSAGE | {"direction": "incoming"}}
    assert not list(
        parse(json.dumps({"event": "MessageBounced", "timestamp": 1, "payload": incoming}).encode(), DELIVERY)
    )


def test_the_same_event_again() -> None:
    """It is known by its uuid, and without one by its content in whatever order."""
    body = json.loads(GOLDEN.body)
    del body["uuid"]
    keys = set()
    for sent in (body, dict(reversed(body.items()))):
        (event,) = parse(json.dumps(sent).encode(), DELIVERY)
        assert isinstance(event, Event)
        keys.add((event.occurred_at, event.event_id))
    assert len(keys) == 1
    assert read("MessageLoaded", None)["event_id"] == "a"


def test_unknown_words_are_kept() -> None:
    """Whatever the event and its payload are."""
    payloads: list[Any] = [None, [], "x", {"message": 7}, {"message": {"to": ["x"], "id": None}}]
    for payload in payloads:
        assert read("MessageTeleported", payload)["event_type"] == "unknown"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "the body is not JSON"),
        (b"[" * 100_000, "the body is nested too deeply"),
        (b"[]", "the event is not an object"),
        (b"{}", "the webhook has no field event"),
        (b'{"id":7,"rcpt_to":"ada@example.com","mail_from":"x","plain_body":"x"}', "a mail that came in"),
        (b'{"event":"MessageSent","timestamp":"soon"}', "timestamp is neither"),
        (b'{"event":"MessageSent","timestamp":1e300}', "timestamp is neither"),
    ],
)
def test_wrong_shapes_are_set_aside(body: bytes, reason: str) -> None:
    """With what is wrong."""
    (bad,) = parse(body, DELIVERY)
    assert isinstance(bad, Unparseable)
    assert bad.reason.startswith(reason)
