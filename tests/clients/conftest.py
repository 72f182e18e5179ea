"""A stack with thousands of events for all clients, loaded through the webhook as SparkPost's come."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bench.traffic import batches
from local.stack import Stack
from tests.stack.client import await_true, post, select

EVENTS = 3_500
SPREAD = timedelta(days=55)  # more than the traffic lasts, so that all of it is past


class Traffic(NamedTuple):
    """What the stack holds: the events as they were sent, and a range of time around all of them."""

    events: list[dict[str, Any]]
    begin: datetime
    end: datetime

    def ids(self, *types: str) -> list[str]:
        """The ids of all events, or of those of some types, in order."""
        return sorted(event["event_id"] for event in self.events if not types or event["type"] in types)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder bears the marker."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.clients)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running stack of these tests' own."""
    with Stack(directory=tmp_path_factory.mktemp("clients")) as running:
        yield running


@pytest.fixture(scope="session")
def traffic(stack: Stack) -> Traffic:
    """Events of many types, campaigns and recipients, all loaded; none came twice."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    begin = midnight - SPREAD
    events: list[dict[str, Any]] = []
    for body in batches(EVENTS, seed=3, start=begin):
        assert post(stack, body) == 200
        events += (event for wrapped in json.loads(body) for event in wrapped["msys"].values())
    await_true(
        lambda: select(stack, "SELECT count(*) FROM events WHERE occurred_at < %s", midnight) == [(EVENTS,)],
        f"{EVENTS} loaded events",
        patience=60,
    )
    assert len({event["event_id"] for event in events}) == EVENTS
    return Traffic(events, begin, midnight)
