import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from maintain_partitions.partitions import maintain_partitions
from query_events.given import read_parameters
from query_events.search import complete_range, search_events
from s3_loader.batches import Batch
from s3_loader.loading import Load, Loader, Outcome
from tests.integration.batches import LIMITS, make_batch, make_event
from tests.integration.conftest import NOW, TABLES, Connect

SAMPLES = Path(__file__).parents[1] / "payloads" / "sparkpost" / "webhook-samples.json"


def load(connection: Connection, batch: Batch, *, replay: bool = False) -> Load:
    """Loads a batch by a loader that remembers nothing."""
    return Loader().load(connection, batch, LIMITS, replay=replay)


def select(connection: Connection, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """Rows, in a transaction of their own."""
    with connection, connection.cursor() as cursor:
        cursor.execute(statement, values or None)
        return list(cursor.fetchall())


def count(connection: Connection, table: str) -> int:
    """How many rows a table has."""
    return int(select(connection, f"SELECT count(*) FROM {table}")[0][0])


def find_originals(connection: Connection) -> list[dict[str, Any]]:
    """All stored events as SparkPost sent them."""
    from providers.sparkpost import restore

    values = read_parameters({"from": "2026-01-01T00:00", "to": "2026-12-01T00:00", "per_page": "10000"})
    complete_range(values, NOW)
    return [restore(event) for event in search_events(connection, values, None).events]


def test_batch_is_loaded_with_its_row(connect: Connect) -> None:
    """A new batch: its events, what they share, and the batch's own row with its counts."""
    loader, query = connect("mailwake_loader"), connect("mailwake_query")
    batch = make_batch([make_event("1"), make_event("2", type="open", event_class="track_event"), {"msys": {}}])
    assert load(loader, batch) == Load(Outcome.LOADED, events=2)
    assert count(query, "events") == 2
    columns = "object_key, provider, provider_batch_id, request_id, received_at, event_count, duplicate_count"
    assert select(query, f"SELECT {columns} FROM batches") == [
        (batch.object_key, "sparkpost", "batch-1", "request-1", NOW, 2, 0)
    ]


def test_same_object_again_changes_nothing(connect: Connect) -> None:
    """The same notification any number of times loads its object once."""
    loader = connect("mailwake_loader")
    batch = make_batch([make_event("1")])
    load(loader, batch)
    assert [load(loader, batch).outcome for _ in range(3)] == [Outcome.ALREADY_LOADED] * 3
    assert count(loader, "batches") == 1


def test_replay_may_be_the_first_thing(connect: Connect) -> None:
    """A loader may begin its connection with a replay, also of what is not there any more."""
    batch = make_batch([make_event("1")])
    assert load(connect("mailwake_loader"), batch, replay=True) == Load(Outcome.LOADED, events=1)


def test_event_that_came_before_is_a_duplicate(connect: Connect) -> None:
    """An event in two batches is stored once; the rest of the second batch loads."""
    loader = connect("mailwake_loader")
    load(loader, make_batch([make_event("1"), make_event("2")]))
    second = make_batch([make_event("2"), make_event("3")], key="raw/sparkpost/2026/11/21/12/two")
    assert load(loader, second) == Load(Outcome.LOADED, events=2, duplicates=1)
    assert count(loader, "events") == 3


def test_event_twice_in_one_batch_is_a_duplicate(connect: Connect) -> None:
    """The same event twice in one batch is stored once."""
    loader = connect("mailwake_loader")
    batch = make_batch([make_event("1"), make_event("1")])
    assert load(loader, batch) == Load(Outcome.LOADED, events=2, duplicates=1)


def test_same_id_from_another_time_is_another_event(connect: Connect) -> None:
    """Only id and time together make it the same event."""
    loader = connect("mailwake_loader")
    load(loader, make_batch([make_event("1", age=60)]))
    other = make_batch([make_event("1", age=61)], key="raw/sparkpost/2026/11/21/12/two")
    assert load(loader, other).duplicates == 0


def test_broken_events_are_set_aside(connect: Connect) -> None:
    """What is no event goes to the quarantine with its reason and place; the rest of the batch loads."""
    loader, query = connect("mailwake_loader"), connect("mailwake_query")
    items = [make_event("1"), "nonsense", make_event("2", timestamp="yesterday"), make_event("3")]
    assert load(loader, make_batch(items)) == Load(Outcome.LOADED, events=2, quarantined=2)
    rows = select(query, "SELECT object_key, item_index, reason, item FROM quarantine ORDER BY item_index")
    assert [row[:2] for row in rows] == [("raw/sparkpost/2026/11/21/12/one", 1), ("raw/sparkpost/2026/11/21/12/one", 2)]
    assert rows[1][2] == "timestamp is neither seconds since 1970 nor ISO 8601 with a zone"
    assert json.loads(rows[1][3]) == items[2]


@pytest.mark.parametrize("body", [b"", b"{", b'{"msys": 1}', b"\xff\xfe\x00", b"[" * 100_000, b"\x1f\x8bbroken"])
def test_unparseable_body_is_set_aside_whole(connect: Connect, body: bytes) -> None:
    """A body that is no batch leaves one quarantine row without an index, and is not tried for ever."""
    loader = connect("mailwake_loader")
    assert load(loader, make_batch(body)) == Load(Outcome.LOADED, quarantined=1)
    assert select(loader, "SELECT item_index FROM quarantine") == [(None,)]
    assert load(loader, make_batch(body)).outcome is Outcome.ALREADY_LOADED


def test_insane_times_make_no_partition(connect: Connect) -> None:
    """Events too old or more than a day ahead go to the quarantine instead of a partition of their own."""
    loader = connect("mailwake_loader")
    day = 86_400
    items = [make_event("1", age=500 * day), make_event("2", age=-2 * day), make_event("3", age=-day / 2)]
    assert load(loader, make_batch(items)) == Load(Outcome.LOADED, events=1, quarantined=2)
    reasons = select(loader, "SELECT reason FROM quarantine ORDER BY item_index")
    assert all("too far from its arrival" in reason for (reason,) in reasons)


def test_expired_events_are_counted_not_loaded(connect: Connect) -> None:
    """An event past the retention is right but not kept: it is counted with its batch."""
    loader = connect("mailwake_loader")
    assert load(loader, make_batch([make_event("1", age=380 * 86_400)])) == Load(Outcome.LOADED, expired=1)
    assert select(loader, "SELECT expired_count FROM batches") == [(1,)]


def test_missing_partition_is_made_on_demand(connect: Connect) -> None:
    """An event of a month without partition makes it."""
    loader = connect("mailwake_loader")
    load(loader, make_batch([make_event("1", age=70 * 86_400), make_event("2")]))
    assert select(connect("postgres"), "SELECT count(*) FROM events_p20260901") == [(1,)]


def test_partitions_are_made_without_races(connect: Connect) -> None:
    """Loaders that need the same missing partitions at once all succeed."""
    failures: list[psycopg2.Error] = []

    def run(number: int, connection: Connection) -> None:
        months = [make_event(f"{number}{month}", age=(100 + 31 * month) * 86_400) for month in range(5)]
        try:
            load(connection, make_batch(months, key=f"raw/sparkpost/2026/11/21/12/{number}"))
        except psycopg2.Error as failure:
            failures.append(failure)

    connections = [connect("mailwake_loader") for _ in range(6)]
    threads = [threading.Thread(target=run, args=item) for item in enumerate(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert count(connections[0], "events") == 30


def test_two_loaders_on_one_object_load_it_once(connect: Connect) -> None:
    """Two loaders on the same object at once: one loads it, the other finds it loaded."""
    batch = make_batch([make_event(str(number)) for number in range(1, 400)])
    outcomes: list[Load] = []
    connections = [connect("mailwake_loader") for _ in range(4)]
    threads = [
        threading.Thread(target=lambda connection=one: outcomes.append(load(connection, batch))) for one in connections
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(load.outcome.name for load in outcomes) == ["ALREADY_LOADED"] * 3 + ["LOADED"]
    assert count(connections[0], "events") == 399
    assert count(connections[0], "batches") == 1


def test_replay_loads_what_was_missing(connect: Connect) -> None:
    """A replay of a loaded batch adds what is missing, and writes its quarantine anew."""
    loader, superuser = connect("mailwake_loader"), connect("postgres")
    batch = make_batch([make_event("1"), make_event("2"), "nonsense"])
    load(loader, batch)
    with superuser, superuser.cursor() as cursor:
        cursor.execute("DELETE FROM events WHERE ctid = (SELECT min(ctid) FROM events)")
    assert load(loader, batch, replay=True) == Load(Outcome.LOADED, events=2, duplicates=1, quarantined=1)
    assert count(loader, "events") == 2
    assert count(loader, "quarantine") == 1
    assert count(loader, "batches") == 1


def test_value_that_postgres_refuses_is_set_aside_alone(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """Should a parser let through what Postgres can't hold, only that event is set aside."""
    from providers import sparkpost

    monkeypatch.setattr(sparkpost, "may_be_unstorable", lambda _: False)
    loader = connect("mailwake_loader")
    items = [make_event("1"), make_event("2", subject="fine", rcpt_to="a\0b@example.com"), make_event("3")]
    assert load(loader, make_batch(items)) == Load(Outcome.LOADED, events=2, quarantined=1)
    assert select(loader, "SELECT item_index FROM quarantine") == [(1,)]


def test_every_sample_comes_back_whole(connect: Connect) -> None:
    """SparkPost's own samples, one of each type: what is stored gives back exactly what was sent."""
    items = json.loads(SAMPLES.read_text())
    for number, item in enumerate(items):
        (fields,) = item["msys"].values()
        fields["timestamp"] = int(NOW.timestamp()) - number
        if "event_id" in fields:
            fields["event_id"] = str(92_356_927_693_813_856 + number)
    loader = connect("mailwake_loader")
    assert load(loader, make_batch(items)) == Load(Outcome.LOADED, events=19)
    assert find_originals(connect("mailwake_query")) == items


ODD_EVENTS = [
    make_event("1", subject="tab\there, \\ newline\n, quote\"', emoji 📧"),
    make_event("2", campaign_id="", rcpt_meta={}, rcpt_tags=[], template_id=None),
    make_event("3", customer_id=7, subaccount_id=0, transactional=True, msg_size="900"),
    make_event("4", rcpt_to="  MiXed@Example.COM ", raw_rcpt_to="MiXed@Example.COM"),
    make_event("5", rcpt_meta={"a": {"b": [1, 2.5, None, "x"]}, "n": 12345678901234567890123}),
    make_event("6", subject="nul \0 and a half pair \ud800", rcpt_meta={"k": "\0"}),
    make_event("7", rcpt_to=["list@example.com"], message_id=12, rcpt_tags=[1], user_agent={"a": 1}),
    make_event("8", subject="s" * 5000, message_id="m" * 5000, rcpt_to="r" * 3000 + "@example.com"),
    make_event("9", type="something_new", new_field={"deep": [1]}),
    make_event("10", type="bounce", bounce_class="26", raw_reason="550", reason="550"),
    make_event("11", type="bounce", bounce_class=10, reason="no raw reason"),
    make_event("12", type="bounce", bounce_class="010", error_code="550"),
    make_event("cd6d1d4a-8a8c-4b9d-a1c3-4f1c6f0f3b11", event_class="gen_event", type="generation_failure"),
    make_event("0013", event_class="track_event", type="open", user_agent="x", user_agent_parsed={"is_proxy": True}),
    make_event("9223372036854775808"),
    {**make_event("15"), "cust": {"id": "4711"}},
    {"msys": {"message_event": {**make_event("16")["msys"]["message_event"], "": "an empty name"}}},
    make_event("17", recipient_domain="Other.example", routing_domain="mx.example.com", mailbox_provider="X"),
    make_event("18", raw_rcpt_to=True, ip_address="2001:db8::1"),
    make_event("19", timestamp=f"{NOW - timedelta(hours=1):%Y-%m-%dT%H:%M:%S}.250Z"),
    make_event("20", timestamp=f"{int(NOW.timestamp()) - 5}.167"),
]


@pytest.mark.parametrize("item", ODD_EVENTS, ids=lambda item: str(next(iter(item["msys"].values()))["event_id"])[:8])
def test_odd_event_comes_back_whole(connect: Connect, item: dict[str, Any]) -> None:
    """Whatever form a value comes in, the event loads and is given back as it was."""
    assert load(connect("mailwake_loader"), make_batch([item])) == Load(Outcome.LOADED, events=1)
    assert find_originals(connect("mailwake_query")) == [item]


def test_event_without_id_is_recognised_by_its_content(connect: Connect) -> None:
    """An sms_status has no id: the same content is the same event, whatever its order and spacing."""
    fields = {"type": "sms_status", "timestamp": str(int(NOW.timestamp())), "sms_dst": "1", "stat_state": "Delivered"}
    reordered = dict(reversed(fields.items()))
    loader = connect("mailwake_loader")
    items = [{"msys": {"message_event": each}} for each in (fields, reordered, {**fields, "sms_dst": "2"})]
    assert load(loader, make_batch(items)) == Load(Outcome.LOADED, events=3, duplicates=1)


def test_failed_load_leaves_nothing(connect: Connect) -> None:
    """When the connection breaks in the middle of a load, none of its events is there, and a retry loads it."""
    loader, superuser = connect("mailwake_loader"), connect("postgres")
    batch = make_batch([make_event(str(number)) for number in range(1, 2000)])
    pid = loader.info.backend_pid
    remembering = Loader()

    def break_connection() -> None:
        select(superuser, "SELECT pg_terminate_backend(%s)", pid)

    with pytest.raises((psycopg2.OperationalError, psycopg2.InterfaceError)):
        remembering.load(loader, batch, LIMITS, meanwhile=break_connection)
    fresh = connect("mailwake_loader")
    assert [count(superuser, table) for table in ("events", "batches", "changes")] == [0, 0, 0]
    assert remembering.load(fresh, batch, LIMITS).events == 1999
    assert count(fresh, "mailings") == 1


def test_warm_loader_notices_emptied_tables(connect: Connect) -> None:
    """A loader that remembers what is stored stores it again when the tables were emptied behind its back."""
    connection, superuser, warm = connect("mailwake_loader"), connect("postgres"), Loader()
    batch = make_batch([make_event("1", campaign_id="spring")])
    warm.load(connection, batch, LIMITS)
    with superuser, superuser.cursor() as cursor:
        cursor.execute(f"TRUNCATE {TABLES}")
    assert warm.load(connection, batch, LIMITS).events == 1
    assert len(find_originals(connect("mailwake_query"))) == 1


def test_warm_loader_notices_deleted_mailings(connect: Connect) -> None:
    """A loader that remembers a mailing stores it again when maintenance deleted it with its last event."""
    connection, migrator, warm = connect("mailwake_loader"), connect("mailwake_migrator"), Loader()
    old = make_batch([make_event("1", age=150 * 86_400, campaign_id="spring")])
    warm.load(connection, old, LIMITS)
    maintain_partitions(migrator, NOW, premake_months=1, retention_months=3)
    assert count(connection, "mailings") == 0
    new = make_batch([make_event("2", campaign_id="spring")], key="raw/sparkpost/2026/11/21/12/two")
    warm.load(connection, new, LIMITS)
    assert select(connection, "SELECT campaign FROM mailings") == [("spring",)]


def test_columns_hold_what_filters_need(connect: Connect) -> None:
    """Recipient in lower case, the derived domain, kind and mailing are where queries look for them."""
    item = make_event(
        "1", type="bounce", bounce_class="10", rcpt_to="Ada@Example.com", campaign_id="spring", rcpt_tags=["a", "b"]
    )
    load(connect("mailwake_loader"), make_batch([item]))
    statement = """
        SELECT recipient, domain, event_type, bounce_kind, bounce_class, campaign, tags, occurred_at
        FROM events JOIN kinds USING (kind_key) JOIN mailings USING (mailing_key) JOIN receivers USING (receiver_key)
    """
    occurred_at = datetime(2026, 11, 21, 11, 58, 30, tzinfo=UTC)
    expected = ("ada@example.com", "example.com", "bounced", "hard", 10, "spring", ["a", "b"], occurred_at)
    assert select(connect("mailwake_query"), statement) == [expected]


def test_statements_are_planned_once_for_a_connection(connect: Connect) -> None:
    """What every load sends is prepared at the first load over a connection, whichever others are used beside it."""
    first, second, warm = connect("mailwake_loader"), connect("mailwake_loader"), Loader()
    ran = "SELECT sum(generic_plans + custom_plans) FROM pg_prepared_statements WHERE name IN ('load_0', 'prepare_0')"
    loads = [(warm, first, 2), (warm, first, 4), (Loader(), first, 2), (warm, second, 2), (warm, first, 4)]
    for number, (loader, connection, expected) in enumerate(loads):
        batch = make_batch([make_event(str(number), campaign_id=str(number))], key=f"raw/sparkpost/{number}")
        assert loader.load(connection, batch, LIMITS).events == 1
        assert select(connection, ran) == [(expected,)]
    assert count(first, "mailings") == len(loads)
