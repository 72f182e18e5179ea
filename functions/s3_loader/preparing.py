"""All of a batch that can be made before its transaction begins: its rows, and what is written beside them.

What its events share with others is stored by then: it harms nobody if the batch is not. One batch is prepared, over a
connection of its own, while the one before it is loaded (s3_loader.service).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import NamedTuple

from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from common.events import Event, Unparseable
from providers.sparkpost import NAME
from s3_loader.batches import LATEST, Batch, Expired, Limits, decompress, parse_batch
from s3_loader.dimensions import Dimensions
from s3_loader.marks import Marks
from s3_loader.prepared import PreparedStatements, Statement
from s3_loader.quarantine import SetAside
from s3_loader.regular import Rendered, open_renderer, place
from s3_loader.rows import render_rows
from s3_loader.touched import Touched

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
# The state of the tables tells whether all that is remembered to be stored still is (migration 0022).
LOOK = """
SELECT key, (SELECT batch_id FROM batches WHERE object_key = key), nextval('batches_batch_id_seq'),
       (SELECT find_load_state()), (SELECT max(hour) + interval '2 hours' FROM summaries)
FROM unnest(%s::text[]) AS key
"""

Items = Iterable[Event | Unparseable | Expired]


class Prepared(NamedTuple):
    """What a batch comes to; right as long as the tables' state and the hours that are counted are."""

    found: int | None  # the batch's id if it is loaded already
    batch_id: int  # what it is to be loaded under
    state: str
    late_before: datetime | None  # see `Marks`
    rows: Sequence[bytes] = ()  # without COPY's header and trailer
    events: int = 0
    set_aside: int = 0
    expired: int = 0
    marks: Sequence[Statement] = ()  # the hours that are to be counted again
    saves: Sequence[Statement] = ()  # whom it touches, and the quarantine
    text: bytes = b""  # all that is sent before and behind the rows


class Sorter:
    """Passes a batch's events on and keeps the rest; and whom the events happened to."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self.events = 0
        self.expired = 0
        self.unparseable = SetAside()
        self.touched = Touched(batch.received_at)

    def keep_events(self, items: Items, dimensions: Dimensions) -> Iterator[Event]:
        """The events."""
        return self.touched.watch(self._keep(items), dimensions.user_field, dimensions.user_mark)

    def _keep(self, items: Items) -> Iterator[Event]:
        for item in items:
            if type(item) is Event:
                self.events += 1
                yield item
            elif type(item) is Unparseable:
                self.unparseable.append(item)
            else:
                self.expired += 1

    def set_aside(self, event: Unparseable) -> None:
        """One of the events is none after all."""
        self.events -= 1
        self.unparseable.append(event)

    def build(self) -> list[Statement]:
        """What says whom the batch touches, and its quarantine."""
        return [*self.touched.build(), *self.unparseable.build(self._batch)]


class Preparer:
    """Prepares batches one after the other, in whatever thread."""

    def __init__(self, dimensions: Dimensions) -> None:
        self._lock = Lock()  # is held while what is remembered changes
        self._dimensions = dimensions
        self._statements = PreparedStatements([LOOK, *dimensions.list_inserts()], "prepare")
        self._renderer = open_renderer(dimensions)
        self._coming: Sequence[str] = ()
        self._looked: dict[str, Prepared] = {}  # by the object's key

    def expect(self, object_keys: Sequence[str]) -> None:
        """These objects come next: one look is for all of them."""
        with self._lock:
            self._coming = object_keys
            self._looked.clear()

    def prepare(
        self,
        connection: Connection,
        batch: Batch,
        limits: Limits,
        *,
        replay: bool = False,
        ready: Callable[[Prepared], object] = lambda _: None,
    ) -> Prepared:
        """Goes over a batch, unless it is loaded already and not to be loaded again.

        `ready` is told what it comes to before what its events share is stored.
        """
        with self.hold() as dimensions, connection.cursor() as cursor:
            looked = self._look(connection, cursor, batch)
            if looked.found is not None and not replay:
                return looked
            prepared = self.render(batch, limits, looked)
            ready(prepared)
            if inserts := dimensions.build():
                cursor.execute(self._statements.build(cursor, inserts))
            dimensions.keep()
            return prepared

    def look(self, connection: Connection, batch: Batch) -> Prepared:
        """Where the batch is to be loaded, nothing else."""
        with self.hold(), connection.cursor() as cursor:
            return self._look(connection, cursor, batch)

    def render(self, batch: Batch, limits: Limits, looked: Prepared) -> Prepared:
        """What needs no database; what its events share may be fresh then."""
        rows: list[bytes] = []
        sorter, marks, dimensions = Sorter(batch), Marks(looked.late_before), self._dimensions
        rendered = self._render(batch, limits, looked.batch_id, looked.late_before)
        if rendered is None:
            items: Items = parse_batch(batch, limits)
        else:
            rows.append(rendered.rows)
            sorter.events = rendered.count
            sorter.touched.add_rendered(rendered.addresses, rendered.users)
            items = place(parse_batch(batch._replace(body=rendered.rest), limits), rendered.odd)
        rows += render_rows(marks.watch(sorter.keep_events(items, dimensions)), looked.batch_id, dimensions)
        return looked._replace(
            rows=rows,
            events=sorter.events,
            set_aside=len(sorter.unparseable),
            expired=sorter.expired,
            marks=list(marks.build()),
            saves=sorter.build(),
        )

    def refuse(self, batch: Batch, prepared: Prepared, reason: str) -> Prepared:
        """What a batch comes to that is set aside as a whole."""
        sorter = Sorter(batch)
        sorter.unparseable.append(Unparseable(None, reason, None))
        found, batch_id, state, late_before = prepared[:4]
        return Prepared(found, batch_id, state, late_before, set_aside=1, saves=sorter.build())

    @contextmanager
    def hold(self) -> Iterator[Dimensions]:
        """What is remembered, for one thread; what it does not keep is forgotten where it fails."""
        with self._lock:
            try:
                yield self._dimensions
            except BaseException:
                self._dimensions.forget_fresh()
                raise

    def _look(self, connection: Connection, cursor: Cursor, batch: Batch) -> Prepared:
        connection.autocommit = True
        self._statements.use(connection)
        if batch.object_key not in self._looked:
            keys = list({batch.object_key, *self._coming})
            cursor.execute(self._statements.build(cursor, [(LOOK, (keys,))]))
            for key, found, batch_id, state, late_before in cursor.fetchall():
                self._looked[key] = Prepared(found, found or batch_id, state, late_before)
            self._coming = ()
        looked = self._looked.pop(batch.object_key)
        self._dimensions.use_state(looked.state)
        return looked

    def _render(self, batch: Batch, limits: Limits, batch_id: int, late_before: datetime | None) -> Rendered | None:
        """What the library makes of a batch; the late and the expired, which need more, it leaves over."""
        if self._renderer is None or batch.provider != NAME:
            return None
        try:
            body = decompress(batch.body)
        except ValueError:  # the way in Python tells it
            return None
        earliest = max(batch.received_at - limits.oldest, limits.expired_before, late_before or EPOCH)
        return self._renderer.render(
            body,
            batch_id,
            earliest=(earliest - EPOCH) // MICROSECOND,
            latest=(batch.received_at + LATEST - EPOCH) // MICROSECOND,
        )
