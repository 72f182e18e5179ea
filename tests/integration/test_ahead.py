"""One object is prepared while another is loaded: whatever happens to one, each is loaded once and lacks nothing."""

import json
import multiprocessing
import os
import signal
from collections.abc import Callable
from random import Random
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from common.aws import AwsError
from common.database import Database, DatabaseUnavailableError
from common.objects import StoredObject
from maintain_partitions.partitions import maintain_partitions
from providers import sparkpost
from s3_loader import loading
from s3_loader.dimensions import Dimensions
from s3_loader.loading import CHANGED, USED_ID, Load, Outcome
from s3_loader.notifications import Notification
from s3_loader.preparing import Preparer
from s3_loader.rows import copy_rows
from summarise_hours.summaries import summarise_hours
from tests.integration.batches import make_event
from tests.integration.conftest import NOW, TABLES, Connect
from tests.integration.test_behaviour import make_call
from tests.integration.test_loading import count, select
from tests.integration.test_service import World

Act = Callable[[Any], object]
DEADLOCK = "40P01"
LACKING = """
SELECT count(*) FROM events LEFT JOIN kinds USING (kind_key) LEFT JOIN mailings USING (mailing_key)
    LEFT JOIN senders USING (sender_key) LEFT JOIN receivers USING (receiver_key) LEFT JOIN batches USING (batch_id)
WHERE kinds IS NULL OR mailings IS NULL OR senders IS NULL OR receivers IS NULL OR batches IS NULL
"""
COUNTED = """
SELECT object_key, event_count - duplicate_count, (SELECT count(*) FROM events WHERE batch_id = batches.batch_id)
FROM batches ORDER BY 1
"""


def put(world: World, name: str, *campaigns: str, first: int = 0, age: float = 90) -> Notification:
    """An object of an event of each campaign."""
    number = int(name) * 100 + first
    items = [
        make_event(str(number + each), campaign_id=campaign, raw_rcpt_to="ada@example.com", age=age)
        for each, campaign in enumerate(campaigns)
    ]
    return world.bucket.put(f"sparkpost/{name}", items, "")


def check(connection: Connection, *names: str) -> None:
    """These objects are loaded, each with its events, and these lack nothing that they share with others."""
    rows = select(connection, COUNTED)
    assert [key for key, _, _ in rows] == [f"raw/sparkpost/{name}" for name in names]
    assert all(told == there for _, told, there in rows)
    assert select(connection, LACKING) == [(0,)]


@pytest.fixture
def world(connect: Connect) -> World:
    """A service that has loaded once."""
    world = World(lambda: connect("mailwake_loader"))
    world.load([put(world, "0", "a")])
    return world


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The objects that were prepared, in that order."""
    names: list[str] = []
    prepare = Preparer.prepare

    def note(self: Preparer, connection: Any, batch: Any, *rest: Any, **named: Any) -> Any:
        names.append(batch.object_key.rpartition("/")[2])
        return prepare(self, connection, batch, *rest, **named)

    monkeypatch.setattr(Preparer, "prepare", note)
    return names


def interrupt(monkeypatch: pytest.MonkeyPatch, choose: Callable[[int], Act | str]) -> None:
    """Told how often rows were sent, `choose` gives what is done once the next are, before the commit.

    Something of this process, told the cursor; or a SQLSTATE that Postgres fails with; "answer": it comes to nothing.
    """
    copy, times = copy_rows, iter(range(1_000))

    def interrupted(cursor: Any, statement: Any, rows: Any, meanwhile: Any = lambda: None) -> None:
        act = choose(next(times))
        fault = f";DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{act}'; END $$"

        def sent() -> None:
            meanwhile()
            if callable(act):
                act(cursor)

        whole = type(statement) is bytes
        if whole and type(act) is str and len(act) == 5:
            statement = statement.removesuffix(b";COMMIT") + fault.encode() + b";COMMIT"
        copy(cursor, statement, rows, sent)
        if act == "answer" and whole:
            cursor.connection.close()
            raise psycopg2.OperationalError
        if type(act) is str and len(act) == 5:
            cursor.execute(fault[1:])

    monkeypatch.setattr(loading, "copy_rows", interrupted)


def kill(connect: Connect) -> Act:
    """Ends the server's process of a connection."""
    return lambda cursor: select(
        connect("postgres"), "SELECT pg_terminate_backend(%s)", cursor.connection.info.backend_pid
    )


