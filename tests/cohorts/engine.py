"""The engine's side of a schedule: the loaders, the ticks and the tables of a Postgres."""

import contextlib
import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import psycopg2
import psycopg2.errors
import psycopg2.extensions
from psycopg2.extensions import connection as Connection

from cohort_evaluator.evaluation import evaluate_cohorts
from cohort_evaluator.store import delete_cohort, save_cohort
from common.activities import Identity
from common.errors import ApiError
from common.events import Json
from local.postgres import SUPERUSER, Postgres
from oracle.telling import Interval, Transition
from s3_loader.batches import Batch, Limits
from s3_loader.behaviour import BehaviourLoader
from s3_loader.loading import Loader
from sources import find_source
from tests.cohorts.happenings import Happening
from tests.integration.conftest import NOW, TABLES

LIMITS = Limits(oldest=timedelta(days=9999), expired_before=datetime(2000, 1, 1, tzinfo=UTC))
PATIENCE_S = 60.0
MEMBERSHIPS = "SELECT name, subject_id, entered_at, exited_at FROM memberships JOIN cohorts USING (cohort_id)"
TRANSITIONS = """
SELECT name, subject_id, kind, at, told_at FROM transitions JOIN cohorts USING (cohort_id) ORDER BY transition_id
"""
PARTITIONS = "SELECT partition FROM activities_partitions UNION ALL SELECT partition FROM events_partitions"
Memberships = dict[tuple[str, int], list[Interval]]
Transitions = dict[tuple[str, int], list[Transition]]


class Killed(BaseException):
    """A tick's process ended."""


class DyingCursor(psycopg2.extensions.cursor):
    """A cursor of a `DyingConnection`."""

    def execute(self, *arguments: Any) -> None:
        """Runs a statement if there is life left."""
        cast("DyingConnection", self.connection).live()
        super().execute(*arguments)

    def copy_expert(self, *arguments: Any) -> None:
        """The same of a copy."""
        cast("DyingConnection", self.connection).live()
        super().copy_expert(*arguments)


class DyingConnection(Connection):
    """A connection whose process ends before its nth statement or commit."""

    statements = 0

    def live(self) -> None:
        """Counts; raises `Killed` when it is over."""
        if self.statements == 0:
            raise Killed
        self.statements -= 1

    def cursor(self, *arguments: Any, **more: Any) -> Any:
        """A cursor that counts."""
        return super().cursor(*arguments, cursor_factory=DyingCursor, **more)

    def commit(self) -> None:
        """Counts as a statement."""
        try:
            self.live()
        except BaseException:
            super().rollback()  # as the server does when nobody is there any more
            raise
        super().commit()


class FailingConnection(DyingConnection):
    """A connection whose nth statement takes too long."""

    def live(self) -> None:
        """Counts; fails once."""
        self.statements -= 1
        if self.statements == -1:
            raise psycopg2.errors.QueryCanceled("canceling statement due to statement timeout")


class HoldingCursor(psycopg2.extensions.cursor):
    """A cursor of a `HoldingConnection`."""

    def execute(self, statement: Any, *arguments: Any) -> None:
        """Runs a statement, one that commits when it is let go."""
        if b"COMMIT" in (statement if isinstance(statement, bytes) else str(statement).encode()):
            connection = cast("HoldingConnection", self.connection)
            connection.reached.set()
            assert connection.released.wait(PATIENCE_S)
        super().execute(statement, *arguments)


