import json
import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from psycopg2.extensions import connection as Connection

from common.activities import Activity, Identity, Operation
from common.details import unpack_detail
from maintain_partitions.partitions import maintain_partitions
from query_events import batches, quarantine
from s3_loader.batches import Batch, Limits
from s3_loader.behaviour import BehaviourLoader
from s3_loader.loading import Load, Loader, Outcome
from sources import find_source
from tests.integration.conftest import NOW, Connect
from tests.integration.requests import make_request
from tests.integration.test_loading import count, select
from tests.unit.sources.samples import ACTION, CALL, TRACK, restore

LIMITS = Limits(oldest=timedelta(days=400), expired_before=NOW - timedelta(weeks=53))
STORED = """
SELECT occurred_at, activity_key, id_rest, o.source, o.activity_type, o.name, o.method, o.route, o.status, o.direction,
       o.api_version, i.identity_type, i.value, c.value, g.user_agent, duration, weight, detail
FROM activities JOIN operations o USING (operation_id) LEFT JOIN identities i USING (identity_id)
     LEFT JOIN identities c ON c.identity_id = company_id LEFT JOIN agents g USING (agent_id)
ORDER BY occurred_at, activity_key
"""


def make_batch(source: str, collection: str, items: object, key: str = "one", received_at: datetime = NOW) -> Batch:
    """A batch as the listener stores it."""
    body = json.dumps(items).encode()
    return Batch(f"raw/{source}/2026/11/21/12/{key}", source, None, "r", received_at, body, query=collection)


def load(connection: Connection, batch: Batch, *, replay: bool = False, loader: BehaviourLoader | None = None) -> Load:
    """Loads a batch, by a loader that remembers nothing unless one is given."""
    source = find_source(batch.provider)
    assert source is not None
    loader = loader or BehaviourLoader()
    return loader.load(connection, batch, loader.read(source, batch, LIMITS), replay=replay)


def read_and_load(connection: Connection, batch: Batch) -> Load:
    """Loads a batch of behaviour or of mails."""
    if find_source(batch.provider) is not None:
        return load(connection, batch)
    return Loader().load(connection, batch, LIMITS)


def find_items(connection: Connection) -> list[dict[str, Any]]:
    """All stored activities as they were sent, by time."""
    items = []
    for at, key, rest, *operation, kind, value, company, agent, duration, weight, detail in select(connection, STORED):
        identity = Identity(kind, value) if kind else None
        text = unpack_detail(bytes(detail))
        items.append(
            restore(Activity(at, key, rest, Operation(*operation), identity, company, agent, duration, weight, 0, text))
        )
    return items


