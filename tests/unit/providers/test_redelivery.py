import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.event_keys import make_event_key
from common.events import Event
from tests.unit.providers.payloads import Payload, list_payloads, parse_payload

PAYLOADS = [payload for payload in list_payloads() if payload.events]
Key = tuple[str, Any, int]


def make_keys(events: list[Any]) -> list[Key]:
    """What each event is known by in the database."""
    assert all(isinstance(event, Event) for event in events), events
    return [
        (event.kind.provider, event.occurred_at, make_event_key(event.kind.provider, event.event_id))
        for event in events
    ]


def parse_items(payload: Payload, items: list[Any]) -> list[Any]:
    """The events of these items, sent as the payload was."""
    return list(payload.provider.parse(json.dumps(items).encode(), payload.delivery))


def find_arrays() -> dict[str, list[tuple[Payload, Any]]]:
    """Provider → the items of its payloads that are JSON arrays, each with its payload."""
    arrays: dict[str, list[tuple[Payload, Any]]] = {}
    for payload in PAYLOADS:
        if payload.body.lstrip().startswith(b"["):
            arrays.setdefault(payload.request.provider, []).extend((payload, item) for item in json.loads(payload.body))
    return arrays


ARRAYS = find_arrays()


@pytest.mark.parametrize("payload", [pytest.param(payload, id=payload.name) for payload in PAYLOADS])
def test_same_body_again_is_the_same_events(payload: Payload) -> None:
    """A body that comes twice, a day later the second time, holds the same events; different ones differ."""
    events: list[Any] = list(parse_payload(payload))
    first = make_keys(events)
    later = payload._replace(now=payload.now.replace(day=payload.now.day % 28 + 1))
    assert make_keys(list(parse_payload(later))) == first
    told = {(json.dumps(payload.provider.restore(event), sort_keys=True), event.recipient) for event in events}
    assert len(set(first)) == len(told)


@pytest.mark.parametrize("payload", [pytest.param(payload, id=payload.name) for payload in PAYLOADS])
def test_order_of_names_does_not_matter(payload: Payload) -> None:
    """A JSON object's names may come in another order."""
    if not payload.body.lstrip().startswith((b"{", b"[")):
        pytest.skip("not JSON")
    try:
        document = json.loads(payload.body)
    except ValueError:
        pytest.skip("JSON Lines")
    if "auth" in document or b'"Message"' in payload.body:
        pytest.skip("the body holds text whose order is signed")
    body = json.dumps(reverse(document)).encode()
    assert make_keys(list(payload.provider.parse(body, payload.delivery))) == make_keys(list(parse_payload(payload)))


def reverse(value: Any) -> Any:
    """The value with the names of all its objects in reverse order."""
    if isinstance(value, dict):
        return {name: reverse(value[name]) for name in reversed(value)}
    return [reverse(entry) for entry in value] if isinstance(value, list) else value


@pytest.mark.parametrize("provider", sorted(ARRAYS))
def test_any_grouping_and_order_is_the_same_events(provider: str) -> None:
    """However a provider puts items into batches when it sends them again, the set of events stays the same."""
    payload = ARRAYS[provider][0][0]
    items = [item for _, item in ARRAYS[provider]]
    whole = set(make_keys(parse_items(payload, items)))

    @settings(max_examples=25, deadline=None)
    @given(st.permutations(items), st.lists(st.integers(0, len(items)), max_size=4))
    def regroup(order: list[Any], cuts: list[int]) -> None:
        ends = sorted({0, len(order), *cuts})
        groups = [order[start:end] for start, end in pairwise(ends)]
        assert {key for group in groups for key in make_keys(parse_items(payload, group))} == whole

    regroup()


@pytest.mark.parametrize("second", [1, 3600])
def test_two_clicks_differ(second: int) -> None:
    """A later click on the same link by the same person is another event, also without an id: SendGrid's without it."""
    click = {"email": "ada@example.com", "event": "click", "timestamp": 1795252334, "url": "https://example.com/a"}
    (payload, _), *_ = ARRAYS["sendgrid"]
    events = parse_items(payload, [click, click | {"timestamp": 1795252334 + second}, click])
    first, later, again = make_keys(events)
    assert first == again != later
