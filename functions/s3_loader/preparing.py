"""All of a batch that can be made before its transaction begins: its rows, and what is written beside them.

One batch is prepared while the one before it is loaded (s3_loader.service).
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import NamedTuple

from common.events import Event, Unparseable
from providers.sparkpost import NAME
from s3_loader.batches import LATEST, Batch, Expired, Limits, decompress, parse_batch
from s3_loader.dimensions import Dimensions, Fresh
from s3_loader.marks import Marks
from s3_loader.prepared import Statement
from s3_loader.quarantine import SetAside
from s3_loader.regular import Rendered, open_renderer, place
from s3_loader.rows import render_rows
from s3_loader.touched import Touched

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
NOTHING = Fresh([], [])

Items = Iterable[Event | Unparseable | Expired]


class Prepared(NamedTuple):
    """What a batch comes to; right as long as `late_before` is, and `fresh` is next."""

    batch_id: int
    late_before: datetime | None  # see `Marks`
    rows: list[bytes]  # without COPY's header and trailer
    events: int
    set_aside: int
    expired: int
    marks: Marks
    saves: list[Statement]  # whom it touches, and the quarantine
    fresh: Fresh


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
        self._lock = Lock()  # is held while a batch is prepared, and where what is remembered changes
        self._dimensions = dimensions
        self._renderer = open_renderer(dimensions)

    def prepare(self, batch: Batch, limits: Limits, batch_id: int, late_before: datetime | None) -> Prepared:
        """Goes over a batch."""
        with self._lock:
            try:
                return self._prepare(batch, limits, batch_id, late_before)
            except BaseException:
                self._dimensions.rollback()
                raise

    def refuse(self, batch: Batch, batch_id: int, reason: str) -> Prepared:
        """What a batch comes to that is set aside as a whole."""
        sorter = Sorter(batch)
        sorter.unparseable.append(Unparseable(None, reason, None))
        return Prepared(batch_id, None, [], 0, 1, 0, Marks(None), sorter.build(), NOTHING)

    @contextmanager
    def begin(self) -> Iterator[None]:
        """Makes all void that is prepared and not stored, and lets nothing be prepared meanwhile."""
        with self._lock:
            self._dimensions.rollback()
            yield

    def forget_prepared(self) -> None:
        """Makes all void that is prepared and not stored."""
        with self.begin():
            pass

    def use_generation(self, generation: object) -> None:
        """As of the dimensions."""
        with self._lock:
            self._dimensions.use_generation(generation)

    def _prepare(self, batch: Batch, limits: Limits, batch_id: int, late_before: datetime | None) -> Prepared:
        rows: list[bytes] = []
        sorter, marks, dimensions = Sorter(batch), Marks(late_before), self._dimensions
        rendered = self._render(batch, limits, batch_id, late_before)
        if rendered is None:
            items: Items = parse_batch(batch, limits)
        else:
            rows.append(rendered.rows)
            sorter.events = rendered.count
            sorter.touched.add_rendered(rendered.addresses, rendered.users)
            items = place(parse_batch(batch._replace(body=rendered.rest), limits), rendered.odd)
        rows += render_rows(marks.watch(sorter.keep_events(items, dimensions)), batch_id, dimensions)
        return Prepared(
            batch_id,
            late_before,
            rows,
            sorter.events,
            len(sorter.unparseable),
            sorter.expired,
            marks,
            sorter.build(),
            dimensions.take(),
        )

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
