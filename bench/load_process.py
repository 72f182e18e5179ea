"""A process that loads stored bodies as the loader function does, and tells how long that took.

Objects come from memory, as many at once as SQS brings (`BatchSize` in template.yaml).
"""

from __future__ import annotations

import logging
import multiprocessing
import resource
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from typing import cast

import psycopg2

from bench.stored import LIMITS, RECEIVED_AT, Blobs, make_batch, store
from common.objects import Bucket, StoredObject

AT_ONCE = 10  # objects


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """What became of some batches."""

    events: int
    set_aside: int  # duplicates, quarantined and expired events: of generated traffic there must be none
    seconds: float  # from the object's bytes to the commit
    cpu_seconds: float  # of these, what this process spent computing
    peak_memory: int  # bytes, of the process since it began


class LoadProcess:
    """Loads on demand, in one process."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe

    def load(self, first: int, last: int, show: Callable[[int], None]) -> Loaded:
        """Load bodies from number `first` up to but without `last`; `show` is told how many are done."""
        self._pipe.send((first, last))
        while True:
            answer = self._pipe.recv()
            if isinstance(answer, Loaded):
                return answer
            show(answer)


@contextmanager
def start_load_process(dsn: str, bodies: Blobs) -> Iterator[LoadProcess]:
    """Start it, and end it with the block; should we be killed, it sees its pipe close and ends by itself."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, dsn, bodies), daemon=True)
    process.start()
    theirs.close()
    try:
        yield LoadProcess(ours)
    finally:
        ours.close()
        process.join(10)
        process.kill()
        process.join()


class _Memory:
    """A bucket."""

    def __init__(self) -> None:
        self.objects: dict[str, StoredObject] = {}

    def get(self, key: str) -> StoredObject:
        return self.objects[key]


def _serve(pipe: Pipe, dsn: str, bodies: Blobs) -> None:
    import s3_loader.app  # noqa: F401 (sets the garbage collector as in Lambda)
    from common.database import Database
    from s3_loader.notifications import Notification
    from s3_loader.service import LoaderService

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    logging.disable(logging.INFO)
    memory = _Memory()
    with (
        closing(psycopg2.connect(dsn, options="-c timezone=UTC")) as connection,
        closing(psycopg2.connect(dsn, options="-c timezone=UTC")) as aside,
    ):
        service = LoaderService(
            database=Database(lambda: connection),
            aside=Database(lambda: aside),
            max_event_age=LIMITS.oldest,
            retention_months=15,  # as LIMITS: a year's events are kept whole
            activity_retention_weeks=53,
            open_bucket=lambda _name: cast("Bucket", memory),
            clock=lambda: RECEIVED_AT,
        )
        while True:
            try:
                first, last = pipe.recv()
            except EOFError:
                return
            events = set_aside = 0
            seconds = cpu_seconds = 0.0
            for begin in range(first, last, AT_ONCE):
                end = min(begin + AT_ONCE, last)
                batches = [make_batch(number, body) for number, body in enumerate(bodies.read(begin, end), begin)]
                memory.objects = {batch.object_key: store(batch) for batch in batches}
                notifications = [Notification("raw", batch.object_key, replay=False) for batch in batches]
                at, cpu_at = time.perf_counter(), time.process_time()
                service.take_in(notifications)
                loads = [service.load(notification) for notification in notifications]
                cpu_seconds += time.process_time() - cpu_at
                seconds += time.perf_counter() - at
                events += sum(load.events for load in loads)
                set_aside += sum(load.duplicates + load.quarantined + load.expired for load in loads)
                pipe.send(end)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            pipe.send(
                Loaded(events=events, set_aside=set_aside, seconds=seconds, cpu_seconds=cpu_seconds, peak_memory=peak)
            )
