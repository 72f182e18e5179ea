"""The plans of searches at a size where reading a whole partition would show."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from common.details import pack_detail
from common.event_keys import read_event_id
from local.postgres import SUPERUSER, Postgres
from query_events import search as module
from query_events import shared_keys
from query_events.app import SESSION
from query_events.given import read_parameters
from query_events.pages import Cursor as Place
from query_events.parameters import TABLE
from query_events.search import search_events
from query_events.search_queries import ALLOW_HASH_JOIN
from tests.integration.conftest import TABLES

EVENTS = 30_000  # over 90 days from September on: 333 a day, 10,000 a month
RANGE = {"from": "2026-10-16T00:00:00Z", "to": "2026-10-17T00:00:00Z"}
PARTITION = "events_p20261001"
OTHER_MONTHS = ("2026-09-01", "2026-10-01")  # beside the one that there is
# A hundred events after the begin of the range.
NUMBER = 15_100

FILL = f"""
INSERT INTO kinds VALUES
    (1, 'sparkpost', 'delivery', 'delivered', NULL, NULL, false, false, false),
    (2, 'sparkpost', 'bounce', 'bounced', 10, 'hard', false, false, false),
    (3, 'sparkpost', 'open', 'opened', NULL, NULL, false, false, false),
    (4, 'mailersend', 'delivered', 'delivered', NULL, NULL, false, false, false);
INSERT INTO senders
SELECT i, 'news@s' || i || '.example.com', nullif(i % 4, 0)::text, 'pool-' || i, '192.0.2.' || i, ''
FROM generate_series(0, 19) i;
INSERT INTO mailings
SELECT i, i % 20, 'campaign-' || i, 'template-' || i % 50, 'subject ' || i, 'test-' || i % 9, (i % 2)::text,
       ARRAY['tag' || i % 10]
FROM generate_series(0, {EVENTS} / 20) i;
INSERT INTO receivers
SELECT i, 'd' || i || '.example.com', NULL, 'provider-' || i % 5, 'region-' || i % 3 FROM generate_series(0, 199) i;
INSERT INTO clients SELECT i, 'Agent/' || i, '' FROM generate_series(0, 49) i;
INSERT INTO events
SELECT timestamptz '2026-09-01' + n * interval '259.2 seconds', n, 1 + n % 4, n / 20, n % 200,
       CASE WHEN n % 4 = 2 THEN n % 50 END, 1, 'r' || n * 7919 % 3000 || '@example.com', 'm' || n / 3, 't' || n / 20,
       CASE WHEN n % 4 = 1 THEN '550 no such user ' || n END, 'https://example.com/' || n, '198.51.100.' || n % 250,
       jsonb_build_object('user', 'u' || n), '\\x{pack_detail(b"{}", "sparkpost").hex()}'
