import json
from typing import Any

import pytest

from bench.traffic import batches
from common.events import Event
from providers import sparkpost
from providers._sparkpost_regular import ODD, parse_regular

FIELDS = {
    "type": "delivery",
    "event_id": "7",
    "timestamp": "1454442600",
    "rcpt_to": "ada@example.com",
    "raw_rcpt_to": "ada@example.com",
    "recipient_domain": "example.com",
}


def build(**fields: Any) -> bytes:
    """A body with one regular event, and these fields in it."""
    return json.dumps([{"msys": {"message_event": FIELDS | fields}}], separators=(",", ":")).encode()


def read_slowly(body: bytes) -> list[Event]:
    """The events of a body by the way that takes anything."""
    return [event for event in sparkpost._parse_any(body, sparkpost._read_item) if type(event) is Event]


def compare(event: Event) -> tuple[object, ...]:
    """An event with its JSON decoded, so that the order of fields does not matter."""
    return (*event[:-1], json.loads(event.detail))


@pytest.mark.parametrize(
    "fields",
    [
        {"error_code": "554", "raw_reason": "550 5.1.1 no such user"},
        {"error_code": 554},
        {"raw_reason": "421 4.7.0 slow down"},
        {"error_code": {}},
    ],
)
def test_both_ways_read_the_same_reply(fields: dict[str, Any]) -> None:
    """Code and enhanced status, whatever form the code has."""
    body = build(type="bounce", bounce_class="10", **fields)
    found = parse_regular(body)
    assert found is not None
    (quick,) = found
    assert quick is not ODD
    assert [compare(quick)] == [compare(event) for event in read_slowly(body)]  # type: ignore[arg-type]


def test_both_ways_lead_to_the_same() -> None:
    """Generated traffic, nearly all regular, is read alike by both ways."""
    for body in batches(3000, seed=11):
        regular = list(parse_regular(body) or ())
        slow = read_slowly(body)
        assert sum(event is ODD for event in regular) < len(regular) / 20
        for quick, expected in zip(regular, slow, strict=True):
            assert quick is ODD or compare(quick) == compare(expected)  # type: ignore[arg-type]


IRREGULAR: list[dict[str, Any]] = [
    {"a_new_field": 1},
    {"timestamp": 1454442600},
    {"campaign_id": None},
    {"message_id": 7},
    {"rcpt_tags": [1]},
]


@pytest.mark.parametrize("fields", IRREGULAR)
def test_irregular_body_is_refused(fields: dict[str, Any]) -> None:
    """Unknown fields and unexpected types are for the other way, which reads them."""
    body = build(**fields)
    assert parse_regular(body) is None
    assert len(list(sparkpost.parse(body))) == 1


ODD_FIELDS: list[dict[str, Any]] = [
    {"timestamp": "01454442600"},
    {"timestamp": "2016-02-02T19:50:00Z"},
    {"event_id": "cd6d1d4a-8a8c-4b9d-a1c3-4f1c6f0f3b11"},
    {"rcpt_to": "Ada@example.com"},
    {"rcpt_to": ""},
    {"campaign_id": ""},
    {"message_id": "m" * 700},
    {"reason": "without the raw one"},
    {"user_agent_parsed": {"os_family": "iOS"}},
    {"rcpt_meta": {}},
    {"rcpt_meta": [1, 2, 3, 4]},
    {"user_agent": "x", "user_agent_parsed": [1]},
    {"bounce_class": "x"},
    {"type": "something_new"},
    {"type": "open"},
]


@pytest.mark.parametrize("fields", ODD_FIELDS)
def test_odd_event_is_told_apart(fields: dict[str, Any]) -> None:
    """What the columns would not give back letter by letter goes the other way, and comes back whole."""
    body = build(**fields)
    assert list(parse_regular(body) or ()) == [ODD]
    (event,) = sparkpost.parse(body)
    assert type(event) is Event
    assert sparkpost.restore(event) == json.loads(body)[0]


@pytest.mark.parametrize(
    "fields",
    [{}, {"rcpt_tags": []}, {"rcpt_tags": ["a"]}, {"raw_rcpt_to": "Ada@example.com"}, {"geo_ip": {"zip": None}}],
)
def test_regular_event_comes_back_whole(fields: dict[str, Any]) -> None:
    """What goes the quick way comes back as it was, nulls within other fields included."""
    body = build(**fields)
    (event,) = list(parse_regular(body) or [])
    assert type(event) is Event
    assert sparkpost.restore(event) == json.loads(body)[0]


def test_pings_are_nothing() -> None:
    """A ping is no event, between others too."""
    body = b'[{"msys":{}},' + build()[1:]
    first, second = list(parse_regular(body) or [])
    assert first is None
    assert type(second) is Event
    assert second.position == 1
