"""The loader's throughput beside its limit: COPY of the same rows, already rendered, into the same table.

The limit is measured twice, with a COPY and a commit for each object and with a single COPY; what counts is the faster.
All three write to databases of their own, made from one template, in turns of some batches each: so the tables are
equally full at each turn, and whatever else the machine does meets all three. The ratio is the median of the turns'.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from statistics import median

import psycopg2

from bench.database import DATABASE, copy_database, drop_database
from bench.figures import Figure, Target
from bench.load_process import Loaded, start_load_process
from bench.progress import count_up, say
from bench.stored import BATCH_SIZE, Blobs, make_batch, parse_stored, write_blobs
from common.events import Event
from local.postgres import Postgres
from s3_loader.dimensions import Dimensions
from s3_loader.loading import COPY_EVENTS
from s3_loader.rows import HEADER, TRAILER, render_row

LOADER = "mailwake_loader"
TARGET = Target(least=0.6)
TURNS = 10
LARGEST_TURN = 150_000  # events; larger runs go on without the limit beside them
BY_OBJECT, AT_ONCE = "raw_by_object", "raw_at_once"
WIRE = 64 * 1024  # bytes that libpq gets at once; 8 KB and 1 MB are slower


def load_alone(server: Postgres, bodies: Blobs, events: int) -> list[Figure]:
    """Load everything, without the limit beside it."""
    with start_load_process(server.dsn(LOADER, DATABASE), bodies) as process:
        loaded = process.load(0, bodies.count, count_up("loading", events, BATCH_SIZE))
    _check(loaded, events)
    return []


def measure_load(server: Postgres, bodies: Blobs, events: int, folder: Path) -> list[Figure]:
    """Load everything, the first part of it in turns with raw COPY; the loader's own database stays."""
    turn = max(1, min(bodies.count // TURNS, LARGEST_TURN // BATCH_SIZE))
    turns = [(first, min(first + turn, bodies.count)) for first in range(0, min(turn * TURNS, bodies.count), turn)]
    rows = _render(bodies, turns[-1][1], folder / "rows")
    for name in (BY_OBJECT, AT_ONCE):
        copy_database(server, name)
    rates: list[tuple[float, float, float]] = []
    everything: list[Loaded] = []
    show = count_up("loading", events, BATCH_SIZE)
    with start_load_process(server.dsn(LOADER, DATABASE), bodies) as process:
        for number, (first, last) in enumerate(turns, 1):
            loaded = process.load(first, last, show)
            everything.append(loaded)
            contents = list(rows.read(first, last))
            raw_rates = (
                loaded.events / _copy_by_object(server, contents),
                loaded.events / _copy_at_once(server, contents),
            )
            rates.append((loaded.events / loaded.seconds, *raw_rates))
            say(f"  turn {number:2}: loader {rates[-1][0]:,.0f} events/s; raw COPY by object {raw_rates[0]:,.0f}, "
                f"at once {raw_rates[1]:,.0f}; ratio {rates[-1][0] / max(raw_rates):.2f}")  # fmt: skip
        if turns[-1][1] < bodies.count:
            everything.append(process.load(turns[-1][1], bodies.count, show))
    for name in (BY_OBJECT, AT_ONCE):
        drop_database(server, name)
    whole = _add_up(everything)
    _check(whole, events)
    return _report(rates, whole)


def _report(rates: list[tuple[float, float, float]], whole: Loaded) -> list[Figure]:
    own, by_object, at_once = (median(column) for column in zip(*rates, strict=True))
    cpu = whole.cpu_seconds / whole.events * 1e6
    return [
        Figure(
            name="load, one process",
            measured=f"{own:,.0f} events/s",
            compared=f"raw COPY {max(by_object, at_once):,.0f} events/s",
            ratio=median(rate / max(raw) for rate, *raw in rates),
            target=TARGET,
        ),
        Figure(
            name="  beside COPY by object",
            measured=f"{own:,.0f} events/s",
            compared=f"{by_object:,.0f} events/s",
            ratio=median(rate / raw for rate, raw, _ in rates),
        ),
        Figure(
            name="  beside one single COPY",
            measured=f"{own:,.0f} events/s",
            compared=f"{at_once:,.0f} events/s",
            ratio=median(rate / raw for rate, _, raw in rates),
        ),
        Figure(name="  CPU of the process", measured=f"{cpu:.1f} us an event"),
        Figure(name="  its peak memory", measured=f"{whole.peak_memory / 2**20:.0f} MiB"),
    ]


def _render(bodies: Blobs, last: int, path: Path) -> Blobs:
    """The rows that the loader would make of the first bodies, without COPY's header and trailer."""
    dimensions = Dimensions()

    def render() -> Iterator[bytes]:
        for number, body in enumerate(bodies.read(0, last)):
            items = parse_stored(make_batch(number, body))
            yield b"".join(render_row(item, number + 1, dimensions) for item in items if type(item) is Event)

    return write_blobs(path, render(), count_up("rendering rows for raw COPY", last * BATCH_SIZE, BATCH_SIZE))


def _copy_by_object(server: Postgres, contents: list[bytes]) -> float:
    """Seconds of a COPY and a commit for each object."""
    return _copy(server, BY_OBJECT, [HEADER + content + TRAILER for content in contents])


def _copy_at_once(server: Postgres, contents: list[bytes]) -> float:
    """Seconds of one COPY and one commit for all."""
    return _copy(server, AT_ONCE, [b"".join((HEADER, *contents, TRAILER))])


def _copy(server: Postgres, database: str, texts: list[bytes]) -> float:
    with closing(psycopg2.connect(server.dsn(LOADER, database), options="-c timezone=UTC")) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT FROM events LIMIT 0")  # the server has looked the table up
        connection.commit()
        files = [io.BytesIO(text) for text in texts]
        at = time.perf_counter()
        for file in files:
            cursor.copy_expert(COPY_EVENTS, file, WIRE)
            connection.commit()
        return time.perf_counter() - at


def _add_up(loads: list[Loaded]) -> Loaded:
    return Loaded(
        events=sum(load.events for load in loads),
        set_aside=sum(load.set_aside for load in loads),
        seconds=sum(load.seconds for load in loads),
        cpu_seconds=sum(load.cpu_seconds for load in loads),
        peak_memory=max(load.peak_memory for load in loads),
    )


def _check(loaded: Loaded, events: int) -> None:
    """A figure of a load that lost something would mean nothing."""
    if loaded.events != events or loaded.set_aside:
        raise RuntimeError(f"{loaded.events:,} of {events:,} events loaded, {loaded.set_aside:,} set aside")
