"""Elastic Email: what its payloads alone don't show."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from common.events import Event, Unparseable
from providers import Delivery, Reply, UnverifiedError, find_provider
from providers.elastic_email import CATEGORIES, handshake, parse, restore, verify
from tests.unit.providers.payloads import flatten, list_payloads

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
FORM = Delivery(NOW, "application/x-www-form-urlencoded")
ITEM = {"to": "ada@example.com", "status": "Sent", "date": "11/21/2026 9:29:02 AM"}


def parse_query(fields: dict[str, Any]) -> Event | Unparseable:
    """What a query becomes."""
    (event,) = parse(urlencode(fields, doseq=True).encode(), FORM)
    return event


def read(**fields: Any) -> dict[str, Any]:
    """The values of one event with these fields, in a query and as JSON."""
    (by_json,) = parse(json.dumps(ITEM | fields).encode(), Delivery(NOW, "application/json"))
    by_query = parse_query(ITEM | fields)
    assert isinstance(by_json, Event), by_json
    assert isinstance(by_query, Event), by_query
    assert restore(by_query) == restore(by_json) == ITEM | fields
    assert flatten(by_query) == flatten(by_json)
    return flatten(by_query)


def test_wrong_credentials() -> None:
    """Without the secret, or with another one, nothing gets in."""
    payload = list_payloads("elastic_email")[0]
    verify(payload.request, payload.secrets[::-1], payload.now)
    for secrets in (payload.secrets[:1], []):
        with pytest.raises(UnverifiedError, match="wrong credentials"):
            verify(payload.request, secrets, payload.now)
    with pytest.raises(UnverifiedError):
        verify(payload.request._replace(path_secret=""), payload.secrets, payload.now)


def test_get_without_query_is_answered() -> None:
    """The console calls the URL before it takes it, without an event, and wants 200."""
    request = list_payloads("elastic_email")[0].request
    assert request.method == "GET"
    assert handshake(request._replace(query=""), [], NOW) == Reply()
    assert handshake(request, [], NOW) is None
    assert handshake(request._replace(query="", method="POST"), [], NOW) is None
    provider = find_provider("elastic_email")
    assert provider is not None
    assert "GET" in provider.METHODS
    assert list(parse(b"", FORM)) == []


@pytest.mark.parametrize("category", [*CATEGORIES, "NoMailbox", "Novel", "", "Not Delivered Cancelled"])
def test_every_category_has_a_meaning(category: str) -> None:
    """Only a mailbox that is not there is a hard bounce; what was never sent is none."""
    values = read(status="Error", category=category)
    hard = category.lower() == "nomailbox"
    assert (values.get("bounce_kind") == "hard") == hard
    never_sent = category.lower().replace(" ", "") in ("notdelivered", "notdeliveredcancelled", "manualcancel")
    assert values["event_type"] == ("rejected" if never_sent else "bounced")
    assert values["reject_reason"]


def test_category_counts_for_errors_only() -> None:
    """It says `Unknown` on everything else."""
    values = read(status="Opened", category="NoMailbox")
    assert (values["event_type"], values["provider_type"]) == ("opened", "Opened")
    assert "bounce_kind" not in values


def test_names_in_any_case() -> None:
    """JSON's names were seen in other letters than the query's."""
    values = read() | {}
    (event,) = parse(json.dumps({"To": "ada@example.com", "Status": "Sent", "Date": ITEM["date"]}).encode(), FORM)
    assert isinstance(event, Event)
    assert flatten(event) | {"event_id": ""} == values | {"event_id": ""}
    assert restore(event) == {"To": "ada@example.com", "Status": "Sent", "Date": ITEM["date"]}


def test_channel_and_postback() -> None:
    """The channel is a tag; the postback is what the sender attached."""
    values = read(channel="receipts", postback="4711")
    assert (values["tags"], values["metadata"]) == (["receipts"], {"postback": "4711"})
    assert "metadata" not in read(channel="", postback="")


def test_copies_have_one_key() -> None:
    """An event that comes again, in another order, is the same; another link is another click."""
    click = ITEM | {"status": "Clicked", "target": "https://example.com/1"}
    events = [parse_query(item) for item in (click, dict(reversed(click.items())), click | {"target": "x"})]
    first, again, other = [(event.occurred_at, event.event_id) for event in events if isinstance(event, Event)]
    assert first == again
    assert first != other


def test_unknown_words_are_kept() -> None:
    """An event that nobody has heard of is stored as such."""
    values = read(status="Teleported")
    assert (values["event_type"], values["provider_type"]) == ("unknown", "Teleported")


def test_odd_queries() -> None:
    """A name that comes twice, bytes that are no UTF-8 and NUL lose nothing."""
    repeated = parse_query(ITEM | {"postback": ["a", "b"]})
    assert isinstance(repeated, Event)
    assert restore(repeated)["postback"] == ["a", "b"]
    query = b"to=ada%40example.com&status=Sent&date=11/21/2026+9:29:02+AM&subject=Gr%FC%DFe&target=a%00b"
    (event,) = parse(query, FORM)
    assert isinstance(event, Event)
    assert (event.mailing.subject, event.url) == ("Grüße", "a\ufffdb")
    assert restore(event)["target"] == "a\0b"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"to": "ada@example.com"}, "the event has no field status"),
        ({"status": "Sent"}, "the event has no field date"),
        ({"status": "Sent", "date": "soon"}, "the time is of no known form"),
        ({"status": ["Sent", "Sent"], "date": "1"}, "the event has no field status"),
    ],
)
def test_wrong_shapes_are_set_aside(fields: dict[str, Any], reason: str) -> None:
    """With what is wrong."""
    bad = parse_query(fields)
    assert isinstance(bad, Unparseable)
    assert bad.reason == reason


@pytest.mark.parametrize("body", [b"{", b"[1]", b"\xff", b"%", b"a", b"[" * 100_000, b'{"status":{},"date":1}'])
def test_wrong_bodies_are_set_aside(body: bytes) -> None:
    """Nothing that comes makes it fail."""
    (bad,) = parse(body, FORM)
    assert isinstance(bad, Unparseable)
