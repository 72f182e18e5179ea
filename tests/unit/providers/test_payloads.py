"""What holds for every provider, shown on all its payloads."""

import json

import pytest

from common.events import EVENT_TYPES, Event
from tests.unit.providers.payloads import Payload, flatten, list_payloads, parse_payload

PAYLOADS = list_payloads()
BY_NAME = [pytest.param(payload, id=payload.name) for payload in PAYLOADS]


@pytest.mark.parametrize("payload", BY_NAME)
def test_payload_is_verified(payload: Payload) -> None:
    """The request as the provider sends it passes the provider's check."""
    payload.provider.verify(payload.request, payload.secrets, payload.now)


@pytest.mark.parametrize("payload", BY_NAME)
def test_payload_becomes_its_events(payload: Payload) -> None:
    """Each event has the values that the payload's expectation states, and none is left over."""
    events = list(parse_payload(payload))
    assert [type(event) for event in events] == [Event] * len(payload.events), events
    for event, expected in zip(events, payload.events, strict=True):
        values = flatten(event)
        assert {name: values.get(name) for name in expected} == expected
        assert event.kind.event_type in EVENT_TYPES
        assert event.kind.provider == payload.request.provider


@pytest.mark.parametrize("payload", BY_NAME)
def test_events_give_their_items_back(payload: Payload) -> None:
    """What was sent comes back whole, however much of it the columns keep."""
    items = [payload.provider.restore(event) for event in parse_payload(payload)]
    assert len(items) == len(payload.events)
    if payload.request.headers.get("content-type", "").partition(";")[0] == "application/json":
        sent = json.loads(payload.body)
        for item in items:
            assert contains(sent, item), item


def contains(whole: object, part: object) -> bool:
    """Whether a JSON value is somewhere within another."""
    if whole == part:
        return True
    if isinstance(whole, dict):
        return any(contains(value, part) for value in whole.values())
    return isinstance(whole, list) and any(contains(value, part) for value in whole)


@pytest.mark.parametrize("payload", BY_NAME)
def test_payload_says_its_origin(payload: Payload) -> None:
    """Nobody should take an imagined payload for a recorded one; none carries a real person's address."""
    assert payload.origin
    addresses = [values["recipient"] for values in map(flatten, parse_payload(payload)) if "recipient" in values]
    assert all(
        address.rpartition("@")[2].endswith(("example.com", "example.org", "example.net")) for address in addresses
    )
