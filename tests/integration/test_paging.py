"""Walking the pages of a search while batches are loaded, late events among them."""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from psycopg2.extensions import connection as Connection

from query_events import events_message, message_events
from query_events.routing import Route
from s3_loader.loading import Loader
from tests.integration.batches import LIMITS, make_batch, make_event
from tests.integration.conftest import Connect
from tests.integration.requests import make_request

RANGE = 600  # seconds in which all events lie: many share one
AT_START = 150
BATCH = 10  # events
MOST_BATCHES = 60  # of a walk: it must come to its end
KINDS = ("delivery", "injection", "bounce")
CAMPAIGNS = ("black friday", "newsletter", None)


class Traffic:
    """Loads batches of events of any age within the range."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._loader = Loader()
        self._random = random.Random(3)
        self._batches = 0

    def load(self, prefix: str, count: int) -> list[str]:
        """The ids of the events that were loaded: the prefix before numbers."""
        self._batches += 1
        ids = [f"{prefix}{self._batches * 1000 + number}" for number in range(count)]
        choose = self._random.choice
        events = [
            make_event(
                event_id,
                type=choose(KINDS),
                campaign_id=choose(CAMPAIGNS),
                rcpt_to=choose(["ada@example.com", "bob@example.com"]),
                age=self._random.randrange(61, RANGE),
            )
            for event_id in ids
        ]
        batch = make_batch(events, key=f"raw/sparkpost/2026/11/21/12/{self._batches}")
        self._loader.load(self._connection, batch, LIMITS)
        return ids


@contextmanager
def keep_loading(traffic: Traffic) -> Iterator[Callable[[], None]]:
    """Loads batches in a thread; what is yielded waits for one more. Raises what the thread raised."""
    loaded, stop = threading.Semaphore(0), threading.Event()
    failures: list[Exception] = []

    def run() -> None:
        try:
            for _ in range(MOST_BATCHES):
                if stop.is_set():
                    return
                traffic.load("9", BATCH)
                loaded.release()
        except Exception as failure:  # noqa: BLE001 (the test's own thread raises it)
            failures.append(failure)

    def wait() -> None:
        while thread.is_alive() and not loaded.acquire(timeout=0.05):
            pass

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield wait
    finally:
        stop.set()
        thread.join()
    if failures:
        raise failures[0]


def find_next(links: Any) -> dict[str, str] | None:
    """The parameters of the next page in either dialect's links."""
    if isinstance(links, list):
        links = {link["rel"]: link["href"] for link in links}
    return dict(parse_qsl(urlsplit(links["next"]).query)) if "next" in links else None


def walk(
    connection: Connection, route: Route, given: dict[str, str], between: Callable[[], None]
) -> tuple[list[str], set[int]]:
    """The ids on all pages in order, and the totals that they told."""
    seen: list[str] = []
    totals = set()
    following: dict[str, str] | None = given
    while following is not None:
        page = make_request(connection, route, following)
        seen += [result["event_id"] for result in page["results"]]
        totals.add(page["total_count"])
        following = find_next(page["links"])
        between()
    return seen, totals


SEARCHES = [
    {},
    {"recipients": "ada@example.com"},
    {"campaigns": "friday"},
    {"not.campaigns": "friday", "events": "delivery,bounce"},
]
ROUTES = (*events_message.ROUTES, *message_events.ROUTES)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
@pytest.mark.parametrize("given", SEARCHES, ids=lambda given: " ".join(given) or "all")
def test_walk_yields_each_event_of_the_start_once(connect: Connect, given: dict[str, str], route: Route) -> None:
    """Batches that are loaded meanwhile, with events from before and behind the cursor, neither hide nor double any."""
    traffic = Traffic(connect("mailwake_loader"))
    traffic.load("1", AT_START)
    query = connect("mailwake_query")
    query.autocommit = True
    at_start, _ = walk(query, route, {**given, "per_page": "10000"}, lambda: None)
    assert 20 < len(at_start) <= AT_START
    with keep_loading(traffic) as wait:
        seen, totals = walk(query, route, {**given, "per_page": "9"}, wait)
    assert len(seen) == len(set(seen))
    assert [event_id for event_id in seen if event_id.startswith("1")] == at_start
    assert len(seen) > len(at_start)  # late events behind the cursor are found too
    assert len(totals) == 1


def test_late_event_before_the_cursor_does_not_come_back(connect: Connect) -> None:
    """An event that is loaded late but is newer than the last page's end is not on later pages, nor moves them."""
    loader, query = connect("mailwake_loader"), connect("mailwake_query")
    ages = {"1": 100, "2": 200, "3": 300, "4": 300, "5": 400}

    def load(events: dict[str, int], key: str) -> None:
        batch = make_batch([make_event(event_id, age=age) for event_id, age in events.items()], key=key)
        Loader().load(loader, batch, LIMITS)

    load(ages, "raw/sparkpost/2026/11/21/12/first")
    late = iter([{"60": 99, "61": 350}, {"62": 150, "63": 300}])

    def between() -> None:
        events = next(late, None)
        if events:
            load(events, f"raw/sparkpost/2026/11/21/12/{min(events)}")

    seen, _ = walk(query, ROUTES[0], {"per_page": "2"}, between)
    assert set(ages) <= set(seen)
    assert {"60", "62"}.isdisjoint(seen)
    assert "61" in seen
    assert len(seen) == len(set(seen))
