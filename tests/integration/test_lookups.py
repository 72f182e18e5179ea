import json
from typing import Any

import jsonschema
import pytest
from psycopg2.extensions import connection as Connection

from common.errors import ApiError
from query_events import batches, messages, originals, quarantine, recipients
from query_events.pages import encode_event_key
from tests.integration.conftest import NOW, Connect
from tests.integration.lookups import BLIND, Load, ask, make_loader, tell, walk

(MESSAGE,), (EVENT,), (BATCHES,), (QUARANTINE,) = (
    module.ROUTES for module in (messages, originals, batches, quarantine)
)
ADA = "ada@example.com"


@pytest.fixture
def load(connect: Connect) -> Load:
    """Loads events."""
    return make_loader(connect("mailwake_loader"))


@pytest.fixture
def query(connect: Connect) -> Connection:
    """The query function's connection."""
    connection = connect("mailwake_query")
    connection.autocommit = True
    return connection


def find_event_key(connection: Connection) -> str:
    """The key of ada's only event."""
    (message,) = ask(connection, recipients.ROUTES[0], ADA)["results"]["messages"]
    key: str = message["events"][0]["event_key"]
    return key


def test_message_of_several_recipients(query: Connection, load: Load) -> None:
    """A message tells what became of it for each of its recipients, as the look-up of the recipient does."""
    bob = {"rcpt_to": "bob@example.com", "raw_rcpt_to": "bob@example.com"}
    load(tell(1, "m", "delivery", 60), tell(2, "m", "bounce", 50, bounce_class="10", **bob), tell(3, "n", "open", 40))
    results = ask(query, MESSAGE, "m")["results"]
    assert (results["message_id"], results["recipient_count"]) == ("m", 2)
    assert [message["state"]["name"] for message in results["messages"]] == ["delivered", "bounced"]
    of_ada = ask(query, recipients.ROUTES[0], ADA)["results"]["messages"]
    assert results["messages"][0] == of_ada[1]


