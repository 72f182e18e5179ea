import json
from typing import Any

import pytest

from common.events import Event, Unparseable
from providers import Delivery, unisender_go
from providers._events import read_events
from providers._unisender_go_regular import parse_regular
from tests.unit.providers.payloads import list_payloads

BODIES = [
    payload.body
    for payload in list_payloads()
    if payload.request.provider == "unisender_go" and b"events_by_user" in payload.body
]
DATA = {
    "job_id": "1tEabc-0000OZ-S0",
    "email": "ada@example.com",
    "status": "clicked",
    "event_time": "2026-11-21 09:29:00",
    "url": "https://shop.example.com/",
    "metadata": {"z": 1, "a": {"c": [{"y": 1.5, "b": "\u00fc"}], "b": None}},
    "delivery_info": {"user_agent": "Mozilla/5.0", "ip": "192.0.2.9"},
}
LARGE = 10**30


def build(data: Any, **user: Any) -> bytes:
    """A body with a regular event, and one with these fields."""
    items = [{"event_name": "transactional_email_status", "event_data": entry} for entry in (DATA, data)]
    return json.dumps({"auth": "0" * 32, "events_by_user": [{"user_id": 456, "events": items} | user]}).encode()


def compare(found: Event | Unparseable) -> tuple[object, ...]:
    """An event with its JSON decoded: the order of fields does not matter."""
    return (*found[:-1], json.loads(found.detail)) if isinstance(found, Event) else found


def read_quickly(body: bytes) -> list[tuple[object, ...]]:
    """What a body holds by the usual way."""
    return [compare(found) for found in unisender_go.parse(body, Delivery(list_payloads()[0].now))]


def read_slowly(body: bytes) -> list[tuple[object, ...]]:
    """The same by the way that takes anything."""
    found = read_events(lambda: unisender_go._find_items(body), unisender_go._read, unisender_go.TAKEN, body=body)
    return [compare(entry) for entry in found]


@pytest.mark.parametrize("body", BODIES)
def test_both_ways_lead_to_the_same(body: bytes) -> None:
    """Each payload with a list is taken by the quick way, which gives the same events under the same ids."""
    assert parse_regular(body) is not None
    assert read_quickly(body) == read_slowly(body)


ODD: list[dict[str, Any]] = [
    {"email": "ada <ada@example.com>"},
    {"email": "ADA@example.com"},
    {"email": "nobody"},
    {"email": ""},
    {"job_id": "j" * 700},
    {"job_id": ""},
    {"status": ""},
    {"url": ""},
    {"event_time": "20261121T09:29:00.0"},
    {"event_time": ""},
]


@pytest.mark.parametrize("fields", ODD)
def test_odd_event_takes_the_other_way(fields: dict[str, Any]) -> None:
    """What the columns would not give back is no reason to read its neighbours slowly."""
    body = build(DATA | fields)
    assert [type(found) for found in parse_regular(body) or ()] == [Event, dict]
    assert read_quickly(body) == read_slowly(body)


REGULAR: list[dict[str, Any]] = [
    {},
    {"metadata": {}},
    {"delivery_info": {}},
    {"delivery_info": {"destination_response": "", "ip": "", "user_agent": "", "delivery_status": ""}},
    {"delivery_info": {"destination_response": "550 5.1.1 no", "delivery_status": "err_user_unknown"}},
    {"domain": "example.com", "SMTP_blocks_count": 3},
    {"metadata": {"large": LARGE}, "SMTP_blocks_count": LARGE},
]


@pytest.mark.parametrize("fields", REGULAR)
def test_regular_event_is_read_alike(fields: dict[str, Any]) -> None:
    """What is absent or empty, and what has no column, is the same by both ways."""
    body = build(DATA | fields, user_id=LARGE, project_id="77", project_name="Shop")
    assert [type(found) for found in parse_regular(body) or ()] == [Event, Event]
    assert read_quickly(body) == read_slowly(body)


IRREGULAR: list[dict[str, Any]] = [
    {"comment": "a field that is not known here"},
    {"url": None},
    {"job_id": 7},
    {"metadata": []},
    {"retry_count": 1},
]


@pytest.mark.parametrize("fields", IRREGULAR)
def test_irregular_body_is_refused(fields: dict[str, Any]) -> None:
    """Unknown fields and unexpected values are for the other way, which reads them."""
    body = build(DATA | fields)
    assert parse_regular(body) is None
    assert len(read_quickly(body)) == 2


@pytest.mark.parametrize("user", [{"user_id": [1]}, {"events": None}, {"events": [1]}, {"events": {}}, {"other": 1}])
def test_irregular_user_is_refused(user: dict[str, Any]) -> None:
    """What is around the events decides too, and breaks nothing."""
    body = build(DATA, **user)
    assert parse_regular(body) is None
    assert read_quickly(body) == read_slowly(body)
