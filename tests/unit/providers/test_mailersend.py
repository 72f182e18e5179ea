import json
from typing import Any

import pytest

from common.events import Event, Unparseable
from providers import Delivery, UnverifiedError
from providers.mailersend import parse, verify
from tests.unit.providers.payloads import NOW, list_payloads

BOUNCE = next(payload for payload in list_payloads("mailersend") if payload.name == "mailersend/hard_bounced")
DELIVERY = Delivery(NOW)


def parse_changed(**data: Any) -> list[Event | Unparseable]:
    """What the payload's bounce becomes with these values in its `data`."""
    body = json.loads(BOUNCE.body)
    body["data"] |= data
    return list(parse(json.dumps(body).encode(), DELIVERY))


@pytest.mark.parametrize(
    "header", ["", "no hex", "82a9", BOUNCE.request.headers["signature"][:-1] + "5", "ä" * 64], ids=ascii
)
def test_wrong_signature_is_refused(header: str) -> None:
    """A missing, malformed, short or slightly wrong signature is refused."""
    request = BOUNCE.request._replace(headers={"signature": header} if header else {})
    with pytest.raises(UnverifiedError):
        verify(request, BOUNCE.secrets, NOW)


def test_signature_covers_every_byte() -> None:
    """A body with one byte more, or another secret, does not fit the signature."""
    with pytest.raises(UnverifiedError):
        verify(BOUNCE.request._replace(body=BOUNCE.body + b"\n"), BOUNCE.secrets, NOW)
    with pytest.raises(UnverifiedError):
        verify(BOUNCE.request, BOUNCE.secrets[:1], NOW)


def test_call_that_tests_a_webhook_is_no_event() -> None:
    """Saving a webhook sends a call without type or message."""
    assert list(parse(b'{"type": "webhook.test", "data": {}}', DELIVERY)) == []


def test_tags_and_morph_may_be_null() -> None:
    """Undocumented, and seen: the event loads without what they would say."""
    (event,) = parse_changed(type="delivered", morph=None)
    assert isinstance(event, Event)
    assert (event.kind.event_type, event.reason, event.url) == ("delivered", None, None)
    (event,) = parse_changed(email={"recipient": {"email": "ada@example.com"}, "tags": None, "message": None})
    assert isinstance(event, Event)
    assert (event.recipient, event.mailing.tags, event.message_id) == ("ada@example.com", (), None)


def test_time_is_the_events() -> None:
    """The envelope around the documented payload has the time of the call, which a retry may change."""
    body = json.loads(BOUNCE.body)
    (first,) = parse(BOUNCE.body, DELIVERY)
    (again,) = parse(json.dumps(body | {"created_at": "2026-11-21T09:31:00.000000Z"}).encode(), DELIVERY)
    assert isinstance(first, Event)
    assert isinstance(again, Event)
    assert (first.occurred_at, first.event_id) == (again.occurred_at, again.event_id)


def test_received_mail_is_set_aside_by_name() -> None:
    """The URL of an inbound route and that of a webhook get swapped: the reason says so."""
    (bad,) = parse(b'{"type": "inbound.message", "data": {"object": "message"}}', DELIVERY)
    assert isinstance(bad, Unparseable)
    assert bad.reason.startswith("a mail that came in")


@pytest.mark.parametrize(
    ("provider_type", "expected"),
    [
        ("opened_unique", ("opened", None, True)),
        ("opened", ("opened", None, False)),
        ("soft_bounced", ("bounced", "soft", False)),
        ("survey_opened", ("unknown", None, False)),
    ],
)
def test_types_are_told_apart(provider_type: str, expected: tuple[str, str | None, bool]) -> None:
    """First opens and soft bounces are told apart; a new word is unknown, not an error."""
    (event,) = parse_changed(type=provider_type)
    assert isinstance(event, Event)
    assert (event.kind.event_type, event.kind.bounce_kind, event.kind.first_open) == expected


@pytest.mark.parametrize(
    ("data", "reason"),
    [({"type": None}, "data.type"), ({"id": ""}, "data.id"), ({"created_at": "yesterday"}, "")],
)
def test_wrong_event_is_set_aside(data: dict[str, Any], reason: str) -> None:
    """An event without type, id or time is set aside, with what is wrong and without what it says."""
    (problem,) = parse_changed(**data)
    assert isinstance(problem, Unparseable)
    assert reason in problem.reason
    assert "yesterday" not in problem.reason
