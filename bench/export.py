"""A large export as NDJSON: rows a second, and how much memory it takes, in a process of its own."""

from __future__ import annotations

import multiprocessing
import resource
import time
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import psycopg2

from bench.asking import QUERY
from bench.database import DATABASE
from bench.figures import Figure, Target
from bench.progress import say
from bench.stored import RECEIVED_AT
from bench.traffic import START
from common.clock import format_instant
from local.postgres import Postgres

MOST_MIB = Target(most=100)  # above what the process takes before


class Exported(NamedTuple):
    """What was measured."""

    events: int
    seconds: float
    bytes_before: int
    bytes_after: int
    size: int  # bytes, compressed


def measure_export(server: Postgres, events: int) -> list[Figure]:
    """Export everything, as for somebody with `pii:read`."""
    say("exporting all events")
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_export, args=(theirs, server.dsn(QUERY, DATABASE)), daemon=True)
    process.start()
    theirs.close()
    found: Exported = ours.recv()
    process.join()
    if found.events != events:
        raise RuntimeError(f"{found.events:,} of {events:,} events exported")
    grown = (found.bytes_after - found.bytes_before) / 2**20
    return [
        Figure(
            name=f"export of {events:,} events, NDJSON",
            measured=f"{events / found.seconds:,.0f} rows/s",
            compared=f"{found.size / 2**20:,.0f} MiB compressed",
        ),
        Figure(
            name="  memory above the start",
            measured=f"{grown:.0f} MiB",
            compared=f"start {found.bytes_before / 2**20:.0f} MiB",
            value=grown,
            target=MOST_MIB,
        ),
    ]


def _export(pipe: Any, dsn: str) -> None:
    from export_events.app import SESSION
    from export_events.exporting import PART, Stream, read_chunks
    from query_events.export_files import ExportRequest

    options = " ".join(f"-c {name}={value}" for name, value in {"timezone": "UTC", **SESSION}.items())
    request = ExportRequest("ndjson", {}, format_instant(START), format_instant(RECEIVED_AT), masked=False)
    reached = [0]

    def report(events: int, _reached: object) -> None:
        reached[0] = events

    with closing(psycopg2.connect(dsn, options=options)) as connection:
        before = _read_peak()
        at = time.perf_counter()
        stream = Stream(read_chunks(connection, request, report))
        while stream.read(PART):  # a part is dropped where it would be uploaded
            pass
        pipe.send(Exported(reached[0], time.perf_counter() - at, before, _read_peak(), stream.size))


def _read_peak() -> int:
    """Bytes. Where Linux tells it, of this program alone: `getrusage` also counts who started it."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    told = [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
    return (told[0] if told else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * 1024
