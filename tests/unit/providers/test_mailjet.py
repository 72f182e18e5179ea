"""Mailjet: what its payloads alone don't show."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from common.events import Event, Unparseable
from providers import Delivery, UnverifiedError, find_provider
from providers.mailjet import parse, restore, verify
from tests.unit.providers.payloads import flatten, list_payloads

DELIVERY = Delivery(datetime(2026, 11, 21, 9, 30, tzinfo=UTC), "application/json")
PAYLOADS = {payload.name.removeprefix("mailjet/"): payload for payload in list_payloads("mailjet")}
CLICK: dict[str, Any] = {
    "event": "click",
    "time": 1795252334,
    "MessageID": 19421777835146491,
    "email": "ada@example.com",
    "url": "https://shop.example.com/a",
}


def parse_value(value: object) -> list[Event | Unparseable]:
    """What a body with this JSON becomes."""
    return list(parse(json.dumps(value).encode(), DELIVERY))


def read_event(item: dict[str, Any]) -> Event:
    """The event of a bare object, which it gives back whole."""
    (event,) = parse_value(item)
    assert isinstance(event, Event), event
    assert restore(event) == item
    return event


def read(**fields: Any) -> dict[str, Any]:
    """The values of a click with these fields."""
    return flatten(read_event(CLICK | fields))


def test_wrong_credentials() -> None:
    """Basic authentication or the path, each with any live secret and no other; nothing gets in without."""
    batch, alone = PAYLOADS["batch"], PAYLOADS["sent_alone"]
    for payload in (batch, alone):
        verify(payload.request, payload.secrets[::-1], payload.now)
        for secrets in ([], payload.secrets[:1]):
            with pytest.raises(UnverifiedError, match="wrong credentials"):
                verify(payload.request, secrets, payload.now)
    with pytest.raises(UnverifiedError, match="wrong credentials"):
        verify(alone.request._replace(path_secret="Nu7-kl0Wv3"), alone.secrets, alone.now)
    for header, problem in (("", "no basic"), ("Bearer Nu7-kl0Wv2", "no basic"), ("Basic !", "malformed base64")):
        with pytest.raises(UnverifiedError, match=problem):
            verify(batch.request._replace(headers={"authorization": header}), batch.secrets, batch.now)


def test_failures_are_sent_again() -> None:
    """Anything but 200 is a failure to Mailjet, so the usual answers lose nothing."""
    provider = find_provider("mailjet")
    assert provider is not None
    assert provider.METHODS == ("POST",)
    assert 200 not in provider.ANSWERS


def test_bare_object_or_array() -> None:
    """The console groups events or not, for each type of event: the same event is the same in both forms."""
    other = CLICK | {"email": "grace@example.net"}
    alone, grouped = parse_value(CLICK), parse_value([other, CLICK])
    assert isinstance(alone[0], Event)
    assert isinstance(grouped[1], Event)
    assert grouped[1]._replace(position=0) == alone[0]
    assert parse_value([]) == []


def test_number_of_the_message_keeps_all_digits() -> None:
    """It is beyond what a double holds; where it comes as a text too, that one counts, where it is missing the GUID."""
    assert read()["message_id"] == "19421777835146491"
    assert read(mj_message_id="19421777835146493")["message_id"] == "19421777835146493"
    assert read(MessageID=1152921504606846977)["message_id"] == "1152921504606846977"
    assert read(MessageID=0, Message_GUID="1ab23cd4")["message_id"] == "1ab23cd4"


@pytest.mark.parametrize(
    ("payload", "custom_id", "metadata"),
    [
        ("", "", None),
        (None, None, None),
        ('{"a": 1}', "", {"a": 1}),
        ('{"a": 1}', "x", {"a": 1, "CustomID": "x"}),
        ('{"CustomID": "own"}', "x", {"CustomID": "own"}),
        ("plain", "", {"Payload": "plain"}),
        ('{"cut": "of', "", {"Payload": '{"cut": "of'}),
        ("[1]", "", {"Payload": "[1]"}),
        ({"a": 1}, "", {"a": 1}),
        (7, "", {"Payload": 7}),
    ],
)
def test_what_the_sender_attached(payload: object, custom_id: object, metadata: object) -> None:
    """Payload is mostly JSON, and may be any text, cut, or empty; metadata is always an object."""
    assert read(Payload=payload, CustomID=custom_id).get("metadata") == metadata


@pytest.mark.parametrize(
    ("word", "error", "hard", "expected"),
    [
        ("bounce", "user unknown", True, ("bounced", "hard", "invalid")),
        ("bounce", "mailbox inactive", True, ("bounced", "hard", "bounced")),
        ("bounce", "", True, ("bounced", "hard", "bounced")),
        ("bounce", "connection issue", False, ("bounced", "soft", "timed_out")),
        ("bounce", "something new", False, ("bounced", "soft", "other")),
        ("bounce", "Greylisted", False, ("deferred", "soft", "other")),
        ("bounce", "greylisted", True, ("bounced", "hard", "other")),
        ("bounce", "policy issue", True, ("bounced", "block", "blocked")),
        ("blocked", "spam reporter", None, ("rejected", None, "spam")),
        ("blocked", "mailbox inactive", None, ("rejected", None, "bounced")),
        ("blocked", "typofix", None, ("rejected", None, "invalid")),
        ("blocked", "duplicate in campaign", None, ("rejected", None, "other")),
        ("blocked", "something new", None, ("rejected", None, "blocked")),
        ("blocked", "bad or empty template", None, ("failed", None, None)),
        ("sent", "", None, ("delivered", None, None)),
        ("parked", "user unknown", True, ("unknown", None, None)),
    ],
)
def test_types_are_told_apart(
    word: str, error: str, hard: object, expected: tuple[str, str | None, str | None]
) -> None:
    """Sent means delivered; only what is greylisted is tried again; a new word is unknown, not an error."""
    kind = read_event(CLICK | {"event": word, "error": error, "hard_bounce": hard}).kind
    assert (kind.event_type, kind.bounce_kind, kind.reject_reason) == expected
    assert kind.provider_type.startswith(word)


def test_same_event_again() -> None:
    """Without an id: message, type, time, link and reader tell events apart; what else changes does not."""
    first = read_event(CLICK)
    assert first.event_id.startswith("hash:")
    assert read_event(CLICK | {"geo": "FR", "mj_contact_id": 5}).event_id == first.event_id
    others = [
        {"time": CLICK["time"] + 1},
        {"url": "https://shop.example.com/b"},
        {"email": "grace@example.net"},
        {"MessageID": 19421777835146492},
        {"event": "open"},
        {"ip": "192.0.2.1"},
        {"agent": "Thunderbird"},
    ]
    assert len({first.event_id, *(read_event(CLICK | other).event_id for other in others)}) == len(others) + 1
    bare = {"event": "unsub", "time": 1795252334, "email": "ada@example.com"}
    assert read_event(bare).event_id != read_event(bare | {"mj_list_id": 2}).event_id


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("text", "neither an event nor an array"),
        ([[]], "not an object"),
        ({}, "the event has no event"),
        (CLICK | {"event": ["click"]}, "the event has no event"),
        (CLICK | {"time": None}, "timestamp"),
        (CLICK | {"time": 10**30}, "timestamp"),
        ({"Sender": "ada@example.com", "Headers": {}, "Parts": []}, "Parse API"),
    ],
)
def test_wrong_shapes_are_set_aside(value: object, reason: str) -> None:
    """Each with what is wrong in words, without what it says; a mail that came in is called what it is."""
    (problem,) = parse_value(value)
    assert isinstance(problem, Unparseable)
    assert reason in problem.reason
    assert "ada" not in problem.reason


def test_the_batch_goes_on_behind_a_wrong_event() -> None:
    """What is wrong with one event does not keep the others."""
    first, problem, last = parse_value([CLICK, {"event": "open"}, CLICK | {"event": "open"}])
    assert isinstance(problem, Unparseable)
    assert problem.position == 1
    assert isinstance(first, Event)
    assert isinstance(last, Event)
    assert last.position == 2
