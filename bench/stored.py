"""Webhook bodies in a file, made before anything is timed, and as the batches that a loader reads from S3."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

from bench.traffic import DAYS, START, batches
from common.events import Event, Unparseable
from common.objects import StoredObject
from s3_loader.batches import Batch, Expired, Limits, parse_batch

BATCH_SIZE = 350  # events of a webhook POST
RECEIVED_AT = START + timedelta(days=DAYS + 15)  # all batches: after every event
LIMITS = Limits(timedelta(days=500), START - timedelta(days=400))
MONTHS = 3  # that the traffic's events lie in, at most


@dataclass(frozen=True)
class Blobs:
    """Many byte strings, one after the other in one file."""

    path: Path
    ends: tuple[int, ...]  # ends[0] is 0, ends[n] the end of blob n - 1

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.ends) - 1

    @property
    def size(self) -> int:
        """Bytes of all."""
        return self.ends[-1]

    def read(self, first: int, last: int) -> Iterator[bytes]:
        """Those from number `first` up to but without `last`, one at a time."""
        with self.path.open("rb") as file:
            file.seek(self.ends[first])
            for begin, end in pairwise(self.ends[first : last + 1]):
                yield file.read(end - begin)


def write_blobs(path: Path, contents: Iterable[bytes], show: Callable[[int], None]) -> Blobs:
    """Write byte strings; `show` is told how many there are so far."""
    ends = [0]
    with path.open("wb") as file:
        for content in contents:
            file.write(content)
            ends.append(ends[-1] + len(content))
            show(len(ends) - 1)
    return Blobs(path, tuple(ends))


def write_bodies(path: Path, events: int, seed: int, show: Callable[[int], None], days: int = DAYS) -> Blobs:
    """Generate traffic of so many events, spread over most of the days; however many these are, they end together."""
    start = START - timedelta(days=days - DAYS)
    return write_blobs(path, batches(events, seed, batch_size=BATCH_SIZE, start=start, days=days), show)


def make_batch(number: int, body: bytes, received_at: datetime = RECEIVED_AT) -> Batch:
    """A body with what the listener would have noted about it; names are as long as real ones."""
    name = hashlib.blake2b(str(number).encode(), digest_size=16).hexdigest()
    return Batch(
        object_key=f"raw/sparkpost/{received_at:%Y/%m/%d/%H}/{name}",
        provider="sparkpost",
        provider_batch_id=f"{name[:8]}-{name[8:12]}-{name[12:16]}-{name[16:20]}-{name[20:]}",
        request_id=name[:16],
        received_at=received_at,
        body=body,
    )


def store(batch: Batch) -> StoredObject:
    """The batch's object, as the listener would have put it."""
    names = {"batch-id": batch.provider_batch_id, "request-id": batch.request_id, "provider": batch.provider}
    metadata = {name: value for name, value in names.items() if value is not None}
    return StoredObject(batch.body, {**metadata, "received-at": batch.received_at.isoformat()})


def parse_stored(batch: Batch) -> Iterable[Event | Unparseable | Expired]:
    """The batch's events, as the loader parses them."""
    return parse_batch(batch, LIMITS)
