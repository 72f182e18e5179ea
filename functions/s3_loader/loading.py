"""One batch, one transaction: its row, its events, what they share, and what was set aside.

The common case, that nothing of the batch was seen before, is one COPY into `events` and one commit. Where that meets a
conflict the transaction is rolled back and done again through a temporary table, which leaves the duplicates out.
"""

from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime
from enum import Enum
from typing import IO, NamedTuple, cast

import psycopg2
from psycopg2 import errorcodes
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from common.events import Unparseable
from s3_loader.batches import Batch, Limits, parse_batch
from s3_loader.dimensions import Dimensions, Fresh
from s3_loader.marks import Marks
from s3_loader.prepared import PreparedStatements, Statement
from s3_loader.preparing import Prepared, Preparer, Sorter
from s3_loader.quarantine import DELETE_QUARANTINE
from s3_loader.rows import COLUMNS, Chunks, render_rows
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
# waits until nobody does. Truncating a table gives it another file, deleting from mailings another generation; either
# makes what a loader remembers to be stored untrue. What is older than the last column says changes hours that are
# counted already.
BEGIN = [("BEGIN", ()), ("LOCK TABLE ONLY events IN ROW EXCLUSIVE MODE", ())]
LOOK = """
SELECT (SELECT batch_id FROM batches WHERE object_key = %s),
       ARRAY(SELECT nextval('batches_batch_id_seq') FROM generate_series(1, %s)),
       (SELECT last_value FROM dimensions_generation)::text || ARRAY[
           pg_relation_filenode('kinds'), pg_relation_filenode('senders'), pg_relation_filenode('mailings'),
           pg_relation_filenode('receivers'), pg_relation_filenode('clients')]::text,
       CASE WHEN %s THEN claim_batch_id(%s, %s, %s, %s, %s) ELSE true END,
       (SELECT max(hour) + interval '2 hours' FROM summaries)
"""
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
KEPT_IDS = 3  # of batches to come: one is prepared while another is loaded
COMMIT = ("COMMIT", ())
# What tells that the common case does not hold: an event or the batch is there already; a month has no partition yet.
CONFLICTS = (errorcodes.UNIQUE_VIOLATION, errorcodes.CHECK_VIOLATION)


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


class _Begun(NamedTuple):
    """What a transaction knows at its begin."""

    found: int | None  # the batch's id if it is loaded already
    claimed: bool  # whether it may be loaded
    late_before: datetime | None  # see `Marks`


