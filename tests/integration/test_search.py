from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from psycopg2.extensions import connection as Connection

from common.errors import ApiError
from query_events import events_message
from query_events.events_message import ROUTES
from s3_loader.loading import Loader
from tests.integration.batches import LIMITS, make_batch, make_event
from tests.integration.conftest import Connect
from tests.integration.requests import make_request


@pytest.fixture
def query(connect: Connect) -> Connection:
    """The query function's connection, to a database with ten events of ada's and one of bob's."""
    events = [make_event(str(number), age=3600 * number) for number in range(1, 11)]
    events.append(make_event("11", type="bounce", rcpt_to="Bob@example.com", raw_rcpt_to="Bob@example.com"))
    batch = make_batch(events)
    Loader().load(connect("mailwake_loader"), batch, LIMITS)
    return connect("mailwake_query")


def search(connection: Connection, **given: str) -> dict[str, Any]:
    """The decoded answer to a search."""
    return make_request(connection, ROUTES[0], given)


def list_ids(answer: dict[str, Any]) -> list[str]:
    """The event ids of an answer, in order."""
    return [result["event_id"] for result in answer["results"]]


def test_newest_come_first(query: Connection) -> None:
    """Without parameters: the last day, newest first, in the shape of SparkPost's answer."""
    answer = search(query)
    assert list_ids(answer) == ["11", *(str(number) for number in range(1, 11))]
    assert answer["total_count"] == 11
    assert answer["links"] == {}


@pytest.mark.parametrize(
    "address", ["bob@example.com", "BOB@EXAMPLE.COM", " bob@example.com ", "x@y.z,bob@example.com"]
)
def test_recipient_is_found_in_any_case(query: Connection, address: str) -> None:
    """Case and white space of an address do not matter; several may be listed."""
    assert list_ids(search(query, recipients=address)) == ["11"]


def test_types_are_the_providers(query: Connection) -> None:
    """`events` takes SparkPost's types."""
    assert list_ids(search(query, events="bounce")) == ["11"]
    assert len(list_ids(search(query, events="bounce,delivery"))) == 11
    assert list_ids(search(query, events="click")) == []


def test_from_is_inclusive_and_to_is_exclusive(query: Connection) -> None:
    """An event at `from` is found, one at `to` is not."""
    answer = search(query, **{"from": "2026-11-21T09:00:00Z", "to": "2026-11-21T10:00:00Z"})
    assert list_ids(answer) == ["3"]


def test_to_alone_searches_the_day_before_it(query: Connection) -> None:
    """`to` without `from` is allowed, and looks a day back from there."""
    assert list_ids(search(query, to="2026-11-21T03:30:00Z")) == ["9", "10"]


def test_last_minute_is_left_out_unless_asked_for(query: Connection, connect: Connect) -> None:
    """By default `to` is a minute ago."""
    batch = make_batch([make_event("99", age=30)], key="raw/sparkpost/2026/11/21/12/two")
    Loader().load(connect("mailwake_loader"), batch, LIMITS)
    assert "99" not in list_ids(search(query))
    assert "99" in list_ids(search(query, to="2026-11-21T12:00:00Z"))


def test_links_lead_through_all_pages_once(query: Connection) -> None:
    """Following `links.next` yields each event once, in order, with the same total on each page."""
    given: dict[str, str] = {"per_page": "3", "recipients": "ada@example.com", "cursor": "initial"}
    seen: list[str] = []
    answer: dict[str, Any] = {}
    for _ in range(4):
        answer = search(query, **given)
        assert answer["total_count"] == 10
        seen += list_ids(answer)
        if answer["links"]:
            url = urlsplit(answer["links"]["next"])
            assert url.path == "/api/v1/events/message"
            given = dict(parse_qsl(url.query))
    assert seen == [str(number) for number in range(1, 11)]
    assert answer["links"] == {}


def test_pages_hold_still_while_events_arrive(query: Connection, connect: Connect) -> None:
    """Events that arrive between two pages do not shift the second."""
    first = search(query, per_page="5")
    batch = make_batch([make_event("50", age=61), make_event("51", age=62)], key="raw/sparkpost/2026/11/21/12/two")
    Loader().load(connect("mailwake_loader"), batch, LIMITS)
    second = search(query, **dict(parse_qsl(urlsplit(first["links"]["next"]).query)))
    assert list_ids(first) + list_ids(second) == ["11", *(str(number) for number in range(1, 10))]


def test_events_of_one_second_are_all_found(query: Connection, connect: Connect) -> None:
    """Paging goes on in the middle of a second."""
    batch = make_batch([make_event(str(100 + number), age=7200) for number in range(7)], key="raw/x/2026/11/21/12/two")
    Loader().load(connect("mailwake_loader"), batch, LIMITS)
    given = {"from": "2026-11-21T10:00:00Z", "to": "2026-11-21T10:00:01Z", "per_page": "2"}
    seen: list[str] = []
    while given:
        answer = search(query, **given)
        seen += list_ids(answer)
        given = dict(parse_qsl(urlsplit(answer["links"].get("next", "")).query))
    assert sorted(seen) == ["100", "101", "102", "103", "104", "105", "106", "2"]


def test_large_page_ends_early(query: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that would be larger than a Lambda may answer ends early, and its link goes on from there."""
    monkeypatch.setattr(events_message, "LARGEST_RESULTS", 1500)
    first = search(query)
    assert 0 < len(first["results"]) < 11
    seen = list_ids(first)
    answer = first
    while answer["links"]:
        answer = search(query, **dict(parse_qsl(urlsplit(answer["links"]["next"]).query)))
        seen += list_ids(answer)
    assert len(seen) == len(set(seen)) == first["total_count"] == 11


def test_values_have_the_types_of_the_events_api(query: Connection, connect: Connect) -> None:
    """Ids of account and subaccount are integers, coordinates are floats, times ISO 8601 in UTC with milliseconds."""
    geo = {"country": "US", "latitude": "39.17", "longitude": -76, "zip": "21044"}
    item = make_event("77", event_class="track_event", type="open", customer_id="1", subaccount_id="101", geo_ip=geo)
    batch = make_batch([item], key="raw/sparkpost/2026/11/21/12/two")
    Loader().load(connect("mailwake_loader"), batch, LIMITS)
    (result,) = search(query, events="open")["results"]
    assert (result["customer_id"], result["subaccount_id"]) == (1, 101)
    assert result["geo_ip"] == {"country": "US", "latitude": 39.17, "longitude": -76.0, "zip": 21044.0}
    assert result["timestamp"] == "2026-11-21T11:58:30.000Z"


INJECTIONS = ["'; DROP TABLE events; --", "%", "_", "%(recipients)s", "%s", "\\", "{}", "\0", "a" * 5000]


@pytest.mark.parametrize("text", INJECTIONS)
@pytest.mark.parametrize("name", ["recipients", "events"])
def test_values_are_bound(query: Connection, name: str, text: str) -> None:
    """No value is taken for SQL."""
    assert search(query, **{name: text})["results"] == []
    assert len(search(query)["results"]) == 11


@pytest.mark.parametrize(
    ("name", "text"),
    [("from", "yesterday"), ("to", "2026-13-01T00:00"), ("per_page", "0"), ("per_page", "10001"), ("cursor", "x!")],
)
def test_bad_values_are_refused(query: Connection, name: str, text: str) -> None:
    """A value that can't be read is a 400 which names its parameter."""
    with pytest.raises(ApiError) as caught:
        search(query, **{name: text})
    assert (caught.value.status, caught.value.code) == (400, "1200")
    assert caught.value.description.startswith(name)