class HoldingConnection(Connection):
    """A connection whose transactions wait before they are committed."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.reached, self.released = threading.Event(), threading.Event()

    def cursor(self, *arguments: Any, **more: Any) -> Any:
        """A cursor that waits."""
        return super().cursor(*arguments, cursor_factory=HoldingCursor, **more)


class Engine:
    """Loads and evaluates over one database, which is emptied at first."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._loader, self._mail_loader = BehaviourLoader(), Loader()
        self._batches = 0
        self._loading = self._connect("mailwake_loader")
        self._evaluating = self._connect("mailwake_evaluator")
        self._owner = self._connect(SUPERUSER)
        self._owner.autocommit = True
        self._holding: list[tuple[HoldingConnection, threading.Thread]] = []
        self._failures: list[BaseException] = []

    def _connect(self, role: str, factory: type[Connection] = Connection) -> Any:
        dsn = self._postgres.dsn(role, "mailwake")
        return psycopg2.connect(dsn, options="-c timezone=UTC", connection_factory=factory)

    def close(self) -> None:
        """Closes all connections."""
        for connection in (self._loading, self._evaluating, self._owner):
            connection.close()

    def empty(self, first: datetime, last: datetime) -> None:
        """Forgets everything. There are partitions for what happens from the one instant to the other: making one would
        wait for loads that are held.
        """
        months = {first.date().replace(day=1), last.date().replace(day=1)}
        mondays = [first + timedelta(weeks=week) for week in range((last - first).days // 7 + 2)]
        with self._owner.cursor() as cursor:
            cursor.execute(f"TRUNCATE {TABLES} CASCADE")
            cursor.execute(
                "SELECT partition FROM activities_partitions UNION ALL SELECT partition FROM events_partitions"
            )
            cursor.execute(f"DROP TABLE {', '.join(name for (name,) in cursor.fetchall())}")
            for table, instants in (("events", months), ("activities", mondays)):
                for instant in instants:
                    cursor.execute(f"SELECT create_{table}_partition(%s)", (instant,))

    def load(self, happenings: Sequence[Happening], at: datetime) -> None:
        """Loads what came up to an instant: one batch of each kind of body."""
        for (source, collection), items in _group(happenings):
            self._load(source, collection, items, at, self._loading, (self._loader, self._mail_loader))

    def hold(self, happenings: Sequence[Happening], at: datetime) -> None:
        """The same, but nothing is committed before `release`."""
        for (source, collection), items in _group(happenings):
            connection = self._connect("mailwake_loader", HoldingConnection)

            def load(
                connection: HoldingConnection = connection,
                source: str = source,
                collection: str = collection,
                items: list[Json] = items,
            ) -> None:
                try:
                    self._load(source, collection, items, at, connection, (BehaviourLoader(), Loader()))
                except BaseException as failure:  # noqa: BLE001 - told by `release`
                    self._failures.append(failure)
                finally:
                    connection.reached.set()

            thread = threading.Thread(target=load)
            thread.start()
            # One that waits for a lock of another waits until that one is let go.
            connection.reached.wait(0.2 if self._holding else PATIENCE_S)
            self._holding.append((connection, thread))

    def release(self) -> None:
        """Lets all loads be committed that wait."""
        for connection, _ in self._holding:
            connection.released.set()
        for connection, thread in self._holding:
            thread.join()
            connection.close()
        self._holding.clear()
        self._raise_failure()

    def _raise_failure(self) -> None:
        if self._failures:
            raise self._failures.pop()

    def _load(
        self,
        name: str,
        collection: str,
        items: list[Json],
        at: datetime,
        connection: Connection,
        loaders: tuple[BehaviourLoader, Loader],
    ) -> None:
        self._batches += 1
        body = json.dumps({"batch": items} if collection == "batch" else items).encode()
        key = f"raw/{name}/2026/11/21/12/{self._batches}"
        batch = Batch(key, name, None, "r", at, body, query=collection)
        source = find_source(name)
        if source is None:
            loaded = loaders[1].load(connection, batch, LIMITS)
        else:
            loaded = loaders[0].load(connection, batch, loaders[0].read(source, batch, LIMITS))
        assert loaded.quarantined == loaded.expired == 0, (loaded, items)

    def save(self, definition: Json) -> None:
        """A definition that the next tick switches on."""
        save_cohort(self._evaluating, definition, NOW, "test")

    def delete(self, name: str) -> bool:
        """A cohort that the next tick gives up; False where another one asks for it, or it is given up already."""
        try:
            delete_cohort(self._evaluating, name, NOW)
        except ApiError:
            return False
        return True

    def tick(self, at: datetime) -> None:
        """One tick."""
        evaluate_cohorts(self._evaluating, at)

    def kill(self, at: datetime, statement: int) -> bool:
        """A tick that ends before a statement; False where it came to its end before."""
        with contextlib.closing(self._connect("mailwake_evaluator", DyingConnection)) as connection:
            connection.statements = statement
            try:
                evaluate_cohorts(connection, at)
            except Killed:
                return True
        return False

    def fail(self, at: datetime, statement: int) -> bool:
        """A tick one of whose statements takes too long; False where it is lost as a whole."""
        with contextlib.closing(self._connect("mailwake_evaluator", FailingConnection)) as connection:
            connection.statements = statement
            try:
                evaluate_cohorts(connection, at)
            except psycopg2.errors.QueryCanceled:
                return False
        return True

    def tick_twice(self, at: datetime) -> None:
        """Two ticks at once."""

        def run(evaluate: Callable[[], None]) -> None:
            try:
                evaluate()
            except BaseException as failure:  # noqa: BLE001 - told below
                self._failures.append(failure)

        with contextlib.closing(self._connect("mailwake_evaluator")) as other:
            ticks = (lambda: evaluate_cohorts(other, at), lambda: evaluate_cohorts(self._evaluating, at))
            threads = [threading.Thread(target=run, args=(tick,)) for tick in ticks]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        self._raise_failure()

    @contextlib.contextmanager
    def read(self) -> Iterator[psycopg2.extensions.cursor]:
        """A cursor of the evaluator's, of a transaction of its own."""
        with self._evaluating, self._evaluating.cursor() as cursor:
            yield cursor

    def read_numbers(self) -> dict[Identity, int]:
        """The numbers by which identities go."""
        rows = self._select("SELECT identity_type, value, identity_id FROM identities")
        return {Identity(kind, value): number for kind, value, number in rows}

    def read_errors(self) -> dict[str, str]:
        """The cohorts that failed, and why."""
        return dict(self._select("SELECT name, error FROM cohorts WHERE error IS NOT NULL"))

    def read_memberships(self) -> Memberships:
        """What the oracle's `list_memberships` gives."""
        found: Memberships = defaultdict(list)
        for name, subject, *times in self._select(MEMBERSHIPS):
            found[name, subject].append(Interval(*times))
        return found

    def read_transitions(self) -> Transitions:
        """What the oracle's `list_transitions` gives."""
        found: Transitions = defaultdict(list)
        for name, subject, *told in self._select(TRANSITIONS):
            found[name, subject].append(Transition(*told))
        return found

    def _select(self, query: str) -> list[Any]:
        with self._owner.cursor() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())


def _group(happenings: Sequence[Happening]) -> Iterator[tuple[tuple[str, str], list[Json]]]:
    groups: dict[tuple[str, str], list[Json]] = defaultdict(list)
    for happening in happenings:
        groups[happening.key].append(happening.item)
    yield from groups.items()