FROM generate_series(0, {EVENTS} - 1) n;
"""
# A value of each filter that some event of the day has.
VALUES = {
    "events": "bounce,delivered",
    "event_ids": read_event_id("sparkpost", NUMBER),
    "recipients": f"r{NUMBER * 7919 % 3000}@example.com",
    "from_addresses": f"news@s{NUMBER // 20 % 20}.example.com",
    "bounce_classes": "10",
    "reasons": "no such",
    "reason": "such user",
    "campaigns": f"campaign {NUMBER // 20}",
    "campaign_ids": f"campaign-{NUMBER // 20}",
    "templates": f"template {NUMBER // 20 % 50}",
    "template_ids": f"template-{NUMBER // 20 % 50}",
    "messages": f"m{NUMBER // 3}",
    "transmissions": f"t{NUMBER // 20}",
    "subaccounts": "0",
    "ab_tests": "test",
    "ab_test_ids": f"test-{NUMBER // 20 % 9}",
    "ab_test_versions": "1",
    "recipient_domains": f"d{NUMBER % 200}",
    "sending_domains": f"s{NUMBER // 20 % 20}",
    "subjects": f"subject {NUMBER // 20}",
    "sending_ips": f"192.0.2.{NUMBER // 20 % 20}",
    "ip_pools": "pool",
    "mailbox_providers": "provider 1",
    "mailbox_provider_regions": "region",
    "event_types": "bounced,opened",
    "bounce_kinds": "hard",
    "providers": "mailersend",
    "tags": f"tag{NUMBER // 20 % 10}",
    "urls": f"https://example.com/{NUMBER}",
    "ip_addresses": f"198.51.100.{NUMBER % 250}",
    "user_agents": "agent",
    "metadata.user": f"u{NUMBER}",
}
FORMS = {row.name: ("", *row.forms) for row in TABLE}
FORMS["metadata.user"] = FORMS["metadata.<key>"]
# As many keys of shared rows as may be used in each way.
LIMITS = {"few": (100, 2_000, 20_000), "list": (10_000, 0, 20_000), "hash": (0, 0, 20_000), "join": (0, 0, 0)}

Statement = tuple[str, Any]


class Recorder(Cursor):
    """A cursor that remembers what was executed."""

    executed: list[Statement] = []  # noqa: RUF012 (the test's own, emptied by it)

    def execute(self, query: Any, vars: Any = None) -> None:  # noqa: A002 (psycopg2's name)
        """Executes it."""
        self.executed.append((query, vars))
        super().execute(query, vars)


@pytest.fixture(scope="module", params=["new", "analysed"])
def database(migrated: Postgres, request: pytest.FixtureRequest) -> Iterator[Connection]:
    """A connection with the function's settings to three months of events, whose statistics are guessed or true."""
    options = " ".join(f"-c {name}={value}" for name, value in {"timezone": "UTC", **SESSION}.items())
    connection = psycopg2.connect(migrated.dsn(SUPERUSER, "mailwake"), options=options)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {TABLES}")
        # Nothing is known of the tables but what is guessed: autovacuum may have looked at what other tests left.
        cursor.execute("DELETE FROM pg_statistic WHERE starelid = ANY (%s::regclass[])", (TABLES.split(", "),))
        for month in OTHER_MONTHS:
            cursor.execute(f"DROP TABLE IF EXISTS events_p{month.replace('-', '')}")
            cursor.execute("SELECT create_events_partition(%s)", (month,))
            cursor.execute(f"ALTER TABLE events_p{month.replace('-', '')} SET (autovacuum_enabled = false)")
        cursor.execute(FILL)
        if request.param == "analysed":
            cursor.execute("ANALYZE")
    yield connection
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {TABLES}")
        for month in OTHER_MONTHS:
            cursor.execute(f"DROP TABLE events_p{month.replace('-', '')}")
    connection.close()


def search(connection: Connection, given: dict[str, str], sizes: tuple[str, ...] = ("1", "1000")) -> list[Statement]:
    """Searches for two pages, of one event and of many, and gives the statements that looked at events."""
    Recorder.executed.clear()
    connection.cursor_factory = Recorder
    try:
        for size in sizes:
            values = read_parameters({**RANGE, "per_page": size, **given})
            page = search_events(connection, values, None)
            if page.more:
                search_events(connection, values, Place(*page.keys[-1], page.total))
    finally:
        connection.cursor_factory = Cursor
    return [statement for statement in Recorder.executed if '"events"' in statement[0]]


def list_nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All nodes of a plan."""
    yield plan
    for child in plan.get("Plans", ()):
        yield from list_nodes(child)


def find_faults(connection: Connection, statement: Statement) -> list[str]:
    """What is wrong with a statement's plan: an events partition read whole, or one that the range does not touch."""
    query, bound = statement
    faults = []
    with connection.cursor() as cursor:
        settings, _, select = query.rpartition("; ")
        if settings:
            cursor.execute(f"BEGIN; {settings}")
        cursor.execute(f"EXPLAIN (FORMAT JSON) {select}", bound)
        (([explained],),) = cursor.fetchall()
        if settings:
            cursor.execute("ROLLBACK")
    for node in list_nodes(explained["Plan"]):
        relation, kind = node.get("Relation Name", ""), node["Node Type"]
        index = node.get("Index Name", "")
        if relation.startswith("events_p") and relation != PARTITION:
            faults.append(f"{relation} is not of the range")
        if relation == PARTITION and kind not in ("Index Scan", "Index Only Scan", "Bitmap Heap Scan"):
            faults.append(f"{kind} on {relation}")
        if index.startswith("events_p") and "Index Cond" not in node:
            faults.append(f"{kind} of all of {index}")
    return faults


def test_every_filter_is_planned() -> None:
    """Each filter of the declared table is here, but for the range that each search has."""
    filters = {row.name for row in TABLE if row.filter} - {"from", "to"}
    assert {name.replace("metadata.user", "metadata.<key>") for name in VALUES} == filters


@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
@pytest.mark.parametrize("name", VALUES)
def test_filter_is_served_by_an_index(
    database: Connection, monkeypatch: pytest.MonkeyPatch, name: str, limits: tuple[int, int, int]
) -> None:
    """Page, next page and count of a day, by each form of each filter, read what an index finds in the day's month."""
    for limit, value in zip(("FEW", "SOME", "MOST", "FEW_COUNTED"), (*limits, limits[0]), strict=True):
        monkeypatch.setattr(shared_keys, limit, value)
    needed = {"ab_tests": "test"} if name == "ab_test_versions" else {}
    for form in FORMS[name]:
        statements = search(database, {form + name: VALUES[name], **needed})
        assert statements or form
        for statement in statements:
            assert find_faults(database, statement) == [], (form, statement)


