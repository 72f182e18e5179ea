"""Mailtrap: what its payloads alone don't show."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from common.events import Event, Unparseable
from providers import Delivery, UnverifiedError
from providers.mailtrap import SIGNATURE, parse, restore, verify
from tests.unit.providers.payloads import flatten, list_payloads

DELIVERY = Delivery(datetime(2026, 11, 21, 9, 30, tzinfo=UTC))
GOLDEN = next(payload for payload in list_payloads("mailtrap") if payload.name == "mailtrap/click")
EVENT = {"event": "open", "timestamp": 1795253340, "email": "ada@example.com", "event_id": "a"}


def load(body: bytes) -> list[Event | Unparseable]:
    """What a body becomes."""
    return list(parse(body, DELIVERY))


def read(**fields: Any) -> dict[str, Any]:
    """The values of one event with these fields."""
    (event,) = load(json.dumps({"events": [EVENT | fields]}).encode())
    assert isinstance(event, Event), event
    assert restore(event) == EVENT | fields
    return flatten(event)


def test_golden_signature() -> None:
    """It covers the exact body under any live key; what is nearly right is wrong."""
    verify(GOLDEN.request, GOLDEN.secrets, GOLDEN.now)
    verify(GOLDEN.request, GOLDEN.secrets[::-1], GOLDEN.now)
    given = GOLDEN.request.headers[SIGNATURE]
    flipped = ("0" if given[0] != "0" else "1") + given[1:]
    for request, secrets in (
        (GOLDEN.request._replace(body=GOLDEN.body + b"\n"), GOLDEN.secrets),
        (GOLDEN.request._replace(headers={SIGNATURE: flipped}), GOLDEN.secrets),
        (GOLDEN.request, GOLDEN.secrets[:1]),
        (GOLDEN.request, []),
    ):
        with pytest.raises(UnverifiedError, match="wrong credentials"):
            verify(request, secrets, GOLDEN.now)


@pytest.mark.parametrize("headers", [{}, *({SIGNATURE: value} for value in ("", " ", "ä", "zz", "00", "{"))])
def test_missing_and_malformed_headers(headers: dict[str, str]) -> None:
    """Whatever stands in the header, or nothing: refused."""
    with pytest.raises(UnverifiedError):
        verify(GOLDEN.request._replace(headers=headers), GOLDEN.secrets, GOLDEN.now)


def test_webhooks_that_are_not_signed() -> None:
    """Older ones show a password; a wrong signature is not made good by it."""
    basic = "Basic " + base64.b64encode(f"mailwake:{GOLDEN.secrets[1]}".encode()).decode()
    verify(GOLDEN.request._replace(headers={"authorization": basic}), GOLDEN.secrets, GOLDEN.now)
    headers = {"authorization": basic, SIGNATURE: "00"}
    with pytest.raises(UnverifiedError):
        verify(GOLDEN.request._replace(headers=headers), GOLDEN.secrets, GOLDEN.now)


def test_lines() -> None:
    """A line that is no JSON is set aside alone; one line is one event; the line's end may be CRLF."""
    line = json.dumps(EVENT).encode()
    first, bad, second = load(line + b"\r\n{\n\n" + line + b"\n")
    assert isinstance(first, Event)
    assert isinstance(bad, Unparseable)
    assert isinstance(second, Event)
    assert len(load(line + b"\n")) == 1


def test_incoming_mail() -> None:
    """Its time is in milliseconds, and its id may be another one the next time; the sample's word differs."""
    for word in ("inbound.message_received", "inbound_message_received"):
        first = read(event=word, timestamp=1795253340250, event_id="a")
        again = read(event=word, timestamp=1795253340250, event_id="b")
        assert first["event_type"] == "unknown"
        assert first["occurred_at"] == "2026-11-21T09:29:00.250Z"
        assert first == again


@pytest.mark.parametrize(
    ("reason", "why"),
    [("hard bounce", "bounced"), ("spam complaint", "spam"), ("Unsubscription", "unsubscribed"), (None, "blocked")],
)
def test_reasons_of_rejects(reason: object, why: str) -> None:
    """Free text says which list the address is on."""
    assert read(event="reject", reason=reason)["reject_reason"] == why


def test_wrong_types() -> None:
    """What is not as expected leaves its column empty; an unknown word is kept."""
    values = read(event="teleported", email=["x"], category=None, custom_variables=[], response={}, response_code="x")
    assert values["event_type"] == "unknown"
    assert read(event="bounce", response_code=10**30, response=[])["event_type"] == "bounced"
    assert read(event_id=None)["event_id"].startswith("hash:")


@pytest.mark.parametrize("item", [7, {}, {"event": 7}, {"event": "open"}, {"event": "inbound.x", "timestamp": 10**400}])
def test_wrong_shapes_are_set_aside(item: object) -> None:
    """The events beside load."""
    before, bad, after = load(json.dumps({"events": [EVENT, item, EVENT]}).encode())
    assert isinstance(before, Event)
    assert isinstance(bad, Unparseable)
    assert isinstance(after, Event)


@pytest.mark.parametrize("body", [b"", b"null", b'{"events":7}', b"\xff", b"[" * 100_000])
def test_wrong_bodies_are_set_aside(body: bytes) -> None:
    """As a whole."""
    (bad,) = load(body)
    assert isinstance(bad, Unparseable)
    assert bad.position is None