def test_each_is_prepared_once(connect: Connect, world: World, prepared: list[str]) -> None:
    """Each object is read once, prepared once and loaded in a transaction of its own, in order."""
    notifications = [put(world, str(number), "a", f"new {number}", f"new {number - 1}") for number in range(1, 8)]
    before = len(world.bucket.fetched)
    assert [load.events for load in world.load(notifications)] == [3] * 7
    assert prepared == list("1234567")
    assert len(world.bucket.fetched) == before + 7
    query = connect("mailwake_query")
    assert select(query, "SELECT count(DISTINCT xmin::text), max(batch_id) - min(batch_id) FROM batches") == [(8, 7)]
    assert count(query, "mailings") == 9
    check(query, *"01234567")


def test_no_more_than_one_is_prepared_ahead(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """While an object is loaded one other is read, and none after it: each takes memory."""
    fetched: list[int] = []

    def wait_and_look(_cursor: Any) -> None:
        for begun in world.service._begun.values():
            begun.stored.result()
        fetched.append(len(world.bucket.fetched))

    interrupt(monkeypatch, lambda _number: wait_and_look)
    world.load([put(world, str(number), "a") for number in range(1, 5)])
    assert fetched == [3, 4, 5, 5]


@pytest.mark.parametrize("trouble", ["once", "always"])
@pytest.mark.parametrize("fault", ["connection", DEADLOCK])
def test_database_fails(
    connect: Connect, world: World, monkeypatch: pytest.MonkeyPatch, trouble: str, fault: str
) -> None:
    """An object whose transaction fails with another prepared behind it: only it fails, or it succeeds again."""

    def fail(number: int) -> Act | str:
        if number == 1 or (trouble == "always" and number in {2, 3}):
            return kill(connect) if fault == "connection" else fault
        return ""

    notifications = [put(world, str(number), "new", f"new {number // 2}") for number in range(1, 5)]
    interrupt(monkeypatch, fail)
    world.service.take_in(notifications)
    assert world.service.load(notifications[0]).events == 2
    if trouble == "always":
        with pytest.raises(psycopg2.Error):
            world.service.load(notifications[1])
    else:
        assert world.service.load(notifications[1]).events == 2
    assert [world.service.load(one).events for one in notifications[2:]] == [2, 2]
    check(connect("mailwake_query"), *("0134" if trouble == "always" else "01234"))
    outcomes = [load.outcome for load in world.load(notifications)]
    assert outcomes.count(Outcome.LOADED) == (trouble == "always")
    check(connect("mailwake_query"), *"01234")


@pytest.mark.parametrize("fault", ["not there", "foreign", "unreadable", "damaged"])
def test_object_can_not_be_prepared(
    connect: Connect, world: World, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """What is wrong with an object is told when it is its turn, and of it alone."""
    notifications = [put(world, str(number), "new", f"new {number}") for number in range(1, 4)]
    key, parse = notifications[1].object_key, sparkpost.parse
    stored = world.bucket.objects.pop(key)
    if fault == "foreign":
        world.bucket.objects[key] = StoredObject(stored.body, {})
    elif fault == "unreadable":
        world.bucket.objects[key] = StoredObject(b"\x1f\x8b", stored.metadata)
    elif fault == "damaged":
        world.bucket.objects[key] = StoredObject(stored.body.replace(b"new 2", b"evil"), stored.metadata)
        monkeypatch.setattr(Preparer, "_render", lambda *_: None)

        def parse_and_fail(body: bytes, delivery: Any) -> Any:
            for event in parse(body, delivery):
                yield event
                if b"evil" in body:
                    raise ZeroDivisionError

        monkeypatch.setattr(sparkpost, "parse", parse_and_fail)
    world.service.take_in(notifications)
    assert world.service.load(notifications[0]).events == 2
    if fault == "unreadable":
        assert world.service.load(notifications[1]).quarantined == 1
    else:
        with pytest.raises((AwsError, ValueError, ZeroDivisionError)):
            world.service.load(notifications[1])
    assert world.service.load(notifications[2]).events == 2
    check(connect("mailwake_query"), *("0123" if fault == "unreadable" else "013"))


def test_poison_is_of_one_object(connect: Connect, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that Postgres refuses, of an event or of what events share, harms its own object and no other."""
    monkeypatch.setattr(sparkpost, "may_be_unstorable", lambda _: False)
    notifications = [put(world, "1", "a", "new"), put(world, "2", "a", "new 2", "a\0b"), put(world, "3", "a", "new 2")]
    notifications.append(put(world, "4", "new", "new 2"))
    bad = make_event("350", campaign_id="new 3", rcpt_to="a\0b@example.com")
    world.bucket.put("sparkpost/3", [*json.loads(world.bucket.objects["raw/sparkpost/3"].body), bad], "")
    world.service.take_in(notifications)
    assert world.service.load(notifications[0]) == Load(Outcome.LOADED, events=2)
    with pytest.raises(psycopg2.Error):
        world.service.load(notifications[1])
    assert world.service.load(notifications[2]) == Load(Outcome.LOADED, events=2, quarantined=1)
    assert world.service.load(notifications[3]) == Load(Outcome.LOADED, events=2)
    check(connect("mailwake_query"), *"0134")


def test_duplicates_and_replays_between(connect: Connect, world: World) -> None:
    """An object with an event that is there, one that is loaded already, a replay, and behaviour, between others."""
    first: Notification = put(world, "1", "new", "a")
    other = World(lambda: connect("mailwake_loader"))
    other.load([put(other, "4", "shared")])
    notifications = [
        first,
        put(world, "2", "b", "c"),
        put(world, "4", "shared"),
        world.bucket.put("sparkpost/5", json.loads(world.bucket.objects[first.object_key].body), ""),
        put(world, "6", "shared", "c"),
        first._replace(replay=True),
        world.bucket.put("moesif/7", [make_call(1)]),
        put(world, "8", "c", "d"),
        first,
    ]
    loads = world.load(notifications)
    assert [(load.outcome, load.events, load.duplicates) for load in loads] == [
        (Outcome.LOADED, 2, 0), (Outcome.LOADED, 2, 0), (Outcome.ALREADY_LOADED, 0, 0), (Outcome.LOADED, 2, 2),
        (Outcome.LOADED, 2, 0), (Outcome.LOADED, 2, 2), (Outcome.LOADED, 1, 0), (Outcome.LOADED, 2, 0),
        (Outcome.ALREADY_LOADED, 0, 0),
    ]  # fmt: skip
    query = connect("mailwake_query")
    assert select(query, LACKING) == [(0,)]
    assert [count(query, table) for table in ("events", "activities")] == [10, 1]


def test_batch_id_that_came_before(connect: Connect, world: World) -> None:
    """A body under a used id is set aside with others before and behind it, and the next do not rely on it."""

    def receive(name: str, token: str, recipient: str, tag: str) -> Notification:
        data = {"event": "delivered", "id": name, "timestamp": NOW.timestamp() - 60, "recipient": recipient}
        notification = world.bucket.put(f"mailgun/{name}", {"event-data": data | {"tags": [tag]}}, "")
        metadata = world.bucket.objects[notification.object_key].metadata | {"batch-id": token}
        world.bucket.objects[notification.object_key] = world.bucket.objects[notification.object_key]._replace(
            metadata=metadata
        )
        return notification

    notifications = [
        receive("1", "one", "ada@example.com", "x"),
        receive("2", "one", "eve@example.com", "y"),
        receive("3", "three", "bea@example.com", "y"),
    ]
    assert [(load.events, load.quarantined) for load in world.load(notifications)] == [(1, 0), (0, 1), (1, 0)]
    query = connect("mailwake_query")
    assert select(query, "SELECT reason FROM quarantine") == [(USED_ID,)]
    assert select(query, LACKING) == [(0,)]


@pytest.mark.parametrize("change", ["emptied", "maintained"])
def test_tables_change_between(connect: Connect, world: World, change: str) -> None:
    """What an object that is prepared relies on is deleted before it is loaded: it is stored with it again."""
    notifications = [put(world, str(number), "old", "new") for number in range(1, 5)]
    old = put(world, "9", "old", age=150 * 86_400)
    world.load([old])
    world.service.take_in(notifications)
    world.service.load(notifications[0])
    for begun in world.service._begun.values():
        begun.stored.result()
    if change == "emptied":
        with connect("postgres") as superuser, superuser.cursor() as cursor:
            cursor.execute(f"TRUNCATE {TABLES}")
    else:
        with connect("postgres") as superuser, superuser.cursor() as cursor:
            cursor.execute("DELETE FROM events WHERE batch_id <> (SELECT min(batch_id) FROM batches)")
            cursor.execute("DELETE FROM batches WHERE object_key = 'raw/sparkpost/1'")
        maintain_partitions(connect("mailwake_migrator"), NOW, premake_months=1, retention_months=3)
    assert [world.service.load(one).events for one in notifications[1:]] == [2] * 3
    query = connect("mailwake_query")
    assert select(query, LACKING) == [(0,)]
    assert select(query, "SELECT count(*) FROM mailings WHERE campaign IN ('old', 'new')") == [(2,)]


def test_hours_are_counted_between(connect: Connect, world: World) -> None:
    """Hours that are counted after an object was prepared are counted again for its events."""
    notifications = [put(world, str(number), "a", age=4 * 3_600) for number in range(1, 4)]
    world.service.take_in(notifications)
    world.service.load(notifications[0])
    for begun in world.service._begun.values():
        begun.stored.result()
    assert summarise_hours(connect("mailwake_migrator"), NOW, lambda: True).counted > 0
    world.service.load(notifications[1])
    world.service.load(notifications[2])
    assert count(connect("mailwake_migrator"), "stale_hours") == 2


def test_object_is_left_out(connect: Connect, world: World) -> None:
    """An object that is prepared and then not loaded: the next do not rely on it."""
    notifications = [put(world, str(number), "a", f"new {number % 2}") for number in range(1, 7)]
    world.service.take_in(notifications)
    for number in (0, 3, 4):
        assert world.service.load(notifications[number]).events == 2
    check(connect("mailwake_query"), *"0145")
    assert [load.events for load in world.load(notifications)] == [0, 2, 2, 0, 0, 2]
    check(connect("mailwake_query"), *"0123456")


def test_shared_rows_can_not_be_stored(
    connect: Connect, world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An object is at its last row when what its events share is refused: it is stored with it again, and once."""
    build, times = Dimensions.build, iter(range(100))

    def build_and_fail(self: Dimensions) -> Any:
        if next(times) == 1:
            return [("SELECT 1 / 0 --%s", ("ada@example.com",))]
        return build(self)

    monkeypatch.setattr(Dimensions, "build", build_and_fail)
    notifications = [put(world, str(number), "a", f"new {number // 2}") for number in range(1, 5)]
    assert [load.events for load in world.load(notifications)] == [2] * 4
    check(connect("mailwake_query"), *"01234")
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == ["not prepared: 22012"]


def test_no_other_connection(connect: Connect, world: World) -> None:
    """Where the database gives no second connection, each object is prepared in its turn, over the first."""

    def refuse() -> Connection:
        raise DatabaseUnavailableError

    world.service.aside = Database(refuse)
    mails = [put(world, str(number), "a", f"new {number // 2}") for number in range(1, 4)]
    calls = [world.bucket.put(f"moesif/{number}", [make_call(number)]) for number in range(4, 7)]
    assert [load.events for load in world.load([*mails, *calls])] == [2, 2, 2, 1, 1, 1]
    query = connect("mailwake_query")
    assert select(query, LACKING) == [(0,)]
    assert [count(query, table) for table in ("events", "activities", "mailings")] == [7, 3, 3]


def _load_and_die(dsn: str, died: int) -> None:
    """Loads four objects, and is killed while that number is sent."""
    world = World(lambda: psycopg2.connect(dsn, options="-c timezone=UTC"))
    patch = pytest.MonkeyPatch()

    def die(_cursor: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    interrupt(patch, lambda number: die if number == died else "")
    world.load([put(world, str(number), "a", f"new {number // 2}") for number in range(1, 5)])


def test_killed_process_leaves_whole_objects(connect: Connect, world: World) -> None:
    """Killed with one object half sent and another prepared: what was loaded is whole, the rest comes again."""
    dsn = connect("mailwake_loader").dsn
    process = multiprocessing.get_context("spawn").Process(target=_load_and_die, args=(dsn, 2))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    check(connect("mailwake_query"), *"012")
    notifications = [put(world, str(number), "a", f"new {number // 2}") for number in range(1, 5)]
    assert [load.events for load in world.load(notifications)] == [0, 0, 2, 2]
    check(connect("mailwake_query"), *"01234")


@pytest.mark.parametrize("seed", range(8))
def test_whatever_happens(connect: Connect, world: World, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Faults at random: in the end each object is loaded once, whole, and lacks nothing."""
    chance, service = Random(seed), world.service

    def kill_aside(_cursor: Any) -> None:
        if (aside := service.aside._connection) is not None and not aside.closed:
            select(connect("postgres"), "SELECT pg_terminate_backend(%s)", aside.info.backend_pid)

    notifications = [
        put(world, str(number), *(chance.choice("abcdefghij") * 3 for _ in range(3))) for number in range(1, 40)
    ]
    calm = False

    faults: list[Act | str] = [kill(connect), kill_aside, "answer", DEADLOCK, "22021", "23505", CHANGED, *[""] * 10]

    def disturb(_number: int) -> Act | str:
        return "" if calm else chance.choice(faults)

    interrupt(monkeypatch, disturb)
    for _ in range(8):
        some = chance.choices(notifications, k=10)
        service.take_in(some)
        for notification in some:
            if chance.random() < 0.8:
                try:
                    service.load(notification)
                except psycopg2.Error:
                    continue
    calm = True
    world.load(notifications)
    check(connect("mailwake_query"), *sorted(map(str, range(40))))
    told = "SELECT sum(event_count - duplicate_count + quarantine_count) FROM batches"
    assert select(connect("mailwake_query"), told) == [(1 + 39 * 3,)]
