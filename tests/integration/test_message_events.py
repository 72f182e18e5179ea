import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from psycopg2.extensions import connection as Connection

from common.errors import ApiError
from query_events import events_message, message_events
from query_events.pages import decode_event_key
from query_events.routing import READ_EVENTS, Caller, Route
from s3_loader.loading import Loader
from tests.integration.batches import LIMITS, make_batch, make_event
from tests.integration.conftest import Connect
from tests.integration.requests import REP, make_request

(EVENTS,) = events_message.ROUTES
(V1,) = message_events.ROUTES
BLIND = Caller("analyst", frozenset({READ_EVENTS}))


@pytest.fixture
def add(connect: Connect) -> Callable[..., None]:
    """Loads events, each call as a batch of its own."""
    connection = connect("mailwake_loader")
    keys = iter(range(1000))

    def load(*items: dict[str, Any]) -> None:
        batch = make_batch([*items], key=f"raw/sparkpost/2026/11/21/12/{next(keys)}")
        Loader().load(connection, batch, LIMITS)

    return load


@pytest.fixture
def query(connect: Connect, add: Callable[..., None]) -> Connection:
    """The query function's connection, to a database with ten events, one an hour."""
    add(*(make_event(str(number), age=3600 * number) for number in range(1, 11)))
    return connect("mailwake_query")


def ask(connection: Connection, route: Route = V1, caller: Caller = REP, /, **given: str) -> dict[str, Any]:
    """The decoded answer."""
    return make_request(connection, route, given, caller)


def follow(connection: Connection, link: str) -> dict[str, Any]:
    """The answer to a link."""
    url = urlsplit(link)
    assert url.path == V1.path
    return ask(connection, **dict(parse_qsl(url.query)))


def find_links(answer: dict[str, Any]) -> dict[str, str]:
    """The links of an answer by what they lead to."""
    return {link["rel"]: link["href"] for link in answer["links"]}


def list_ids(answer: dict[str, Any]) -> list[str]:
    """The event ids of an answer, in order."""
    return [result["event_id"] for result in answer["results"]]


def test_one_page_has_no_links(query: Connection) -> None:
    """Where one page holds all, `links` is an empty list; newest come first."""
    answer = ask(query)
    assert list_ids(answer) == [str(number) for number in range(1, 11)]
    assert (answer["total_count"], answer["links"]) == (10, [])


def test_nothing_found_has_no_links(query: Connection) -> None:
    """No results, no pages."""
    assert ask(query, recipients="nobody@example.com") == {"results": [], "total_count": 0, "links": []}


def test_links_are_those_of_the_page(query: Connection) -> None:
    """The first page leads on, the last one back, one between both ways."""
    rels = {
        number: [link["rel"] for link in ask(query, per_page="4", page=number)["links"]] for number in ("1", "2", "3")
    }
    both = ["first", "previous", "next", "last"]
    assert rels == {"1": ["next", "last"], "2": both, "3": ["first", "previous"]}


def test_pages_can_be_asked_for_by_number(query: Connection) -> None:
    """`page` counts from 1; the total is the same everywhere, also behind the last page."""
    pages = [ask(query, per_page="4", page=number) for number in ("1", "2", "3", "4")]
    assert [list_ids(page) for page in pages] == [["1", "2", "3", "4"], ["5", "6", "7", "8"], ["9", "10"], []]
    assert [page["total_count"] for page in pages] == [10] * 4


def test_links_lead_where_they_say(query: Connection) -> None:
    """Each link of the middle page leads to its page, with all filters and the same range."""
    middle = ask(query, per_page="4", page="2", recipients="ADA@example.com", to="2026-11-21T12:00")
    links = find_links(middle)
    found = {rel: list_ids(follow(query, link)) for rel, link in links.items()}
    first = ["1", "2", "3", "4"]
    assert found == {"first": first, "previous": first, "next": ["9", "10"], "last": ["9", "10"]}
    for link in links.values():
        given = dict(parse_qsl(urlsplit(link).query))
        assert (given["recipients"], given["per_page"]) == ("ADA@example.com", "4")
        assert (given["from"], given["to"]) == ("2026-11-20T12:00:00Z", "2026-11-21T12:00:00Z")


def test_range_of_links_is_that_of_the_first_page(query: Connection) -> None:
    """Times in a zone of the caller's stay what they were."""
    given = {"from": "2026-11-21T08:30", "to": "2026-11-21T11:30:00.123456", "timezone": "Europe/Berlin"}
    answer = ask(query, per_page="1", **given)
    assert (list_ids(answer), answer["total_count"]) == (["2"], 3)
    following = follow(query, find_links(answer)["next"])
    assert (list_ids(following), following["total_count"]) == (["3"], 3)


