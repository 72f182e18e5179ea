"""What a load changes of hours that are counted already: it says so, and they are counted again."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from common.events import Event
from s3_loader.prepared import Statement

MARK_STALE = "SELECT mark_stale(%s::timestamptz[], %s::text[])"


class Marks:
    """The late events of one load; none where no hour is counted yet (`late_before` is None)."""

    def __init__(self, late_before: datetime | None) -> None:
        self._late_before = late_before
        self._late: list[tuple[datetime, str | None]] = []

    def watch(self, events: Iterable[Event]) -> Iterable[Event]:
        """The same events; those that are late are remembered as they go by."""
        return events if self._late_before is None else self._watch(events, self._late_before)

    def _watch(self, events: Iterable[Event], late_before: datetime) -> Iterator[Event]:
        for event in events:
            if event.occurred_at < late_before:
                self._late.append((event.occurred_at, event.message_id))
            yield event

    def add(self, inserted: Iterable[tuple[datetime, str | None]]) -> None:
        """Remembers what is late of events that were inserted: time and message."""
        if self._late_before is not None:
            self._late += [row for row in inserted if row[0] < self._late_before]

    def build(self) -> Iterator[Statement]:
        """What marks their hours; nothing in the common case."""
        if self._late:
            instants, ids = zip(*self._late, strict=True)
            yield MARK_STALE, (list(instants), list(ids))
