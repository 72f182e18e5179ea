"""Clients that are not run here, by the requests that they are known to send and what they need of the answers."""

import json
import re
from base64 import b64encode
from collections import Counter
from typing import Any
from urllib.parse import quote, unquote_plus, urlencode

import pytest

from local.stack import Stack
from tests.clients.conftest import EVENTS, Traffic
from tests.stack.client import call

EVENTS_PATH = "/api/v1/events/message"
V1_PATH = "/api/v1/message-events"
MINUTES = "%Y-%m-%dT%H:%M"
SECONDS_Z = "%Y-%m-%dT%H:%M:%SZ"


def get(stack: Stack, target: str, **headers: str) -> dict[str, Any]:
    """The body of an answer, which must be JSON and say so."""
    status, answered, body = call(stack, "GET", target, headers={"Authorization": stack.api_key, **headers})
    assert status == 200, body
    assert answered["content-type"].startswith("application/json")
    found: dict[str, Any] = json.loads(body)
    return found


def build_range(traffic: Traffic, form: str) -> dict[str, str]:
    """`from` and `to` around all events, in a client's form."""
    return {"from": traffic.begin.strftime(form), "to": traffic.end.strftime(form)}


def list_ids(pages: list[dict[str, Any]]) -> list[str]:
    """The ids of all results, in order."""
    return sorted(result["event_id"] for page in pages for result in page["results"])


def test_sparky_events(stack: Stack, traffic: Traffic) -> None:
    """tuck1s/sparkyEvents asks with all its filters, `cursor=initial` among them, then for baseUrl + `links.next`."""
    params = {**build_range(traffic, SECONDS_Z), "cursor": "initial", "per_page": "1200", "events": "delivery,open"}
    pages = [get(stack, f"{EVENTS_PATH}?{urlencode(params)}")]
    while "next" in pages[-1]["links"]:
        assert pages[-1]["links"]["next"].startswith("/")
        pages.append(get(stack, pages[-1]["links"]["next"]))
    assert len(pages) > 1
    assert list_ids(pages) == traffic.ids("delivery", "open")


def test_largest_page(stack: Stack, traffic: Traffic) -> None:
    """As sparkyEvents asks for 10,000 events, whatever one answer can't hold comes by its link."""
    pages = [get(stack, f"{EVENTS_PATH}?{urlencode({**build_range(traffic, SECONDS_Z), 'per_page': 10000})}")]
    while pages[-1]["links"]:
        pages.append(get(stack, pages[-1]["links"]["next"]))
    assert list_ids(pages) == traffic.ids()
    assert {page["total_count"] for page in pages} == {EVENTS}


def test_events_search_example(stack: Stack, traffic: Traffic) -> None:
    """SparkPost/events-search-example adds `timezone=UTC` to the current dialect and filters by a domain's word."""
    params = {"events": "click", "recipient_domains": "gmail.com", "cursor": "initial", "timezone": "UTC"}
    found = get(stack, f"{EVENTS_PATH}?{urlencode({**params, **build_range(traffic, MINUTES)})}")
    expected = sorted(
        event["event_id"]
        for event in traffic.events
        if event["type"] == "click" and event["recipient_domain"] == "gmail.com"
    )
    assert expected
    assert list_ids([found]) == expected


def test_java_library(stack: Stack, traffic: Traffic) -> None:
    """sparkpost-lib sends the old dialect's names to the current path, and decodes a cursor before it encodes it."""
    pairs = [(event.get("campaign_id", ""), event.get("friendly_from", "")) for event in traffic.events]
    campaign, sender = Counter(pair for pair in pairs if all(pair)).most_common(1)[0][0]
    params = {
        **build_range(traffic, MINUTES),
        "campaign_ids": campaign,
        "friendly_froms": sender,
        "per_page": "20",
    }
    pages = [get(stack, f"{EVENTS_PATH}?{urlencode(params)}")]
    while pages[-1]["links"]:
        (cursor,) = re.findall(r"cursor=([^&]*)", pages[-1]["links"]["next"])
        pages.append(get(stack, f"{EVENTS_PATH}?{urlencode({**params, 'cursor': unquote_plus(cursor)})}"))
    ids = [event["event_id"] for event in traffic.events]
    expected = sorted(one for one, pair in zip(ids, pairs, strict=True) if pair == (campaign, sender))
    assert len(pages) > 1
    assert list_ids(pages) == expected


def test_tap_sparkpost(stack: Stack, traffic: Traffic) -> None:
    """tap-sparkpost sends `from_date`, which is no parameter, and encodes a cursor that it never decoded."""
    params = {"per_page": "1000", "cursor": "initial", "from_date": traffic.begin.strftime(SECONDS_Z)}
    assert get(stack, f"{EVENTS_PATH}?{urlencode(params)}")["links"] == {}
    params = {**build_range(traffic, SECONDS_Z), "per_page": "2000", "cursor": "initial"}
    first = get(stack, f"{EVENTS_PATH}?{urlencode(params)}")
    cursor = first["links"]["next"].partition("cursor=")[2].partition("&")[0]
    second = get(stack, f"{EVENTS_PATH}?{urlencode({**params, 'cursor': quote(cursor, safe='')})}")
    assert list_ids([first, second]) == traffic.ids()


def test_gosparkpost(stack: Stack, traffic: Traffic) -> None:
    """Go's gosparkpost reads the old dialect: links as a list, times with an offset, metadata of bounces as texts."""
    target = f"{V1_PATH}?{urlencode({**build_range(traffic, MINUTES), 'per_page': '1500', 'timezone': 'UTC'})}"
    pages: list[dict[str, Any]] = []
    while target:
        page = get(stack, target, **{"Content-Type": "application/json"})
        pages.append(page)
        assert all(set(link) == {"href", "rel"} for link in page["links"])
        target = next((link["href"] for link in page["links"] if link["rel"] == "next"), "")
    assert list_ids(pages) == traffic.ids()
    results = [result for page in pages for result in page["results"]]
    stamp = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00")
    assert all(stamp.fullmatch(result["timestamp"]) for result in results)
    metadata = [result["rcpt_meta"] for result in results if result["type"] == "bounce" and result.get("rcpt_meta")]
    assert metadata
    assert all(type(value) is str for one in metadata for value in one.values())


def test_csharp_library(stack: Stack, traffic: Traffic) -> None:
    """NuGet's SparkPost needs `total_count` and a list of links, even where there is only one page."""
    target = f"{V1_PATH}?{urlencode({**build_range(traffic, MINUTES), 'events': 'bounce', 'per_page': '10000'})}"
    found = get(stack, target)
    assert found["total_count"] == len(traffic.ids("bounce"))
    assert found["links"] == []


@pytest.mark.parametrize("path", [EVENTS_PATH, V1_PATH])
def test_slash_at_the_end_and_key_as_user(stack: Stack, path: str) -> None:
    """A slash at the end does not count, and the key may be the user of basic authentication."""
    login = b64encode(f"{stack.api_key}:".encode()).decode()
    assert "results" in get(stack, f"{path}/", Authorization=f"Basic {login}")


def test_keys_are_refused_alike_by_both_dialects(stack: Stack) -> None:
    """A wrong key is a 401 with SparkPost's list of errors, in either dialect."""
    for path in (EVENTS_PATH, V1_PATH):
        status, _, body = call(stack, "GET", path, headers={"Authorization": "mw_wrong"})
        assert status == 401
        assert json.loads(body)["errors"][0]["message"] == "Unauthorized"
