"""One batch, one transaction: its row, its events, what they share, and what was set aside.

The common case, that nothing of the batch was seen before, is one COPY into `events` and one commit. Where that meets a
conflict the transaction is rolled back and done again through a temporary table, which leaves the duplicates out.
"""

from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import IO, NamedTuple, cast

import psycopg2
from psycopg2 import errorcodes
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from common.events import Event, Unparseable
from s3_loader.batches import Batch, Expired
from s3_loader.dimensions import Dimensions, Statement
from s3_loader.marks import Marks
from s3_loader.quarantine import DELETE_QUARANTINE, SetAside
from s3_loader.rows import COLUMNS, RowStream
from s3_loader.touched import Touched

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
BEGIN = """
BEGIN;
LOCK TABLE ONLY events IN ROW EXCLUSIVE MODE;
SELECT (SELECT batch_id FROM batches WHERE object_key = %s),
       nextval('batches_batch_id_seq'),
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
COMMIT = ("COMMIT", ())
# What tells that the common case does not hold: an event or the batch is there already; a month has no partition yet.
CONFLICTS = (errorcodes.UNIQUE_VIOLATION, errorcodes.CHECK_VIOLATION)

Parse = Callable[[], Iterable[Event | Unparseable | Expired]]


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
    batch_id: int  # one for a new batch
    claimed: bool  # whether it may be loaded
    marks: Marks


class _Sorter:
    """Passes the events on and keeps the rest."""

    def __init__(self) -> None:
        self.unparseable = SetAside()
        self.expired = 0

    def keep_events(self, parsed: Iterable[Event | Unparseable | Expired]) -> Iterator[Event]:
        for item in parsed:
            if type(item) is Event:
                yield item
            elif type(item) is Unparseable:
                self.unparseable.append(item)
            else:
                self.expired += 1


class Loader:
    """Loads batches over one connection; `replay` loads a batch again that is loaded already."""

    def __init__(self, dimensions: Dimensions | None = None) -> None:
        self._dimensions = dimensions or Dimensions()

    def load(self, connection: Connection, batch: Batch, parse: Parse, *, replay: bool = False) -> Load:
        """Loads a batch whole or not at all. Raises `psycopg2.Error` with the transaction rolled back.

        `parse` gives the batch's items anew at each call: a conflict makes it necessary to go over them twice.
        """
        connection.autocommit = True
        try:
            if not replay:
                try:
                    return self._transact(connection, lambda cursor: self._load_new(cursor, batch, parse))
                except psycopg2.Error as failure:
                    if failure.pgcode not in CONFLICTS:
                        raise
            self._create_partitions(connection, parse)
            return self._transact(connection, lambda cursor: self._load_again(cursor, batch, parse, replay=replay))
        except psycopg2.DataError:
            # Postgres refuses a value that the provider's parser let through: find out which events it is.
            return self._transact(connection, lambda cursor: self._load_singly(cursor, batch, parse, replay=replay))

    def _transact(self, connection: Connection, load: Callable[[Cursor], Load]) -> Load:
        """Runs a load in a transaction; few round trips, because each costs as much as loading ten events."""
        with connection.cursor() as cursor:
            try:
                return load(cursor)
            except BaseException:
                self._dimensions.rollback()
                if not connection.closed:
                    cursor.execute("ROLLBACK")
                raise

    def _begin(self, cursor: Cursor, batch: Batch) -> _Begun:
        claim = (batch.provider, batch.provider_batch_id, batch.received_at, batch.object_key, USED_ID)
        single_use = batch.single_use and batch.provider_batch_id is not None
        cursor.execute(BEGIN, (batch.object_key, single_use, *claim))
        ((found, batch_id, generation, claimed, late_before),) = cursor.fetchall()
        self._dimensions.use_generation(generation)
        return _Begun(found, batch_id, claimed, Marks(late_before))

    def _commit(self, cursor: Cursor, batch: Batch, load: Load, saves: Iterable[Statement], rest: _Sorter) -> Load:
        """Writes what the events share, the batch's own row and the quarantine, and commits, all in one round trip."""
        statements = [*self._dimensions.build_inserts(), *saves, *rest.unparseable.build(batch)]
        cursor.execute(b";".join(cursor.mogrify(sql, values or None) for sql, values in [*statements, COMMIT]))
        self._dimensions.commit()
        return load

    def _load_new(self, cursor: Cursor, batch: Batch, parse: Parse) -> Load:
        found, batch_id, claimed, marks = self._begin(cursor, batch)
        if found is not None:
            cursor.execute("ROLLBACK")
            return Load(Outcome.ALREADY_LOADED)
        sorter, touched = _Sorter(), Touched(batch.received_at)
        events = self._watch(touched, marks.watch(sorter.keep_events(_list_items(parse, claimed=claimed))))
        rows = RowStream(events, batch_id, self._dimensions)
        _copy(cursor, COPY_EVENTS, rows)
        load = Load(Outcome.LOADED, rows.count, 0, len(sorter.unparseable), sorter.expired)
        saves = [_insert_batch(batch, batch_id, load), *marks.build(), *touched.build()]
        return self._commit(cursor, batch, load, saves, sorter)

    def _load_again(self, cursor: Cursor, batch: Batch, parse: Parse, *, replay: bool) -> Load:
        found, batch_id, claimed, marks = self._begin(cursor, batch)
        if found is not None and not replay:
            cursor.execute("ROLLBACK")
            return Load(Outcome.ALREADY_LOADED)
        sorter, touched = _Sorter(), Touched(batch.received_at)
        events = self._watch(touched, sorter.keep_events(_list_items(parse, claimed=claimed)))
        rows = RowStream(events, found or batch_id, self._dimensions)
        cursor.execute(CREATE_INCOMING)
        _copy(cursor, COPY_INCOMING, rows)
        cursor.execute(INSERT_INCOMING)
        marks.add(cursor.fetchall())
        duplicates = rows.count - cursor.rowcount
        load = Load(Outcome.LOADED, rows.count, duplicates, len(sorter.unparseable), sorter.expired)
        saves = [*save_batch(batch, batch_id, load, found), *marks.build(), *touched.build()]
        return self._commit(cursor, batch, load, saves, sorter)

    def _load_singly(self, cursor: Cursor, batch: Batch, parse: Parse, *, replay: bool) -> Load:
        found, batch_id, claimed, marks = self._begin(cursor, batch)
        if found is not None and not replay:
            cursor.execute("ROLLBACK")
            return Load(Outcome.ALREADY_LOADED)
        sorter, touched = _Sorter(), Touched(batch.received_at)
        events = inserted = 0
        cursor.execute(CREATE_INCOMING)
        for event in self._watch(touched, sorter.keep_events(_list_items(parse, claimed=claimed))):
            cursor.execute("SAVEPOINT event")
            try:
                _copy(cursor, COPY_INCOMING, RowStream([event], found or batch_id, self._dimensions))
                cursor.execute(INSERT_INCOMING)
            except psycopg2.DataError as failure:
                cursor.execute("ROLLBACK TO SAVEPOINT event")
                reason = f"Postgres refuses a value: {failure.diag.message_primary}"
                sorter.unparseable.append(Unparseable(event.position, reason, None))
            else:
                events += 1
                inserted += cursor.rowcount
                marks.add(cursor.fetchall())
                cursor.execute("TRUNCATE incoming")
            cursor.execute("RELEASE SAVEPOINT event")
        load = Load(Outcome.LOADED, events, events - inserted, len(sorter.unparseable), sorter.expired)
        saves = [*save_batch(batch, batch_id, load, found), *marks.build(), *touched.build()]
        return self._commit(cursor, batch, load, saves, sorter)

    def _watch(self, touched: Touched, events: Iterable[Event]) -> Iterator[Event]:
        return touched.watch(events, self._dimensions.user_field, self._dimensions.user_mark)

    def _create_partitions(self, connection: Connection, parse: Parse) -> None:
        """Makes the partitions that a batch needs, in a transaction of its own: the lock must not last for a load."""
        events = _Sorter().keep_events(parse())
        months = {event.occurred_at.replace(day=1, hour=0, minute=0, second=0, microsecond=0) for event in events}
        with connection.cursor() as cursor:
            for month in sorted(months):
                cursor.execute("SELECT create_events_partition(%s)", (month,))


def _list_items(parse: Parse, *, claimed: bool) -> Iterable[Event | Unparseable | Expired]:
    """What a batch holds; nothing but the reason where it is set aside as a whole."""
    return parse() if claimed else [Unparseable(None, USED_ID, None)]


def _copy(cursor: Cursor, statement: str, rows: RowStream) -> None:
    cursor.copy_expert(statement, cast("IO[bytes]", rows))  # of a file, psycopg2 uses `read` alone


def _insert_batch(batch: Batch, batch_id: int, load: Load) -> Statement:
    origin = (batch_id, batch.object_key, batch.provider, batch.provider_batch_id, batch.request_id)
    return SAVE_BATCH, (*origin, batch.received_at, len(batch.body), *load[1:])


def save_batch(batch: Batch, batch_id: int, load: Load, found: int | None) -> list[Statement]:
    """Writes the batch's row, or writes it anew and clears its quarantine where it was loaded before."""
    if found is None:
        return [_insert_batch(batch, batch_id, load)]
    return [(UPDATE_BATCH, (*load[1:], found)), (DELETE_QUARANTINE, (batch.object_key,))]
