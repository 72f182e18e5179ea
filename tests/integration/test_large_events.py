"""Events of which an answer can hold few, or not even one."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from psycopg2.extensions import connection as Connection

from common.errors import ApiError
from query_events import events_message, message_events, originals, recipients
from query_events.routing import Route
from tests.integration.conftest import Connect
from tests.integration.lookups import ask, make_loader, tell

(EVENTS,), (V1,), (RECIPIENT,), (EVENT,) = (
    module.ROUTES for module in (events_message, message_events, recipients, originals)
)
LAMBDAS_LIMIT = 6 * 1024 * 1024
HUGE, LARGE = 2_700_000, 300_000  # characters, the first of them quotes, which take two bytes and more
NUMBER = 30


@pytest.fixture
def query(connect: Connect) -> Connection:
    """The query function's connection, to a database with large events of ada's, and a huge one of bob's."""
    load = make_loader(connect("mailwake_loader"))
    for number in range(NUMBER):
        load(tell(number, f"m{number}", "delivery", 100 + number, note="x" * LARGE))
    load(tell(99, "m99", "delivery", 110.5, note='"' * HUGE, rcpt_to="bob@example.com"))
    connection = connect("mailwake_query")
    connection.autocommit = True
    return connection


def find_next(answer: dict[str, Any]) -> dict[str, str] | None:
    """The parameters of the next page."""
    links = answer["links"]
    link = links.get("next") if isinstance(links, dict) else {each["rel"]: each["href"] for each in links}.get("next")
    return dict(parse_qsl(urlsplit(link).query)) if link else None


def measure(answer: Any) -> int:
    """Bytes that an answer takes within Lambda's."""
    return len(json.dumps(json.dumps(answer, separators=(",", ":"), ensure_ascii=False)))


@pytest.mark.parametrize("route", [EVENTS, V1], ids=["events", "v1"])
def test_links_lead_past_events_of_any_size(query: Connection, route: Route) -> None:
    """Each event is found once, in answers that a Lambda can give; one that none can hold is shortened."""
    seen: list[dict[str, Any]] = []
    given: dict[str, str] | None = {"per_page": "25"}
    while given:
        answer = ask(query, route, **given)
        assert answer["total_count"] == NUMBER + 1
        assert measure(answer) < LAMBDAS_LIMIT
        seen += answer["results"]
        given = find_next(answer)
    assert sorted(int(event["event_id"]) for event in seen) == [*range(NUMBER), 99]
    (short,) = [event for event in seen if event.get("shortened")]
    assert (short["event_id"], short["message_id"], "note" in short) == ("99", "m99", False)


def list_pages(size: int, count: Callable[[dict[str, Any]], int], query: Connection) -> list[list[str]]:
    """The ids on the pages of a client that counts them by itself."""
    given = {"per_page": str(size), "recipients": "ada@example.com"}
    first = ask(query, V1, **given)
    pages = [first, *(ask(query, V1, page=str(page), **given) for page in range(2, count(first) + 1))]
    return [[event["event_id"] for event in page["results"]] for page in pages]


def test_counted_pages_hold_everything_once_or_are_refused(query: Connection) -> None:
    """Who counts pages finds each event once where answers can hold them, and is told where they can't."""
    pages = list_pages(8, lambda first: -(-first["total_count"] // 8), query)
    assert pages == [[str(number) for number in range(NUMBER)[at : at + 8]] for at in range(0, NUMBER, 8)]
    with pytest.raises(ApiError) as caught:
        list_pages(20, lambda _: 2, query)
    assert (caught.value.status, caught.value.code) == (400, "1200")
    assert "page 1" in caught.value.description
    assert "per_page" in caught.value.description


def test_huge_event_can_be_looked_up(query: Connection) -> None:
    """The views of its recipient and of the event itself show what has room, and say what is missing."""
    answer = ask(query, RECIPIENT, "bob@example.com")
    (message,) = answer["results"]["messages"]
    assert message["state"]["name"] == "delivered"
    (event,) = message["events"]
    assert event["shortened"] is True
    assert measure(answer) < LAMBDAS_LIMIT
    found = ask(query, EVENT, event["event_key"])["results"]
    assert found["original"] is None
    assert "larger" in found["withheld"]
    assert found["batch"]["object_key"]
    assert measure(found) < LAMBDAS_LIMIT
