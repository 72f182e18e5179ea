"""A process that runs a tick as the evaluator function does, and tells how long it took and what it needed."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections import Counter, defaultdict
from contextlib import closing
from datetime import datetime
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any, Final, NamedTuple

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

OPTIONS = "-c timezone=UTC -c work_mem=64MB -c temp_buffers=64MB"  # of the function's connection


class Run(NamedTuple):
    """What a tick took."""

    seconds: float
    server_seconds: float  # of a processor, in the server's process
    peak_memory: int  # bytes, of the process since it began
    cohorts: int
    failed: int
    judged: int  # pairs of a cohort and a subject
    transitions: int
    statements: dict[str, tuple[int, float]]  # of each: how often, and the seconds
    by_cohort: dict[int, float]  # seconds of the statements of each cohort; 0 is what all share


def run_tick(dsn: str, instant: datetime) -> Run:
    """Runs one in a process of its own. Raises `RuntimeError` where that fails."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, dsn, instant), daemon=True)
    process.start()
    theirs.close()
    try:
        return ours.recv()  # type: ignore[no-any-return]
    except EOFError:
        raise RuntimeError("a tick failed: see above") from None
    finally:
        process.join(10)


def add_up(first: Run, second: Run) -> Run:
    """Both as one, but for the single statements."""
    return first._replace(
        seconds=first.seconds + second.seconds,
        server_seconds=first.server_seconds + second.server_seconds,
        peak_memory=max(first.peak_memory, second.peak_memory),
        failed=first.failed + second.failed,
        judged=first.judged + second.judged,
        transitions=first.transitions + second.transitions,
        by_cohort={
            cohort: first.by_cohort.get(cohort, 0) + second.by_cohort.get(cohort, 0)
            for cohort in first.by_cohort.keys() | second.by_cohort.keys()
        },
    )


def read_server_seconds(connection: Connection) -> float:
    """Seconds of a processor that the server's process of a connection has used; it runs on this machine."""
    return int(Path(f"/proc/{connection.info.backend_pid}/schedstat").read_text().split()[0]) / 1e9


def _read_peak_memory() -> int:
    """Bytes of this process alone; what getrusage tells is at least what its parent had."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


class _Timed(Cursor):
    """Notes how long each statement takes."""

    statements: Final[Counter[str]] = Counter()  # of the process
    seconds: Final[defaultdict[str, float]] = defaultdict(float)
    by_cohort: Final[defaultdict[int, float]] = defaultdict(float)
    cohort = 0

    def execute(self, query: Any, values: Any = None) -> None:
        """As it was."""
        if isinstance(values, dict) and "cohort" in values:
            _Timed.cohort = values["cohort"]
        at = time.perf_counter()
        super().execute(query, values)
        taken = time.perf_counter() - at
        name = " ".join(str(query).split())[:60]
        self.statements[name] += 1
        self.seconds[name] += taken
        self.by_cohort[_Timed.cohort] += taken


def _serve(pipe: Pipe, dsn: str, instant: datetime) -> None:
    from cohort_evaluator.evaluation import evaluate_cohorts

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    with closing(psycopg2.connect(dsn, options=OPTIONS, cursor_factory=_Timed)) as connection:
        at = time.perf_counter()
        ticked = evaluate_cohorts(connection, instant)
        seconds = time.perf_counter() - at
        server_seconds = read_server_seconds(connection)
    peak = _read_peak_memory()
    taken = {name: (count, _Timed.seconds[name]) for name, count in _Timed.statements.items()}
    pipe.send(
        Run(
            *(seconds, server_seconds, peak, ticked.cohorts, ticked.failed, ticked.judged, ticked.transitions),
            *(taken, dict(_Timed.by_cohort)),
        )
    )
