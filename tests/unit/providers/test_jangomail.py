"""JangoMail: what its payloads alone don't show."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from common.events import Event, Unparseable
from providers import Delivery, Reply, UnverifiedError
from providers.jangomail import handshake, parse, restore, verify
from tests.unit.providers.payloads import flatten, list_payloads

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
FORM = "application/x-www-form-urlencoded"
ITEM = {"recipient": "ada@example.com", "time": "11/21/2026 9:29:02 AM", "custom_id": "o-1"}


def parse_form(fields: dict[str, Any], event: str = "") -> Event | Unparseable:
    """What a form becomes that is sent to a URL with this event."""
    (found,) = parse(urlencode(fields, doseq=True).encode(), Delivery(NOW, FORM, event and f"event={event}"))
    return found


def read(event: str, **fields: Any) -> dict[str, Any]:
    """The values of one event: as a form, as JSON and as a query."""
    by_form = parse_form(ITEM | fields, event)
    (by_json,) = parse(json.dumps(ITEM | fields).encode(), Delivery(NOW, "application/json", f"event={event}"))
    (by_query,) = parse(urlencode({"event": event} | ITEM | fields).encode(), Delivery(NOW, FORM))
    found = []
    for one in (by_form, by_json, by_query):
        assert isinstance(one, Event), one
        assert restore(one) == {"event": event} | ITEM | fields
        found.append(flatten(one))
    assert found[0] == found[1] == found[2]
    return found[0]


def test_wrong_credentials() -> None:
    """Without the secret, or with another one, nothing gets in."""
    payload = list_payloads("jangomail")[0]
    verify(payload.request, payload.secrets[::-1], payload.now)
    for request, secrets in (
        (payload.request, payload.secrets[:1]),
        (payload.request, []),
        (payload.request._replace(path_secret=""), payload.secrets),
    ):
        with pytest.raises(UnverifiedError):
            verify(request, secrets, payload.now)


def test_the_same_however_it_is_sent() -> None:
    """By GET, form or JSON, the URL's event makes the same event of the same fields."""
    values = read("click", url="https://example.com/?a=1&b=ü", shop="eu")
    assert (values["event_type"], values["provider_type"]) == ("clicked", "click")
    assert values["message_id"] == "o-1"


def test_bodys_own_event_counts() -> None:
    """Where the operator put it into the body too."""
    event = parse_form(ITEM | {"event": "open"}, "click")
    assert isinstance(event, Event)
    assert event.kind.event_type == "opened"


def test_other_common_names() -> None:
    """Names that an operator may have chosen before."""
    event = parse_form({"email": "Ada@example.com", "timestamp": "2026-11-21 09:29:02"}, "open")
    assert isinstance(event, Event)
    assert (event.recipient, event.occurred_at) == ("ada@example.com", datetime(2026, 11, 21, 9, 29, 2, tzinfo=UTC))


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"bounce_type": "Hard"}, "hard"),
        ({"reason": "550 5.1.1 No such user"}, "hard"),
        ({"bounce_type": "hard", "reason": "452 4.2.2 Mailbox full"}, "soft"),
        ({"bounce_type": "soft"}, "soft"),
        ({"reason": "550 Refused"}, "undetermined"),
        ({}, "undetermined"),
    ],
)
def test_kinds_of_bounces(fields: dict[str, str], kind: str) -> None:
    """Only what is surely permanent is hard; a temporary reply never is."""
    assert read("bounce", **fields)["bounce_kind"] == kind


def test_backfill_brings_no_copies() -> None:
    """What the 7 days of the start bring again is the same event, in another order too; another link is another."""
    click = ITEM | {"url": "https://example.com/1"}
    events = [parse_form(item, "click") for item in (click, dict(reversed(click.items())), click | {"url": "x"})]
    first, again, other = [(event.occurred_at, event.event_id) for event in events if isinstance(event, Event)]
    assert first == again
    assert first != other


def test_get_without_fields_is_answered() -> None:
    """It is a look at the URL; with fields it is an event."""
    request = next(payload.request for payload in list_payloads("jangomail") if payload.request.method == "GET")
    for query in ("", "event=open"):
        assert handshake(request._replace(query=query), [], NOW) == Reply()
    assert handshake(request, [], NOW) is None
    assert handshake(request._replace(query="", method="POST"), [], NOW) is None


def test_unknown_words_are_kept() -> None:
    """An event that nobody has heard of is stored as such."""
    assert read("teleport")["event_type"] == "unknown"


@pytest.mark.parametrize(
    ("fields", "event", "reason"),
    [
        (ITEM, "", "neither the URL nor the body has one field event"),
        ({"recipient": "ada@example.com"}, "open", "the event has no field time"),
        (ITEM | {"time": "soon"}, "open", "the time is of no known form"),
        (ITEM | {"event": ["a", "b"]}, "open", "neither the URL nor the body has one field event"),
    ],
)
def test_wrong_shapes_are_set_aside(fields: dict[str, Any], event: str, reason: str) -> None:
    """With what is wrong, and what to do about it."""
    bad = parse_form(fields, event)
    assert isinstance(bad, Unparseable)
    assert bad.reason.startswith(reason)


@pytest.mark.parametrize("body", [b"{", b"[1]", b"\xff", b"a", b"[" * 100_000])
@pytest.mark.parametrize("query", ["event=open", "{", "[1]", "\ud800"])
def test_wrong_bodies_are_set_aside(body: bytes, query: str) -> None:
    """Nothing that comes makes it fail."""
    (bad,) = parse(body, Delivery(NOW, FORM, query))
    assert isinstance(bad, Unparseable)


def test_what_postgres_cannot_hold() -> None:
    """NUL in the URL is replaced in the columns and kept in the item."""
    event = parse_form(ITEM, "open%00")
    assert isinstance(event, Event)
    assert event.kind.provider_type == "open\ufffd"
    assert restore(event)["event"] == "open\0"