def test_deep_page_reads_no_newer_events(database: Connection) -> None:
    """A page deep in a month begins at its cursor: what is newer is not even looked at in the index."""
    values = read_parameters({"from": "2026-10-01T00:00:00Z", "to": "2026-10-31T00:00:00Z", "per_page": "1"})
    Recorder.executed.clear()
    database.cursor_factory = Recorder
    try:
        search_events(database, values, Place(datetime(2026, 10, 2, tzinfo=UTC), 0, 10_000))
    finally:
        database.cursor_factory = Cursor
    query, bound = next(statement for statement in Recorder.executed if '"events"' in statement[0])
    with database.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}", bound)
        (([explained],),) = cursor.fetchall()
    assert explained["Plan"]["Shared Hit Blocks"] + explained["Plan"]["Shared Read Blocks"] < 20


def find_count(statements: list[Statement]) -> Statement:
    """The one statement that counts what a search finds."""
    (found,) = (each for each in statements if each[0].rpartition("; ")[2].startswith('SELECT COUNT(*) FROM "events"'))
    return found


@pytest.mark.parametrize(("end", "by_index"), [("2026-10-17", False), ("2026-10-31", True)])
@pytest.mark.parametrize("name", ["tags", "subaccounts"])
def test_dense_mailings_are_not_looked_up(
    database: Connection, monkeypatch: pytest.MonkeyPatch, name: str, end: str, by_index: bool
) -> None:
    """Where mailings have a tenth of all events, those of a day are fewer than theirs of the month; the planner knows.

    Those of most of the month are looked up in the index, whatever the planner thinks.
    """
    monkeypatch.setattr(module, "ENOUGH", 1)
    query, _ = find_count(search(database, {name: VALUES[name], "to": f"{end}T00:00:00Z"}, sizes=("10",)))
    assert ("unnest" in query) == by_index


@pytest.mark.parametrize(("most_found", "joined"), [(74, True), (76, False)])
def test_count_finds_keys_again_where_they_are_not_too_many(
    database: Connection, monkeypatch: pytest.MonkeyPatch, most_found: int, joined: bool
) -> None:
    """Mailings of a sender that are too many to be listed are looked up in the index, up to a limit."""
    for limit, value in {"FEW": 0, "SOME": 0, "MOST": 10, "MOST_FOUND": most_found}.items():
        monkeypatch.setattr(shared_keys, limit, value)
    month = {"from": "2026-10-01T00:00:00Z", "to": "2026-10-31T00:00:00Z"}
    query, _ = find_count(search(database, {"sending_ips": VALUES["sending_ips"], **month}, sizes=("1",)))
    assert query.startswith(ALLOW_HASH_JOIN) == joined


@pytest.mark.parametrize("database", ["analysed"], indirect=True)
def test_planner_knows_how_frequent_a_part_of_a_reason_is(database: Connection) -> None:
    """It walks from the newest on where that finds a page at once, and reads everything by several where few match."""
    months = {"from": "2026-09-01T00:00:00Z", "to": "2026-11-30T00:00:00Z"}
    estimates = []
    for part in ("such user", "such user 15101"):
        query, bound = search(database, {"reason": part, **months}, sizes=("1000",))[0]
        with database.cursor() as cursor:
            cursor.execute(f"EXPLAIN (FORMAT JSON) {query}", bound)
            (([explained],),) = cursor.fetchall()
        estimates.append(explained["Plan"]["Plan Rows"])
    assert estimates[0] > 500
    assert estimates[1] < 10


def test_range_alone_is_served_by_an_index(database: Connection) -> None:
    """A search without a filter reads the day alone."""
    statements = search(database, {})
    assert len(statements) == 4  # two pages of one event and their count, one of many
    assert [fault for statement in statements for fault in find_faults(database, statement)] == []


def test_reading_a_whole_partition_would_show(database: Connection) -> None:
    """Without the index of time the plans have the faults that these tests look for."""
    with database.cursor() as cursor:
        cursor.execute("BEGIN; DROP INDEX events_occurred_at_event_key")
        statements = search(database, {"urls": VALUES["urls"]})
        faults = [find_faults(database, statement) for statement in statements]
        cursor.execute("ROLLBACK")
    assert all(faults)
