"""The example mapping: what payloads can't show, which holds for every provider that is a mapping."""

import json
from datetime import timedelta
from typing import Any

import pytest

from common.events import Event, Unparseable
from providers import UnverifiedError
from tests.unit.providers.payloads import list_payloads, parse_payload

PAYLOADS = {payload.name.partition("/")[2]: payload for payload in list_payloads("acme_mail")}
BATCH, BOUNCE, CLICK = PAYLOADS["batch"], PAYLOADS["bounce_permanent"], PAYLOADS["click"]
HEADER = BOUNCE.request.headers["x-acme-signature"]
RIGHT = HEADER.partition("v1=")[2]


def parse(document: Any) -> list[Event | Unparseable]:
    """What a body of this document becomes."""
    return list(BATCH.provider.parse(json.dumps(document).encode(), BATCH.delivery))


def parse_changed(**fields: Any) -> list[Event | Unparseable]:
    """What the payload's bounce becomes with other fields."""
    document = json.loads(BOUNCE.body)
    document["events"][0] |= fields
    return parse(document)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "no fields",
        HEADER[:-1] + ("0" if HEADER[-1] != "0" else "1"),
        HEADER[:-2],
        HEADER.replace("v1=", "v2="),
        HEADER.partition(",")[2],
        HEADER.replace("t=17", "t=16"),
        HEADER.replace("t=", "t=x"),
        HEADER.replace(RIGHT, "not hex"),
        HEADER.replace(RIGHT, "ä" * 64),
    ],
    ids=ascii,
)
def test_wrong_signature_is_refused(header: str) -> None:
    """A header that is missing, malformed, cut short, of another time or slightly wrong is refused."""
    request = BOUNCE.request._replace(headers={"x-acme-signature": header} if header else {})
    with pytest.raises(UnverifiedError):
        BOUNCE.provider.verify(request, BOUNCE.secrets, BOUNCE.now)


def test_signature_of_either_secret_counts() -> None:
    """While a secret is replaced the provider may sign twice; one right signature under one live secret is enough."""
    request = BOUNCE.request._replace(headers={"x-acme-signature": HEADER.replace("v1=", f"v1={'0' * 64}, v1=")})
    BOUNCE.provider.verify(request, BOUNCE.secrets, BOUNCE.now)
    BOUNCE.provider.verify(BOUNCE.request, list(reversed(BOUNCE.secrets)), BOUNCE.now)
    for secrets in (BOUNCE.secrets[:1], []):
        with pytest.raises(UnverifiedError, match="wrong credentials"):
            BOUNCE.provider.verify(request, secrets, BOUNCE.now)


def test_signature_covers_every_byte() -> None:
    """A body with one byte more is refused."""
    with pytest.raises(UnverifiedError):
        BOUNCE.provider.verify(BOUNCE.request._replace(body=BOUNCE.body + b"\n"), BOUNCE.secrets, BOUNCE.now)


@pytest.mark.parametrize("minutes", [-6, 6])
def test_stale_signature_is_refused(minutes: int) -> None:
    """A time more than five minutes off is refused, before and after."""
    BOUNCE.provider.verify(BOUNCE.request, BOUNCE.secrets, BOUNCE.now + timedelta(minutes=minutes / 2))
    with pytest.raises(UnverifiedError, match="too long ago"):
        BOUNCE.provider.verify(BOUNCE.request, BOUNCE.secrets, BOUNCE.now + timedelta(minutes=minutes))


def test_redelivery_in_another_batch_is_the_same_event() -> None:
    """What is around the events, how often they were tried and who is beside them does not change an event's id."""
    document = json.loads(BATCH.body)
    again = {
        "account": "ac_17",
        "sent_at": 1795260000,
        "events": [e | {"attempt": 2} for e in document["events"][::-1]],
    }
    first, second = ({e.event_id for e in parse(body) if isinstance(e, Event)} for body in (document, again))
    assert first == second
    assert len(first) == 4
    assert len([event_id for event_id in first if event_id.startswith("hash:")]) == 1


def test_events_without_id_are_told_apart() -> None:
    """Two clicks a second apart are two; the same click twice is one."""
    document = json.loads(CLICK.body)
    (click,) = document["events"]
    del click["id"]
    document["events"] = [click, click | {"at": click["at"] + 1000}, click]
    first, later, again = [event.event_id for event in parse(document) if isinstance(event, Event)]
    assert first == again != later


def test_what_is_around_the_events_is_kept_with_each() -> None:
    """The account and the time of sending stay with the event; what comes back is the item as it was in the list."""
    document = json.loads(CLICK.body)
    document["events"][0]["(around)"] = "mine"
    (event,) = parse(document)
    assert isinstance(event, Event)
    assert json.loads(event.detail)["(around)"] == {
        "envelope": {"account": "ac_17", "sent_at": 1795253400},
        "(own)": "mine",
    }
    assert CLICK.provider.restore(event) == document["events"][0]
    (bare,) = parse(document["events"])
    assert isinstance(bare, Event)
    assert CLICK.provider.restore(bare) == document["events"][0]
    assert bare.mailing.sender.subaccount is None


@pytest.mark.parametrize("to", [None, [], "ada@example.com", [None], [{}], {"email": "Ada@example.com"}])
def test_recipients_of_another_form(to: Any) -> None:
    """An event whose list of recipients is none is still one event, restored as it was."""
    (event,) = parse_changed(to=to)
    assert isinstance(event, Event)
    assert BATCH.provider.restore(event)["to"] == to
    assert event.recipient == ("ada@example.com" if isinstance(to, dict) else None)


def test_recipients_without_address_stay_apart() -> None:
    """Entries of the list that have no address are events of their own all the same."""
    events = parse_changed(to=[{"name": "a"}, {"name": "b"}, {"email": "c@example.com"}])
    assert [event.event_id for event in events if isinstance(event, Event)] == [
        "ev_4/0",
        "ev_4/1",
        "ev_4/c@example.com",
    ]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"event": None}, "the event has no type at event"),
        ({"event": {"a": 1}}, "the event has no type at event"),
        ({"at": None}, "the event has no time at at"),
        ({"at": "yesterday"}, "the time at at is not of the form milliseconds"),
        ({"at": True}, "the time at at is not of the form milliseconds"),
        ({"at": 10**30}, "the time at at is not of the form milliseconds"),
    ],
)
def test_item_that_is_no_event_says_why(fields: dict[str, Any], problem: str) -> None:
    """An item without type or time is set aside with the place where it should be."""
    (found,) = parse_changed(**fields)
    assert isinstance(found, Unparseable)
    assert (found.position, found.reason) == (0, problem)


@pytest.mark.parametrize(
    ("bounce", "expected"),
    [
        ({"class": "strange", "text": "452 4.2.2 full"}, "soft"),
        ({"class": "strange", "code": 421}, "soft"),
        ({"class": "strange", "status": "5.7.26"}, "block"),
        ({"code": 550, "text": "550 no"}, "undetermined"),
        ({}, "undetermined"),
    ],
)
def test_bounce_of_unknown_word_is_judged_by_the_reply(bounce: dict[str, Any], expected: str) -> None:
    """Where no word says what kind of bounce it is, the reply may; a permanent one alone is no hard bounce."""
    (event,) = parse_changed(bounce=bounce)
    assert isinstance(event, Event)
    assert event.kind.event_type == "bounced"
    assert event.kind.bounce_kind == expected


def test_batch_has_one_event_for_each_recipient() -> None:
    """The places in the batch are those of the items."""
    assert [event.position for event in parse_payload(BATCH)] == [0, 0, 1, 2]