def test_message_of_many_recipients_shows_some(query: Connection, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """More recipients than an answer shows are counted."""
    monkeypatch.setattr(messages, "MOST_RECIPIENTS", 3)
    load(*(tell(number, "m", "delivery", 60, rcpt_to=f"{number}@example.com") for number in range(1, 6)))
    results = ask(query, MESSAGE, "m")["results"]
    assert results["recipient_count"] == 5
    assert [message["recipient"] for message in results["messages"]] == [
        f"{number}@example.com" for number in (1, 2, 3)
    ]


@pytest.mark.parametrize("message_id", ["unknown", "%", "'; --", "x" * 3000])
def test_unknown_message_is_not_found(query: Connection, load: Load, message_id: str) -> None:
    """A message of which nothing is known is a 404 in the error body."""
    load(tell(1, "m", "delivery", 60))
    with pytest.raises(ApiError) as caught:
        ask(query, MESSAGE, message_id)
    assert (caught.value.status, caught.value.code) == (404, "1101")


def test_event_is_given_as_it_was_sent(query: Connection, load: Load) -> None:
    """An event's key leads to the original, the event in our words, and the batch that it came in."""
    event = tell(
        7, "m", "bounce", 60, bounce_class="10", raw_reason="550", rcpt_meta={"id": 1}, raw_rcpt_to="Ada@x.org"
    )
    load(event)
    key = find_event_key(query)
    results = ask(query, EVENT, key)["results"]
    assert results["original"] == event
    assert results["withheld"] is None
    assert results["event_key"] == results["event"]["event_key"] == key
    assert results["event"]["event_id"] == "7"
    normalised = results["normalised"]
    assert normalised["occurred_at"] == "2026-11-21T11:59:00.000Z"
    assert (normalised["event_type"], normalised["bounce_kind"], normalised["metadata"]) == (
        "bounced",
        "hard",
        {"id": 1},
    )
    batch = results["batch"]
    assert batch.pop("loaded_at")
    assert batch == {
        "object_key": "raw/sparkpost/2026/11/21/12/00000",
        "provider_batch_id": "batch-1",
        "request_id": "request-1",
        "received_at": "2026-11-21T12:00:00.000Z",
    }


def test_original_needs_the_scope(query: Connection, load: Load) -> None:
    """Without pii:read the original is withheld, and the rest masked."""
    load(tell(7, "m", "bounce", 60, raw_reason="550 <ada@example.com>", rcpt_meta={"id": "secret"}))
    results = ask(query, EVENT, find_event_key(query), BLIND)["results"]
    assert results["original"] is None
    assert "pii:read" in results["withheld"]
    assert "ada@" not in json.dumps(results)
    assert "secret" not in json.dumps(results)
    assert results["batch"]["object_key"].startswith("raw/sparkpost/")


OTHER_KEY = encode_event_key(NOW, 1)


@pytest.mark.parametrize("key", [OTHER_KEY, "x", "%", "a" * 22, "_" * 22, "AAAA", "ä", OTHER_KEY + "A", "A" * 5000])
def test_unknown_event_is_not_found(query: Connection, load: Load, key: str) -> None:
    """A key that is none, or of no event, is a 404."""
    load(tell(1, "m", "delivery", 60))
    with pytest.raises(ApiError) as caught:
        ask(query, EVENT, key)
    assert (caught.value.status, caught.value.code) == (404, "1101")


def test_batches_are_listed(query: Connection, load: Load) -> None:
    """Each batch tells when it came and was loaded, and what was in it; the newest first, over pages."""
    load(tell(1, "m", "delivery", 60), "no event")
    load(tell(1, "m", "delivery", 60), tell(2, "m", "open", 60))
    answer = ask(query, BATCHES)
    first, second = answer["results"]
    assert (first["event_count"], first["duplicate_count"], first["quarantine_count"]) == (2, 1, 0)
    assert (second["event_count"], second["duplicate_count"], second["quarantine_count"]) == (1, 0, 1)
    assert first["received_at"] == "2026-11-21T12:00:00.000Z"
    assert first["body_bytes"] > 100
    pages = walk(query, BATCHES, per_page="1")
    assert [page["results"] for page in pages] == [[first], [second]]
    assert ask(query, BATCHES, "", BLIND) == answer


def test_quarantine_is_listed(query: Connection, load: Load) -> None:
    """What was set aside is listed with its place in its batch, its reason and what it was; the newest first."""
    load("no event", tell(1, "m", "delivery", 60), {"msys": 5})
    load(tell(2, "m", "delivery", 60, timestamp="soon"))
    results = ask(query, QUARANTINE)["results"]
    assert [(entry["object_key"][-5:], entry["item_index"]) for entry in results] == [
        ("00001", 0),
        ("00000", 2),
        ("00000", 0),
    ]
    assert "timestamp" in results[0]["reason"]
    assert results[2]["item"] == '"no event"'
    pages = walk(query, QUARANTINE, per_page="1")
    assert [entry for page in pages for entry in page["results"]] == results


def test_quarantined_item_needs_the_scope(query: Connection, load: Load) -> None:
    """Without pii:read the item is null: nobody knows where in it an address may be."""
    load(tell(2, "m", "delivery", 60, timestamp="soon"))
    (entry,) = ask(query, QUARANTINE, "", BLIND)["results"]
    assert entry["item"] is None
    assert entry["reason"]


@pytest.mark.parametrize("route", [BATCHES, QUARANTINE], ids=["batches", "quarantine"])
def test_arrivals_are_filtered(query: Connection, load: Load, route: Any) -> None:
    """`from` is inclusive, `to` exclusive; both are of the arrival; `providers` names who sent it."""
    load("no event")
    assert len(ask(query, route, **{"from": "2026-11-21T12:00:00Z"})["results"]) == 1
    assert ask(query, route, **{"from": "2026-11-21T12:00:01Z"})["results"] == []
    assert ask(query, route, to="2026-11-21T12:00:00Z")["results"] == []
    assert len(ask(query, route, to="2026-11-21T12:00:01Z", providers="sparkpost")["results"]) == 1


@pytest.mark.parametrize("route", [BATCHES, QUARANTINE], ids=["batches", "quarantine"])
@pytest.mark.parametrize(
    "given",
    [
        *({"per_page": "0"}, {"per_page": "1e2"}, {"from": "soon"}, {"providers": "nobody"}, {"provider": "sparkpost"}),
        *({"cursor": "x"}, {"cursor": "AAAA"}, {"cursor": "WzEsMiwzXQ"}, {"cursor": "bnVsbA"}),
    ],
    ids=str,
)
def test_bad_parameters_are_refused(query: Connection, route: Any, given: dict[str, str]) -> None:
    """A value that can't be read, or a parameter that is none here, is a 400 that names it."""
    with pytest.raises(ApiError) as caught:
        ask(query, route, **given)
    assert (caught.value.status, caught.value.code) == (400, "1200")
    assert caught.value.description.startswith(next(iter(given)))


ROWS = (
    "SELECT 'raw/' || n, 'sparkpost', timestamptz '2026-11-21' - n * interval '1 s'{} FROM generate_series(1, 9999) n"
)
COUNTS = ("body_bytes", "event_count", "duplicate_count", "quarantine_count", "expired_count")
ARRIVALS = {
    "batches": (batches.SELECT, COUNTS, "1", 0),
    "quarantine": (quarantine.SELECT, ("reason", "item"), "''", ""),
}


@pytest.mark.parametrize("table", ARRIVALS)
def test_arrivals_are_found_by_index(connect: Connect, table: str) -> None:
    """A page of what came in is read from an index, not by sorting everything."""
    select, columns, value, key = ARRIVALS[table]
    rows = ROWS.format(f", {value}" * len(columns))
    bound = {"from": NOW.replace(year=2000), "to": NOW, "providers": None, "time": NOW, "limit": 101, "index": 0}
    with connect("postgres") as connection, connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {table} (object_key, provider, received_at, {', '.join(columns)}) {rows}")
        cursor.execute(f"ANALYZE {table}")
        cursor.execute(f"EXPLAIN {select}", {**bound, "key": key})
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert f"{table}_received_at" in plan
    assert "Seq Scan" not in plan


def test_schema_is_strict() -> None:
    """The look-ups' schemas refuse a field that they do not name."""
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"results": [], "links": {}, "more": 1}, BATCHES.result)