def test_following_next_yields_each_event_once_while_others_arrive(query: Connection, add: Callable[..., None]) -> None:
    """New events do not shift the pages that links lead to."""
    answer = ask(query, per_page="3")
    seen = list_ids(answer)
    arrived = 0
    while "next" in find_links(answer):
        arrived += 1
        add(make_event(str(50 + arrived), age=90 + arrived))
        answer = follow(query, find_links(answer)["next"])
        assert answer["total_count"] == 10
        seen += list_ids(answer)
    assert arrived == 3
    assert seen == [str(number) for number in range(1, 11)]


def test_page_that_ends_early_is_gone_on_with(query: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an answer can't hold a page, `next` goes on behind its last event, also on what would be the last page."""
    monkeypatch.setattr(events_message, "LARGEST_RESULTS", 2000)
    answer = ask(query)
    seen = list_ids(answer)
    assert 0 < len(seen) < 10
    while "next" in find_links(answer):
        answer = follow(query, find_links(answer)["next"])
        seen += list_ids(answer)
    assert seen == [str(number) for number in range(1, 11)]


@pytest.mark.parametrize(
    "given", [{"page": "0"}, {"page": "x"}, {"page": "9" * 30}, {"per_page": "0"}, {"cursor": "x!"}, {"timezone": "x"}]
)
def test_bad_values_are_refused(query: Connection, given: dict[str, str]) -> None:
    """A value that can't be read is a 400 which names its parameter."""
    with pytest.raises(ApiError) as caught:
        ask(query, **given)
    assert (caught.value.status, caught.value.code) == (400, "1200")
    assert caught.value.description.startswith(next(iter(given)))


def test_dialects_differ_in_their_values(query: Connection, add: Callable[..., None]) -> None:
    """The same event in both: types of value, forms of the time."""
    fields: dict[str, Any] = {"customer_id": "1", "subaccount_id": "101", "rcpt_meta": {"n": 1, "list": ["a"]}}
    add(make_event("77", event_class="track_event", type="open", geo_ip={"latitude": "39.17"}, **fields))
    (new,) = ask(query, EVENTS, events="open")["results"]
    (old,) = ask(query, V1, events="open")["results"]
    different = {name: (new.get(name), old[name]) for name in old if new.get(name) != old[name]}
    assert different == {
        "timestamp": ("2026-11-21T11:58:30.000Z", "2026-11-21T11:58:30.000+00:00"),
        "tdate": (None, "2026-11-21T11:58:30.000Z"),
        "customer_id": (1, "1"),
        "subaccount_id": (101, "101"),
        "rcpt_meta": ({"n": 1, "list": ["a"]}, {"n": "1", "list": {"0": "a"}}),
        "geo_ip": ({"latitude": 39.17}, {"latitude": "39.17"}),
    }


@pytest.mark.parametrize("route", [EVENTS, V1], ids=["events", "v1"])
def test_results_lead_to_the_original(query: Connection, route: Route) -> None:
    """`event_key` holds what an event is found by."""
    results = ask(query, route)["results"]
    found = [decode_event_key(result["event_key"]) for result in results]
    assert [key[0] for key in found if key] == [
        datetime.fromisoformat(result["timestamp"]).astimezone(UTC) for result in results
    ]


@pytest.mark.parametrize("route", [EVENTS, V1], ids=["events", "v1"])
def test_addresses_need_a_scope(query: Connection, add: Callable[..., None], route: Route) -> None:
    """Without `pii:read` neither address nor metadata nor place show, whatever field they stand in."""
    secret = "grace.hopper@example.com"
    add(
        make_event(
            "77",
            event_class="track_event",
            type="click",
            rcpt_to=secret,
            raw_rcpt_to="Grace.Hopper@example.com",
            rcpt_hash="b07f4d8f",
            rcpt_meta={"mail": secret, "secret": ["b07f4d8f"]},
            msg_from="bounces+grace.hopper=example.com@mail.example",
            target_link_url="https://shop.example/off?who=grace.hopper%40example.com",
            ip_address="203.0.113.7",
            geo_ip={"city": "b07f4d8f"},
            unheard_of={"deep": [f"<{secret}>"]},
        )
    )
    given = {"recipients": secret}
    (result,) = ask(query, route, BLIND, **given)["results"]
    text = json.dumps(result).lower()
    assert not [found for found in ("hopper", "b07f4d8f", "203.0.113.7") if found in text]
    assert (result["rcpt_to"], result["type"]) == ("g***@example.com", "click")
    (result,) = ask(query, route, **given)["results"]
    assert result["raw_rcpt_to"] == "Grace.Hopper@example.com"
