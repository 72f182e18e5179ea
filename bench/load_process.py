"""A process that loads stored bodies as the loader function does, and tells how long that took."""

from __future__ import annotations

import multiprocessing
import resource
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe

import psycopg2

from bench.stored import Blobs, make_batch, parse_stored

EVERY = 100  # batches between two reports of progress


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """What became of some batches."""

    events: int
    set_aside: int  # duplicates, quarantined and expired events: of generated traffic there must be none
    seconds: float  # from the object's bytes to the commit
    cpu_seconds: float  # of these, what this process spent computing
    peak_memory: int  # bytes, of the process since it began


class LoadProcess:
    """Loads on demand, in one process and over one connection."""

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


def _serve(pipe: Pipe, dsn: str, bodies: Blobs) -> None:
    import s3_loader.app  # noqa: F401 (sets the garbage collector as in Lambda)
    from s3_loader.loading import Loader

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    loader = Loader()
    with closing(psycopg2.connect(dsn, options="-c timezone=UTC")) as connection:
        while True:
            try:
                first, last = pipe.recv()
            except EOFError:
                return
            events = set_aside = 0
            seconds = cpu_seconds = 0.0
            for number, body in enumerate(bodies.read(first, last), first):
                batch = make_batch(number, body)
                at, cpu_at = time.perf_counter(), time.process_time()
                load = loader.load(connection, batch, lambda batch=batch: parse_stored(batch))  # type: ignore[misc]
                cpu_seconds += time.process_time() - cpu_at
                seconds += time.perf_counter() - at
                events += load.events
                set_aside += load.duplicates + load.quarantined + load.expired
                if (number - first) % EVERY == EVERY - 1:
                    pipe.send(number + 1)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            pipe.send(
                Loaded(events=events, set_aside=set_aside, seconds=seconds, cpu_seconds=cpu_seconds, peak_memory=peak)
            )
