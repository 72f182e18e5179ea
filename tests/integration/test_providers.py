"""Every provider's payloads, as they are and changed, go through the loader into Postgres, and come back out of it."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from common.clock import format_instant
from common.event_keys import make_event_key
from common.events import Event, Unparseable
from common.objects import StoredObject
from providers import list_mappings, list_providers
from query_events.given import read_parameters
from query_events.search import complete_range, search_events
from s3_loader.batches import Batch, Limits, parse_batch, read_batch
from s3_loader.loading import Load, Loader, Outcome
from tests.fuzz.changes import change_body
from tests.fuzz.checks import dump
from tests.integration.conftest import NOW, Connect
from tests.integration.test_loading import count, select
from tests.unit.providers.payloads import Payload, list_payloads

ALL = [*list_providers(), *list_mappings()]
CHANGES = 12  # of each payload
# SparkPost's samples are of 2016, and changed times of any year.
LIMITS = Limits(timedelta(days=4000), datetime(2015, 1, 1, tzinfo=UTC))


def make_batch(payload: Payload, body: bytes, name: str) -> Batch:
    """The batch that the loader reads of what the listener stored."""
    delivery = payload.delivery
    metadata = {
        "provider": payload.request.provider,
        "received-at": format_instant(payload.now),
        "request-id": "request-1",
        "batch-id": f"{delivery.batch_id}{name}" if delivery.batch_id and payload.provider.SINGLE_USE_BATCH_ID else "",
        "content-type": delivery.content_type,
        "query": delivery.query,
    }
    present = {key: value for key, value in metadata.items() if value}
    return read_batch(f"raw/{payload.request.provider}/2026/11/21/12/{name}", StoredObject(body, present))


def parse(batch: Batch) -> Iterable[Any]:
    """What the loader goes over."""
    return parse_batch(batch, LIMITS)


def find_all(connect: Connect) -> list[Event]:
    """Whatever the search finds."""
    found: list[Event] = []
    values = read_parameters({"from": "2015-01-01T00:00", "to": "2026-12-31T00:00", "per_page": "10000"})
    complete_range(values, NOW)
    found += search_events(connect("mailwake_query"), values, None).events
    return found


@pytest.mark.parametrize("provider", ALL)
def test_payloads_load_and_come_back(connect: Connect, provider: str) -> None:
    """Each event of each payload is there, none is set aside, and gives back the item that was sent."""
    loader, connection = Loader(), connect("mailwake_loader")
    sent: list[str] = []
    known: set[tuple[datetime, int]] = set()
    for payload in list_payloads(provider):
        batch = make_batch(payload, payload.body, payload.name.replace("/", "-"))
        events = [event for event in parse(batch) if isinstance(event, Event)]
        sent += [dump(payload.provider.restore(event)) for event in events]
        load = loader.load(connection, batch, LIMITS)
        assert (load.outcome, load.quarantined, load.expired) == (Outcome.LOADED, 0, 0)
        assert load.events == len(events) == len(payload.events)
        known |= {(event.occurred_at, make_event_key(provider, event.event_id)) for event in events}
    restored = [dump(list_payloads(provider)[0].provider.restore(event)) for event in find_all(connect)]
    assert len(restored) == len(known)  # some payloads hold the same event
    assert set(restored) <= set(sent)
    assert count(connection, "quarantine") == 0


@pytest.mark.parametrize("provider", ALL)
def test_changed_payloads_load(connect: Connect, provider: str) -> None:
    """Postgres takes whatever the parser lets through: what is set aside is what the parser set aside."""
    loader, connection = Loader(), connect("mailwake_loader")
    chance = Random(provider)  # the same changes every time
    for payload in list_payloads(provider):
        for number in range(CHANGES):
            body = change_body(payload.body, chance)
            batch = make_batch(payload, body, f"{payload.name.replace('/', '-')}-{number}")
            parsed = list(parse(batch))
            load = loader.load(connection, batch, LIMITS)
            assert load == Load(
                Outcome.LOADED,
                sum(isinstance(entry, Event) for entry in parsed),
                load.duplicates,
                sum(isinstance(entry, Unparseable) for entry in parsed),
                load.expired,
            ), body
    rows = select(connection, "SELECT reason, item FROM quarantine")
    assert not [reason for reason, _ in rows if "Postgres refuses" in reason]
    assert all(json.loads(item) is None or item for _, item in rows if len(item) < 10_000)
    provider_of = list_payloads(provider)[0].provider
    for event in find_all(connect):
        provider_of.restore(event)
