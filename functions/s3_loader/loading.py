"""One batch, one transaction: its row, its events, and what was set aside.

The common case, that nothing of the batch was seen before, is one COPY into `events` and one commit. Where that meets a
conflict the transaction is rolled back and done again through a temporary table, which leaves the duplicates out.
"""

from collections.abc import Callable, Iterable
from enum import Enum
from typing import NamedTuple

import psycopg2
from psycopg2 import errorcodes
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from common.events import Event, Unparseable
from s3_loader.batches import Batch, Limits, parse_batch
from s3_loader.dimensions import Dimensions
from s3_loader.marks import Marks
from s3_loader.prepared import PreparedStatements, Statement
from s3_loader.preparing import Prepared, Preparer, Sorter
from s3_loader.quarantine import DELETE_QUARANTINE
from s3_loader.rows import COLUMNS, copy_rows, render_rows
from s3_loader.suppressing import SUPPRESS
from s3_loader.touched import CHANGE

COPY_EVENTS = f"COPY events ({COLUMNS}) FROM STDIN (FORMAT binary)"
COPY_INCOMING = f"COPY incoming ({COLUMNS}) FROM STDIN (FORMAT binary)"
CREATE_INCOMING = "CREATE TEMPORARY TABLE incoming (LIKE events) ON COMMIT DROP"
# In the order of the key, so that two loaders with the same events wait for each other instead of deadlocking.
INSERT_INCOMING = f"""
INSERT INTO events ({COLUMNS}) SELECT {COLUMNS} FROM incoming ORDER BY occurred_at, event_key ON CONFLICT DO NOTHING
RETURNING occurred_at, message_id
"""
# The lock comes first: maintenance deletes mailings while nobody loads, and the summariser announces hours before it
# waits until nobody does.
BEGIN = [("BEGIN", ()), ("LOCK TABLE ONLY events IN ROW EXCLUSIVE MODE", ())]
CLAIM = "CASE WHEN %s THEN claim_batch_id(%s, %s, %s, %s, %s) ELSE true END"
# Fails where a batch was prepared for another state, or where it may not be loaded under its provider's id.
EXPECT = f"SELECT expect_load_state(%s, %s, {CLAIM})"
EXPECT_AND_CLAIM = f"SELECT expect_load_state(%s, %s, true), {CLAIM}"
USED_ID = "the provider's id of this batch came before with another body, and stands for one body only"
SAVE_BATCH = """
INSERT INTO batches (batch_id, object_key, provider, provider_batch_id, request_id, received_at, body_bytes,
                     event_count, duplicate_count, quarantine_count, expired_count)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
UPDATE_BATCH = """
UPDATE batches SET loaded_at = now(), event_count = %s, duplicate_count = %s, quarantine_count = %s, expired_count = %s
WHERE batch_id = %s
"""
COMMIT = ("COMMIT", ())
CHANGED = "MW001"  # what expect_load_state (migration 0022) fails with
# What tells that the common case does not hold: an event or the batch is there already; a month has no partition yet.
CONFLICTS = (errorcodes.UNIQUE_VIOLATION, errorcodes.CHECK_VIOLATION, CHANGED)
OVERTAKEN = (errorcodes.UNIQUE_VIOLATION, CHANGED)  # also where partitions are there and duplicates left out
ATTEMPTS = 4  # at a batch, where others change what it relies on meanwhile


class NotStoredError(Exception):
    """What a prepared batch's events share could not be stored: it is to be prepared again."""


class Outcome(Enum):
    """What became of a batch."""

    LOADED = "loaded"
    ALREADY_LOADED = "already loaded"


class Load(NamedTuple):
    """What a load did, in events."""

    outcome: Outcome
    events: int = 0
    duplicates: int = 0
    quarantined: int = 0
    expired: int = 0


def _nothing() -> None:
    pass


_Way = Callable[[Cursor, Batch, Limits, Prepared, Callable[[], object]], Load]