def make_call(number: int, **fields: Any) -> dict[str, Any]:
    """A call of its own, so many seconds before NOW."""
    at = (NOW - timedelta(seconds=number)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {**CALL, "request": {**CALL["request"], "time": at}, "transaction_id": f"call-{number}", **fields}


def test_what_was_sent_comes_back_from_postgres(connect: Connect) -> None:
    """A call, an action and a track are stored in columns and detail, and given back as they were sent."""
    loader = connect("mailwake_loader")
    assert load(loader, make_batch("moesif", "events", [CALL])) == Load(Outcome.LOADED, events=1)
    load(loader, make_batch("moesif", "actions", ACTION, key="two"))
    load(loader, make_batch("segment", "batch", {"batch": [TRACK]}, key="three"))
    assert find_items(connect("mailwake_query")) == [CALL, ACTION, TRACK]


def test_batch_has_its_row(connect: Connect) -> None:
    """A batch of behaviour is counted as one of mails; what can't be read is in the quarantine with its reason."""
    loader = connect("mailwake_loader")
    assert load(loader, make_batch("moesif", "events", [make_call(1), {"request": {}}, make_call(2)])) == Load(
        Outcome.LOADED, events=2, quarantined=1
    )
    assert select(loader, "SELECT provider, event_count, duplicate_count, quarantine_count FROM batches") == [
        ("moesif", 2, 0, 1)
    ]
    assert select(loader, "SELECT provider, item_index, reason FROM quarantine") == [("moesif", 1, "it has no time")]


def test_hostile_batch_makes_few_rows(connect: Connect) -> None:
    """However much of a batch can't be read: a thousand rows, and a true count of all."""
    loader = connect("mailwake_loader")
    for source, collection, items in (("moesif", "events", [*[7] * 1500, make_call(1)]), ("sparkpost", "", [7] * 1500)):
        batch = make_batch(source, collection, items, key=source)
        found = read_and_load(loader, batch)
        assert (found.events, found.quarantined) == (len(items) - 1500, 1500)
        rows = select(loader, "SELECT reason FROM quarantine WHERE provider = %s ORDER BY item_index", source)
        assert len(rows) == 1000
        assert "500 more" in rows[-1][0]
    assert select(loader, "SELECT quarantine_count FROM batches") == [(1500,)] * 2


def test_identities_are_found_by_their_index(connect: Connect) -> None:
    """Also by a connection that began when there were next to none, and before any ANALYZE."""
    connection = connect("mailwake_loader")
    for number in range(12):  # Postgres keeps the plan of the first few
        calls = [make_call(20 * number + each, user_id=f"user-{number}-{each}") for each in range(20)]
        load(connection, make_batch("moesif", "events", calls, key=f"calls-{number}"))
    connection.autocommit = True
    read = (
        "SELECT pg_stat_force_next_flush(); SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'identities'"
    )
    before = select(connection, read)
    again = [make_call(1000 + each, user_id=f"user-0-{each}") for each in range(20)]
    load(connection, make_batch("moesif", "events", again, key="again"))
    select(connection, read)
    assert select(connection, read) == before


def test_nothing_counts_twice(connect: Connect) -> None:
    """The same object, the same call in another batch, and twice in one."""
    loader = connect("mailwake_loader")
    batch = make_batch("moesif", "events", [make_call(1), make_call(2)])
    load(loader, batch)
    assert load(loader, batch) == Load(Outcome.ALREADY_LOADED)
    again = make_batch("moesif", "events", [make_call(2), make_call(3), make_call(3)], key="two")
    assert load(loader, again) == Load(Outcome.LOADED, events=3, duplicates=2)
    assert count(loader, "activities") == 3


def test_replay_changes_nothing(connect: Connect) -> None:
    """A replay finds all there already, and clears what was set aside."""
    loader, query = connect("mailwake_loader"), connect("mailwake_query")
    batches = [
        make_batch("moesif", "events", [make_call(1), 7]),
        make_batch("moesif", "users", [{"user_id": "u", "metadata": {"email": "u@example.com"}}], key="two"),
        make_batch("segment", "alias", {"userId": "u", "previousId": "v"}, key="three"),
    ]
    for batch in batches:
        load(loader, batch)
    tables = ("activities", "identities", "identity_links", "profiles", "quarantine")
    before = [select(query, f"SELECT to_jsonb(t) - 'loaded_at' FROM {table} t ORDER BY 1") for table in tables]
    for batch in reversed(batches):
        load(loader, batch, replay=True)
    assert before == [select(query, f"SELECT to_jsonb(t) - 'loaded_at' FROM {table} t ORDER BY 1") for table in tables]


def test_empty_database_is_rebuilt(connect: Connect) -> None:
    """A loader that remembers what another database had starts anew."""
    connection, loader = connect("mailwake_loader"), BehaviourLoader()
    batch = make_batch("moesif", "events", [CALL])
    load(connection, batch, loader=loader)
    with connect("postgres") as owner, owner.cursor() as cursor:
        cursor.execute("TRUNCATE activities, operations, agents, identities, batches")
    load(connection, batch, loader=loader)
    assert find_items(connect("mailwake_query")) == [CALL]


def test_late_call_is_counted_where_it_belongs(connect: Connect) -> None:
    """A call of months ago gets the partition that it needs; one past the retention is counted and left out."""
    loader = connect("mailwake_loader")
    items = [make_call(1), make_call(86_400 * 100), make_call(86_400 * 380), make_call(86_400 * 500)]
    assert load(loader, make_batch("moesif", "events", items)) == Load(
        Outcome.LOADED, events=2, quarantined=1, expired=1
    )
    assert count(loader, "activities") == 2


def test_identity_of_the_future_is_refused(connect: Connect) -> None:
    """A write that is dated ahead would win over all that is said later: it is set aside."""
    loader = connect("mailwake_loader")
    ahead = (NOW + timedelta(days=2)).isoformat()
    user = {"user_id": "u", "modified_time": ahead, "metadata": {"email": "u@example.com"}}
    assert load(loader, make_batch("moesif", "users", [user])) == Load(Outcome.LOADED, quarantined=1)
    assert count(loader, "profiles") == 0


def test_weeks_past_the_retention_are_dropped(connect: Connect) -> None:
    """Maintenance makes this week and the next, and drops the weeks before the retention."""
    load(connect("mailwake_loader"), make_batch("moesif", "events", [make_call(1), make_call(86_400 * 30)]))
    migrator = connect("mailwake_migrator")
    done = maintain_partitions(migrator, NOW, premake_months=1, retention_months=12, activity_retention_weeks=2)
    assert "activities_p20261019" in done.dropped
    kept = [name for (name,) in select(migrator, "SELECT partition FROM activities_partitions ORDER BY starts_at")]
    assert kept[-2:] == ["activities_p20261116", "activities_p20261123"]
    assert min(kept) >= "activities_p20261102"
    assert count(migrator, "activities") == 1


def test_traits_merge_by_time(connect: Connect) -> None:
    """Traits merge recursively; of each the newest write counts, whichever came first."""
    loader = connect("mailwake_loader")
    early = {"user_id": "u", "modified_time": "2026-11-01T00:00:00Z", "metadata": {"plan": "free", "a": {"x": 1}}}
    late = {"user_id": "u", "modified_time": "2026-11-02T00:00:00Z", "metadata": {"plan": "pro", "a": {"y": "\u0000"}}}
    load(loader, make_batch("moesif", "users", [late]))
    load(loader, make_batch("moesif", "users", [early], key="two"))
    ((traits,),) = select(loader, "SELECT traits FROM profiles")
    assert traits == {"metadata": {"plan": "pro", "a": {"x": 1, "y": "\ufffd"}}}


@pytest.mark.parametrize("replay", [False, True])
def test_loaders_at_once(connect: Connect, replay: bool) -> None:
    """Loaders that meet the same users, operations and calls at once neither deadlock nor lose or double anything."""

    def build(number: int) -> list[Batch]:
        calls = [make_call(second, user_id=f"user-{second % 13}") for second in range(number % 3, 300, 2)]
        messages = [
            {"type": "identify", "userId": f"user-{n}", "anonymousId": f"a-{n}", "traits": {f"t{number}": n}}
            for n in (range(13) if number % 2 else reversed(range(13)))
        ]
        return [
            make_batch("moesif", "events", calls, key=f"calls-{number}"),
            make_batch("segment", "batch", {"batch": messages}, key=f"messages-{number}"),
        ]

    failures: list[BaseException] = []

    def run(connection: Connection, number: int) -> None:
        try:
            loader = BehaviourLoader()
            for batch in build(number):
                load(connection, batch, loader=loader)
                if replay:
                    load(connection, batch, loader=loader, replay=True)
        except BaseException as failure:  # noqa: BLE001 - told by the test
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(connect("mailwake_loader"), number)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    query = connect("mailwake_query")
    assert select(query, "SELECT count(*), count(DISTINCT activity_key) FROM activities") == [(300, 300)]
    assert select(query, "SELECT count(DISTINCT person_id) FROM identities WHERE identity_type <> 'company'") == [(13,)]
    assert select(query, "SELECT DISTINCT jsonb_object_keys(traits -> 'metadata') FROM profiles ORDER BY 1") == [
        ("t0",), ("t1",), ("t2",), ("t3",)
    ]  # fmt: skip


def test_batches_and_quarantine_tell_of_behaviour(connect: Connect) -> None:
    """The look-ups of batches and of what was set aside know who sends behaviour."""
    load(connect("mailwake_loader"), make_batch("moesif", "events", [make_call(1), 7]))
    query = connect("mailwake_query")
    query.autocommit = True
    for (route,) in (batches.ROUTES, quarantine.ROUTES):
        (found,) = make_request(query, route, {"providers": "moesif"})["results"]
        assert found["object_key"] == "raw/moesif/2026/11/21/12/one"
        assert make_request(query, route, {"providers": "segment"})["results"] == []


def test_loader_forgets_what_is_too_much(connect: Connect) -> None:
    """A loader that knows too many users forgets them, and asks for those of a batch again."""
    connection, loader = connect("mailwake_loader"), BehaviourLoader()
    loader.keys.remembered = 3
    for number in range(4):
        calls = [make_call(second + 10 * number, user_id=f"user-{second}") for second in range(6)]
        load(connection, make_batch("moesif", "events", calls, key=f"{number}"), loader=loader)
    assert select(connection, "SELECT count(*), count(DISTINCT identity_id) FROM activities") == [(24, 6)]


def test_items_that_are_deep_are_set_aside(connect: Connect) -> None:
    """A deeply nested item that can't be read does not keep its batch from being loaded."""
    deep: object = 1
    for _ in range(900):
        deep = [deep]
    items = [{"request": {}, "metadata": deep}, make_call(1, metadata=deep), make_call(2)]
    done = load(connect("mailwake_loader"), make_batch("moesif", "events", items))
    assert (done.outcome, done.quarantined >= 1) == (Outcome.LOADED, True)