class Loader:
    """Loads batches over one connection; `replay` loads a batch again that is loaded already."""

    def __init__(self, dimensions: Dimensions | None = None) -> None:
        self._dimensions = dimensions or Dimensions()
        self._preparer = Preparer(self._dimensions)
        self._statements = PreparedStatements([LOOK, *self._dimensions.list_inserts(), SAVE_BATCH, CHANGE, SUPPRESS])
        self._ids: deque[int] = deque()  # of batches to come
        self._late_before: datetime | None = None

    def prepare(self, batch: Batch, limits: Limits) -> Prepared | None:
        """Prepares a batch for `load`, in whatever thread; None before the first load."""
        try:
            batch_id = self._ids.popleft()
        except IndexError:
            return None
        return self._preparer.prepare(batch, limits, batch_id, self._late_before)

    def load(
        self,
        connection: Connection,
        batch: Batch,
        limits: Limits,
        *,
        replay: bool = False,
        prepared: Prepared | None = None,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> Load:
        """Loads a batch whole or not at all. Raises `psycopg2.Error` with the transaction rolled back.

        `prepared`: what `prepare` made of it, used if it still holds. `meanwhile` is called once the rows are sent;
        what is prepared from then on relies on this batch.
        """
        connection.autocommit = True
        self._statements.use(connection)
        try:
            if not replay:
                try:
                    return self._transact(
                        connection, lambda cursor: self._load_new(cursor, batch, limits, prepared, meanwhile)
                    )
                except psycopg2.Error as failure:
                    if failure.pgcode not in CONFLICTS:
                        raise
            self._create_partitions(connection, batch, limits)
            return self._transact(connection, lambda cursor: self._load_again(cursor, batch, limits, replay=replay))
        except psycopg2.DataError:
            # Postgres refuses a value that the provider's parser let through: find out which events it is.
            return self._transact(connection, lambda cursor: self._load_singly(cursor, batch, limits, replay=replay))

    def _transact(self, connection: Connection, load: Callable[[Cursor], Load]) -> Load:
        """Runs a load in a transaction; few round trips, because each costs as much as loading ten events."""
        with connection.cursor() as cursor:
            try:
                return load(cursor)
            except BaseException:
                self._ids.clear()  # of a database that was set back they may be taken
                if not connection.closed:
                    cursor.execute("ROLLBACK")
                raise

    def _begin(self, cursor: Cursor, batch: Batch) -> _Begun:
        claim = (batch.provider, batch.provider_batch_id, batch.received_at, batch.object_key, USED_ID)
        single_use = batch.single_use and batch.provider_batch_id is not None
        look = (LOOK, (batch.object_key, KEPT_IDS - len(self._ids), single_use, *claim))
        cursor.execute(self._statements.build(cursor, [*BEGIN, look]))
        ((found, ids, generation, claimed, self._late_before),) = cursor.fetchall()
        self._ids += ids
        self._preparer.use_generation(generation)
        return _Begun(found, claimed, self._late_before)

    def _commit(self, cursor: Cursor, load: Load, saves: Iterable[Statement], fresh: Fresh) -> Load:
        """Writes what the events share, the batch's own row and the rest, and commits, all in one round trip."""
        cursor.execute(self._statements.build(cursor, [*fresh.inserts, *saves, COMMIT]))
        self._dimensions.commit(fresh)
        return load

    def _skip(self, cursor: Cursor) -> Load:
        cursor.execute("ROLLBACK")
        self._preparer.forget_prepared()  # or the next one would be prepared in vain
        return Load(Outcome.ALREADY_LOADED)

    def _load_new(
        self, cursor: Cursor, batch: Batch, limits: Limits, prepared: Prepared | None, meanwhile: Callable[[], object]
    ) -> Load:
        begun = self._begin(cursor, batch)
        if begun.found is not None:
            return self._skip(cursor)
        holds = prepared is not None and self._dimensions.is_next(prepared.fresh)
        if prepared is None or not (holds and begun.claimed and prepared.late_before == begun.late_before):
            prepared = self._prepare_again(batch, limits, begun, self._ids.popleft())
        # Not before the last row: two threads that compute at once would keep Postgres waiting for rows.
        _copy(cursor, COPY_EVENTS, prepared.rows, meanwhile)
        load = Load(Outcome.LOADED, prepared.events, 0, prepared.set_aside, prepared.expired)
        saves = [_insert_batch(batch, prepared.batch_id, load), *prepared.marks.build(), *prepared.saves]
        return self._commit(cursor, load, saves, prepared.fresh)

    def _load_again(self, cursor: Cursor, batch: Batch, limits: Limits, *, replay: bool) -> Load:
        begun = self._begin(cursor, batch)
        if begun.found is not None and not replay:
            return self._skip(cursor)
        prepared = self._prepare_again(batch, limits, begun, begun.found or self._ids.popleft())
        cursor.execute(CREATE_INCOMING)
        _copy(cursor, COPY_INCOMING, prepared.rows)
        cursor.execute(INSERT_INCOMING)
        marks = Marks(begun.late_before)
        marks.add(cursor.fetchall())
        duplicates = prepared.events - cursor.rowcount
        load = Load(Outcome.LOADED, prepared.events, duplicates, prepared.set_aside, prepared.expired)
        saves = [*save_batch(batch, prepared.batch_id, load, begun.found), *marks.build(), *prepared.saves]
        return self._commit(cursor, load, saves, prepared.fresh)

    def _load_singly(self, cursor: Cursor, batch: Batch, limits: Limits, *, replay: bool) -> Load:
        begun = self._begin(cursor, batch)
        if begun.found is not None and not replay:
            return self._skip(cursor)
        batch_id = begun.found or self._ids.popleft()
        items = parse_batch(batch, limits) if begun.claimed else [Unparseable(None, USED_ID, None)]
        sorter, marks, duplicates, dimensions = Sorter(batch), Marks(begun.late_before), 0, self._dimensions
        cursor.execute(CREATE_INCOMING)
        with self._preparer.begin():
            for event in sorter.keep_events(items, dimensions):
                cursor.execute("SAVEPOINT event")
                try:
                    _copy(cursor, COPY_INCOMING, render_rows([event], batch_id, dimensions))
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
            fresh = dimensions.take()
        load = Load(Outcome.LOADED, sorter.events, duplicates, len(sorter.unparseable), sorter.expired)
        saves = [*save_batch(batch, batch_id, load, begun.found), *marks.build(), *sorter.build()]
        return self._commit(cursor, load, saves, fresh)

    def _prepare_again(self, batch: Batch, limits: Limits, begun: _Begun, batch_id: int) -> Prepared:
        self._preparer.forget_prepared()
        if begun.claimed:
            return self._preparer.prepare(batch, limits, batch_id, begun.late_before)
        return self._preparer.refuse(batch, batch_id, USED_ID)

    def _create_partitions(self, connection: Connection, batch: Batch, limits: Limits) -> None:
        """Makes the partitions that a batch needs, in a transaction of its own: the lock must not last for a load."""
        with self._preparer.begin():
            events = Sorter(batch).keep_events(parse_batch(batch, limits), self._dimensions)
            months = {event.occurred_at.replace(day=1, hour=0, minute=0, second=0, microsecond=0) for event in events}
        with connection.cursor() as cursor:
            for month in sorted(months):
                cursor.execute("SELECT create_events_partition(%s)", (month,))


def _copy(
    cursor: Cursor, statement: str, rows: Iterable[bytes], meanwhile: Callable[[], object] = lambda: None
) -> None:
    cursor.copy_expert(statement, cast("IO[bytes]", Chunks(rows, meanwhile)))  # of a file, psycopg2 uses `read` alone


def _insert_batch(batch: Batch, batch_id: int, load: Load) -> Statement:
    origin = (batch_id, batch.object_key, batch.provider, batch.provider_batch_id, batch.request_id)
    return SAVE_BATCH, (*origin, batch.received_at, len(batch.body), *load[1:])


def save_batch(batch: Batch, batch_id: int, load: Load, found: int | None) -> list[Statement]:
    """Writes the batch's row, or writes it anew and clears its quarantine where it was loaded before."""
    if found is None:
        return [_insert_batch(batch, batch_id, load)]
    return [(UPDATE_BATCH, (*load[1:], found)), (DELETE_QUARANTINE, (batch.object_key,))]