class Loader:
    """Loads batches; `replay` loads a batch again that is loaded already."""

    def __init__(self, dimensions: Dimensions | None = None) -> None:
        self._preparer = Preparer(dimensions or Dimensions())
        self.expect = self._preparer.expect
        self._statements = PreparedStatements([EXPECT, EXPECT_AND_CLAIM, SAVE_BATCH, CHANGE, SUPPRESS])

    def prepare(
        self, connection: Connection, batch: Batch, limits: Limits, ready: Callable[[Prepared], object]
    ) -> Prepared:
        """Prepares a batch in another thread, over another connection; `load` may begin once it is ready."""
        with connection.cursor() as cursor:

            def compose(prepared: Prepared) -> None:
                ready(prepared._replace(text=self._compose(cursor, batch, prepared)))

            return self._preparer.prepare(connection, batch, limits, ready=compose)

    def load(
        self,
        connection: Connection,
        batch: Batch,
        limits: Limits,
        *,
        replay: bool = False,
        prepared: Prepared | None = None,
        meanwhile: Callable[[], object] = _nothing,
    ) -> Load:
        """Loads a batch whole or not at all. Raises `psycopg2.Error` with the transaction rolled back.

        `prepared`: what `prepare` made of it, used if it still holds. `meanwhile` is called once the rows are sent; it
        raises `NotStoredError` where what the events share could not be stored.
        """
        connection.autocommit = True
        self._statements.use(connection)
        way: _Way = self._load_again if replay else self._load_new
        for attempt in range(ATTEMPTS):
            try:
                if prepared is None and way == self._load_singly:
                    prepared = self._preparer.look(connection, batch)
                elif prepared is None:
                    prepared = self._preparer.prepare(connection, batch, limits, replay=replay)
                if prepared.found is not None and not replay:
                    return Load(Outcome.ALREADY_LOADED)
                return self._transact(connection, way, batch, limits, prepared, meanwhile)
            except NotStoredError:
                meanwhile = _nothing
            except psycopg2.Error as failure:
                if failure.pgcode in CONFLICTS and way == self._load_new:
                    way = self._load_again
                elif failure.pgcode in OVERTAKEN:
                    pass
                elif isinstance(failure, psycopg2.DataError) and way != self._load_singly:
                    # Postgres refuses a value that the provider's parser let through: find out which events it is.
                    way = self._load_singly
                else:
                    raise
                if attempt == ATTEMPTS - 1:
                    raise
            prepared = None
        raise AssertionError("unreachable")

    def _transact(
        self,
        connection: Connection,
        way: _Way,
        batch: Batch,
        limits: Limits,
        prepared: Prepared,
        meanwhile: Callable[[], object],
    ) -> Load:
        with connection.cursor() as cursor:
            try:
                return way(cursor, batch, limits, prepared, meanwhile)
            except BaseException:
                if not connection.closed:
                    cursor.execute("ROLLBACK")
                raise

    def _load_new(
        self, cursor: Cursor, batch: Batch, _limits: Limits, prepared: Prepared, meanwhile: Callable[[], object]
    ) -> Load:
        """From the begin to the commit in one round trip: each costs as much as loading ten events."""
        text = prepared.text or self._compose(cursor, batch, prepared)
        copy_rows(cursor, text, prepared.rows, meanwhile)
        return _tell(prepared)

    def _compose(self, cursor: Cursor, batch: Batch, prepared: Prepared) -> bytes:
        """A transaction as one text, with the COPY in its middle; any connection's cursor will do."""
        expect = (EXPECT, (prepared.state, prepared.late_before, *_claim(batch)))
        row = _insert_batch(batch, prepared.batch_id, _tell(prepared))
        statements = [*BEGIN, expect, (COPY_EVENTS, ()), row, *prepared.marks, *prepared.saves, COMMIT]
        return self._statements.build(cursor, statements)

    def _load_again(
        self, cursor: Cursor, batch: Batch, limits: Limits, prepared: Prepared, _meanwhile: Callable[[], object]
    ) -> Load:
        if not self._begin(cursor, batch, limits, prepared):
            prepared = self._preparer.refuse(batch, prepared, USED_ID)
        cursor.execute(CREATE_INCOMING)
        copy_rows(cursor, COPY_INCOMING, prepared.rows)
        cursor.execute(INSERT_INCOMING)
        marks = Marks(prepared.late_before)
        marks.add(cursor.fetchall())
        duplicates = prepared.events - cursor.rowcount
        load = _tell(prepared)._replace(duplicates=duplicates)
        return self._commit(cursor, batch, prepared, load, [*marks.build(), *prepared.saves])

    def _load_singly(
        self, cursor: Cursor, batch: Batch, limits: Limits, looked: Prepared, _meanwhile: Callable[[], object]
    ) -> Load:
        claimed = self._begin(cursor, batch, limits, looked)
        items = parse_batch(batch, limits) if claimed else [Unparseable(None, USED_ID, None)]
        sorter, marks, duplicates = Sorter(batch), Marks(looked.late_before), 0
        cursor.execute(CREATE_INCOMING)
        with self._preparer.hold() as dimensions:
            for event in sorter.keep_events(items, dimensions):
                cursor.execute("SAVEPOINT event")
                try:
                    copy_rows(cursor, COPY_INCOMING, render_rows([event], looked.batch_id, dimensions))
                    cursor.execute(INSERT_INCOMING)
                except psycopg2.DataError as failure:
                    cursor.execute("ROLLBACK TO SAVEPOINT event")
                    reason = f"Postgres refuses a value: {failure.diag.message_primary}"
                    sorter.set_aside(Unparseable(event.position, reason, None))
                else:
                    duplicates += 1 - cursor.rowcount
                    marks.add(cursor.fetchall())
                    cursor.execute("TRUNCATE incoming")
                cursor.execute("RELEASE SAVEPOINT event")
            load = Load(Outcome.LOADED, sorter.events, duplicates, len(sorter.unparseable), sorter.expired)
            self._commit(cursor, batch, looked, load, [*dimensions.build(), *marks.build(), *sorter.build()])
            dimensions.keep()
        return load

    def _begin(self, cursor: Cursor, batch: Batch, limits: Limits, prepared: Prepared) -> bool:
        """Begins a transaction, with the partitions made that the batch needs. Returns whether it may be loaded."""
        self._create_partitions(cursor, batch, limits)
        look = (EXPECT_AND_CLAIM, (prepared.state, prepared.late_before, *_claim(batch)))
        cursor.execute(self._statements.build(cursor, [*BEGIN, look]))
        ((_, claimed),) = cursor.fetchall()
        return bool(claimed)

    def _create_partitions(self, cursor: Cursor, batch: Batch, limits: Limits) -> None:
        """In a transaction of its own: the lock must not last for a load."""
        events = (item for item in parse_batch(batch, limits) if isinstance(item, Event))
        months = {event.occurred_at.replace(day=1, hour=0, minute=0, second=0, microsecond=0) for event in events}
        for month in sorted(months):
            cursor.execute("SELECT create_events_partition(%s)", (month,))

    def _commit(self, cursor: Cursor, batch: Batch, prepared: Prepared, load: Load, saves: Iterable[Statement]) -> Load:
        """Writes the batch's own row and the rest, and commits, all in one round trip."""
        row = save_batch(batch, prepared.batch_id, load, prepared.found)
        cursor.execute(self._statements.build(cursor, [*row, *saves, COMMIT]))
        return load


def _tell(prepared: Prepared) -> Load:
    """What loading it does where all of it is new."""
    return Load(Outcome.LOADED, prepared.events, 0, prepared.set_aside, prepared.expired)


def _claim(batch: Batch) -> tuple[object, ...]:
    """The values of CLAIM."""
    single_use = batch.single_use and batch.provider_batch_id is not None
    return single_use, batch.provider, batch.provider_batch_id, batch.received_at, batch.object_key, USED_ID


def _insert_batch(batch: Batch, batch_id: int, load: Load) -> Statement:
    origin = (batch_id, batch.object_key, batch.provider, batch.provider_batch_id, batch.request_id)
    return SAVE_BATCH, (*origin, batch.received_at, len(batch.body), *load[1:])


def save_batch(batch: Batch, batch_id: int, load: Load, found: int | None) -> list[Statement]:
    """Writes the batch's row, or writes it anew and clears its quarantine where it was loaded before."""
    if found is None:
        return [_insert_batch(batch, batch_id, load)]
    return [(UPDATE_BATCH, (*load[1:], found)), (DELETE_QUARANTINE, (batch.object_key,))]
