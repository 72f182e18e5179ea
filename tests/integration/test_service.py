"""The loader's service with a bucket in memory and a real Postgres: what came at once is loaded at once."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

import pytest
from psycopg2.extensions import connection as Connection

from common.aws import AwsError
from common.database import Database
from common.objects import Bucket, StoredObject
from s3_loader import app
from s3_loader.behaviour import BehaviourLoader
from s3_loader.loading import Load, Outcome
from s3_loader.notifications import Notification
from s3_loader.service import LoaderService
from tests.integration.conftest import NOW, Connect
from tests.integration.test_behaviour import make_call
from tests.integration.test_loading import count, select

TRANSACTIONS = "SELECT count(DISTINCT xmin::text) FROM batches"
BATCHES = "SELECT object_key, event_count, duplicate_count, quarantine_count FROM batches ORDER BY 1"


class FakeBucket:
    """Objects in memory, and how often each was fetched."""

    def __init__(self) -> None:
        self.objects: dict[str, StoredObject] = {}
        self.fetched: list[str] = []

    def put(self, key: str, items: object, query: str = "events") -> Notification:
        """Stores a body as the listener does; gives its notification."""
        key = f"raw/{key}"
        metadata = {"received-at": NOW.isoformat(), "query": query}
        self.objects[key] = StoredObject(json.dumps(items).encode(), metadata)
        return Notification("raw", key, replay=False)

    def get(self, key: str) -> StoredObject:
        """The object."""
        self.fetched.append(key)
        if key not in self.objects:
            raise AwsError(404, "", "s3 GetObject")
        return self.objects[key]


class World:
    """A service with its bucket and database."""

    def __init__(self, open_connection: Callable[[], Connection]) -> None:
        self.bucket = FakeBucket()
        self.service = LoaderService(
            database=Database(open_connection),
            aside=Database(open_connection),
            max_event_age=timedelta(days=400),
            retention_months=12,
            activity_retention_weeks=53,
            open_bucket=lambda _name: cast("Bucket", self.bucket),
            clock=lambda: NOW,
            sleep=lambda _seconds: None,
        )

    def load(self, notifications: list[Notification]) -> list[Load]:
        """Loads as the entry point does."""
        self.service.take_in(notifications)
        return [self.service.load(one) for one in notifications]


@pytest.fixture
def world(connect: Connect) -> World:
    """A service."""
    return World(lambda: connect("mailwake_loader"))


def test_what_came_at_once_is_one_transaction(connect: Connect, world: World) -> None:
    """Calls, users and messages of several objects: each batch has its row and its items, all of one transaction."""
    notifications = [
        world.bucket.put("moesif/1", [make_call(1), make_call(2), 7]),
        world.bucket.put("moesif/2", [make_call(3)]),
        world.bucket.put("moesif/3", [{"user_id": "user-7", "metadata": {"email": "u@example.com"}}], "users"),
        world.bucket.put("segment/4", {"userId": "user-7", "previousId": "old", "type": "alias"}, "alias"),
    ]
    loads = world.load(notifications)
    assert [(load.events, load.quarantined) for load in loads] == [(2, 1), (1, 0), (1, 0), (1, 0)]
    query = connect("mailwake_query")
    assert select(query, TRANSACTIONS) == [(1,)]
    assert select(query, BATCHES) == [
        ("raw/moesif/1", 2, 0, 1), ("raw/moesif/2", 1, 0, 0), ("raw/moesif/3", 1, 0, 0), ("raw/segment/4", 1, 0, 0),
    ]  # fmt: skip
    by_batch = "SELECT object_key, count(*) FROM activities JOIN batches USING (batch_id) GROUP BY 1 ORDER BY 1"
    assert select(query, by_batch) == [("raw/moesif/1", 2), ("raw/moesif/2", 1)]
    assert select(query, "SELECT object_key, item_index FROM quarantine") == [("raw/moesif/1", 2)]
    assert len(world.bucket.fetched) == 4
    assert [load.outcome for load in world.load(notifications)] == [Outcome.ALREADY_LOADED] * 4


def test_mails_and_replays_are_loaded_alone(connect: Connect, world: World) -> None:
    """Only new behaviour is loaded together; an object that is told of twice is loaded once."""
    first, second = world.bucket.put("moesif/1", [make_call(1)]), world.bucket.put("moesif/2", [make_call(2)])
    mail = world.bucket.put("sparkpost/3", [7], "")
    loads = world.load([first, mail, second, first])
    assert [(load.outcome, load.events, load.quarantined) for load in loads] == [
        (Outcome.LOADED, 1, 0), (Outcome.LOADED, 0, 1), (Outcome.LOADED, 1, 0), (Outcome.LOADED, 1, 0),
    ]  # fmt: skip
    assert select(connect("mailwake_query"), TRANSACTIONS) == [(2,)]
    again = world.load([first._replace(replay=True), second._replace(replay=True)])
    assert [(load.outcome, load.duplicates) for load in again] == [(Outcome.LOADED, 1)] * 2
    assert count(connect("mailwake_query"), "activities") == 2


@pytest.mark.parametrize(
    "trouble", ["the same call", "an object that is not there", "a foreign object", "another week"]
)
def test_what_fails_together_is_loaded_alone(connect: Connect, world: World, trouble: str) -> None:
    """Where one object keeps the others from being loaded at once, each is tried alone, and only its own fails."""
    notifications = [world.bucket.put(f"moesif/{number}", [make_call(number)]) for number in range(3)]
    if trouble == "the same call":
        notifications.append(world.bucket.put("moesif/3", [make_call(1)]))
    elif trouble == "another week":
        notifications.append(world.bucket.put("moesif/3", [make_call(86_400 * 100)]))
    else:
        notifications.append(Notification("raw", "raw/moesif/3", replay=False))
        if trouble == "a foreign object":
            world.bucket.objects["raw/moesif/3"] = StoredObject(b"[]", {})
    world.service.take_in(notifications)
    assert [world.service.load(one).outcome for one in notifications[:3]] == [Outcome.LOADED] * 3
    if "object" in trouble:
        with pytest.raises((AwsError, ValueError)):
            world.service.load(notifications[3])
    else:
        assert world.service.load(notifications[3]).outcome == Outcome.LOADED
    assert count(connect("mailwake_query"), "activities") == (4 if trouble == "another week" else 3)


@pytest.mark.parametrize("many", [[make_call(1, metadata="x" * 600_000)], [7] * 6_000])
def test_large_bodies_are_loaded_alone(connect: Connect, world: World, many: list[Any]) -> None:
    """A large body, or one that says much, is not kept in memory beside others."""
    notifications = [world.bucket.put(f"moesif/{number}", [make_call(number)]) for number in range(2, 4)]
    notifications.insert(0, world.bucket.put("moesif/1", many))
    assert [load.outcome for load in world.load(notifications)] == [Outcome.LOADED] * 3
    assert select(connect("mailwake_query"), TRANSACTIONS) == [(2,)]
    assert sorted(world.bucket.fetched) == sorted(one.object_key for one in notifications)


@pytest.mark.parametrize("remembered", [1, 1_000])
def test_next_is_read_while_one_is_taken_in(
    connect: Connect, world: World, monkeypatch: pytest.MonkeyPatch, remembered: int
) -> None:
    """Objects are read one after the other as the database takes them; what is forgotten is asked for again."""
    world.service._behaviour_loader.keys.remembered = remembered
    steps: list[str] = []

    def note(name: str) -> None:
        method = getattr(BehaviourLoader, name)

        def noting(*given: Any) -> Any:
            steps.append(name)
            return method(*given)

        monkeypatch.setattr(BehaviourLoader, name, noting)

    note("read")
    note("_render")
    users = [{"user_id": f"u{number}", "metadata": {"email": f"{number}@example.com"}} for number in range(3)]
    notifications = [
        world.bucket.put("moesif/1", [make_call(1, user_id="u1"), make_call(2, user_id="u2", company_id="c")]),
        world.bucket.put("moesif/2", users, "users"),
        world.bucket.put("segment/3", {"userId": "u1", "previousId": "old", "type": "alias"}, "alias"),
        world.bucket.put("moesif/4", [make_call(4, user_id="u3"), make_call(5, user_id="u1")]),
    ]
    assert [load.events for load in world.load(notifications)] == [2, 3, 1, 2]
    assert steps == ["read", "_render"] * 4
    query = connect("mailwake_query")
    assert select(query, TRANSACTIONS) == [(1,)]
    by_user = "SELECT value, count(*) FROM activities JOIN identities USING (identity_id) GROUP BY 1 ORDER BY 1"
    assert select(query, by_user) == [("u1", 2), ("u2", 1), ("u3", 1)]
    assert count(query, "profiles") == 3
    persons = "SELECT count(DISTINCT person_id) FROM identities WHERE value IN ('u1', 'old')"
    assert select(query, persons) == [(1,)]


def test_other_connection_breaks(connect: Connect, world: World) -> None:
    """Without the connection that new keys are asked for over, each object is loaded alone."""
    notifications = [world.bucket.put(f"moesif/{number}", [make_call(number)]) for number in range(1, 4)]
    pid = world.service.aside.get().info.backend_pid
    select(connect("postgres"), "SELECT pg_terminate_backend(%s)", pid)
    assert [load.events for load in world.load(notifications)] == [1] * 3
    assert select(connect("mailwake_query"), TRANSACTIONS) == [(3,)]
    more = [world.bucket.put(f"moesif/{number}", [make_call(number)]) for number in range(4, 7)]
    assert [load.events for load in world.load(more)] == [1] * 3
    assert select(connect("mailwake_query"), TRANSACTIONS) == [(4,)]


def test_failure_is_told_by_its_name(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What goes wrong while Postgres waits for rows is told as what it is, and without what it says of somebody."""
    read, times = BehaviourLoader.read, iter(range(100))

    def fail(*given: Any) -> Any:
        if next(times) == 1:
            raise KeyError("ada@example.com")
        return read(*given)

    monkeypatch.setattr(BehaviourLoader, "read", fail)
    caplog.set_level("INFO")
    notifications = [world.bucket.put(f"moesif/{number}", [make_call(number)]) for number in range(1, 4)]
    assert [load.events for load in world.load(notifications)] == [1] * 3
    assert "not loaded together: KeyError" in caplog.text
    assert "ada@" not in caplog.text


def test_one_object_is_read_once(world: World) -> None:
    """A single object takes the usual way."""
    assert world.load([world.bucket.put("moesif/1", [make_call(1)])])[0].events == 1
    assert world.bucket.fetched == ["raw/moesif/1"]


def test_records_are_read_all() -> None:
    """What several records tell of; one that is no notification does not hide the others."""
    told = {"s3": {"bucket": {"name": "raw"}, "object": {"key": "raw/moesif/1"}}, "eventName": "ObjectCreated:Put"}
    records = [{"body": "{"}, {"body": json.dumps({"Records": [told]})}, {"body": '{"Event": "s3:TestEvent"}'}]
    found = list(app.list_notifications({"Records": records}))
    assert found == [Notification("raw", "raw/moesif/1", replay=False)]
