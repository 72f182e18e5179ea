"""API calls: the loader's throughput beside COPY of the same rows, already rendered, and bytes a call, all in.

Both load into databases of their own, in turns; the ratio is the median of the turns'. What is raw is one COPY and one
commit for each turn, which is the fastest that there is. The loader takes objects as SQS hands them over, ten at once.
Most clients send fewer calls in a body: beside it stands what the loader makes of small ones, at once and one by one.
"""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from functools import partial
from statistics import median

import psycopg2
from psycopg2.extensions import connection as Connection

from bench.calls import DAYS, write_calls
from bench.database import DATABASE, copy_database, create_schema, run_postgres
from bench.figures import Figure, Target
from bench.progress import say
from bench.sizes import FIND_SIZES, SHOWN, vacuum
from bench.traffic import START
from bench.vocabulary import BENCHMARK_VOCABULARY
from local.postgres import SUPERUSER, Postgres
from s3_loader.activity_rows import render_activities
from s3_loader.batches import Batch, Limits
from s3_loader.behaviour import COPY_ACTIVITIES, BehaviourLoader
from s3_loader.contents import read_content
from s3_loader.loading import Outcome
from s3_loader.rows import HEADER, TRAILER
from sources import find_source

LOADER = "mailwake_loader"
RAW = "raw_calls"
TARGET = Target(least=0.6)
SIZE_TARGET = Target(most=250)
BATCH_SIZE = 500  # calls of one POST
SMALL_BATCH_SIZE = 25
TOGETHER = 10  # objects, as in template.yaml
TURNS = 10
MOST = 500_000  # calls
RECEIVED_AT = START + timedelta(days=DAYS)
LIMITS = Limits(timedelta(days=400), START - timedelta(days=400))


def measure_behaviour(events: int) -> list[Figure]:
    """Both, over so many calls at most."""
    calls = min(events, MOST) // BATCH_SIZE * BATCH_SIZE
    say(f"generating {calls:,} API calls")
    bodies = list(write_calls(BENCHMARK_VOCABULARY, calls, BATCH_SIZE))
    with run_postgres() as server:
        create_schema(server, START, 1)
        with closing(psycopg2.connect(server.dsn(LOADER, DATABASE))) as connection, connection.cursor() as cursor:
            for week in range(-1, DAYS // 7 + 2):
                cursor.execute("SELECT create_activities_partition(%s)", (START + timedelta(weeks=week),))
            connection.commit()
        copy_database(server, RAW)
        figures = _measure_load(server, bodies)
        return figures + _measure_size(server, calls, sum(map(len, bodies)) / calls)


def _measure_load(server: Postgres, bodies: list[bytes]) -> list[Figure]:
    import s3_loader.app  # noqa: F401 (sets the garbage collector as in Lambda)

    loader, rates, cpu = BehaviourLoader(), [], 0.0
    turn = max(1, -(-len(bodies) // (TURNS + 1)))
    *turns, rest = [bodies[first : first + turn] for first in range(0, len(bodies), turn)]
    with (
        closing(psycopg2.connect(server.dsn(LOADER, DATABASE), options="-c timezone=UTC")) as connection,
        closing(psycopg2.connect(server.dsn(LOADER, DATABASE), options="-c timezone=UTC")) as aside,
        closing(psycopg2.connect(server.dsn(LOADER, RAW), options="-c timezone=UTC")) as raw,
    ):
        for some in turns:
            batches = [_make_batch(body) for body in some]
            own, own_cpu, events = _load(loader, (connection, aside), batches, TOGETHER)
            cpu += own_cpu
            beside = _copy(raw, loader, batches)
            rates.append((events / own, events / beside))
            say(f"  calls: loader {events / own:,.0f}/s, raw COPY {events / beside:,.0f}/s, ratio {beside / own:.2f}")
        small = [_make_batch(body) for body in _split(rest)]
        half = len(small) // 2
        one_by_one, _, few = _load(loader, (connection, aside), small[:half], 1)
        at_once, _, others = _load(loader, (connection, aside), small[half:], TOGETHER)
    own_rate, raw_rate = (median(column) for column in zip(*rates, strict=True))
    return [
        Figure(
            name="API calls, one process",
            measured=f"{own_rate:,.0f} calls/s",
            compared=f"raw COPY {raw_rate:,.0f} calls/s",
            ratio=median(one / other for one, other in rates),
            target=TARGET,
        ),
        Figure(name="  CPU of the process", measured=f"{cpu / (turn * len(turns) * BATCH_SIZE) * 1e6:.1f} us a call"),
        Figure(
            name=f"  bodies of {SMALL_BATCH_SIZE} calls",
            measured=f"{others / at_once:,.0f} calls/s",
            compared=f"one by one {few / one_by_one:,.0f} calls/s",
        ),
    ]


def _split(bodies: list[bytes]) -> Iterator[bytes]:
    """The same calls in small bodies."""
    for body in bodies:
        calls = json.loads(body)
        for first in range(0, len(calls), SMALL_BATCH_SIZE):
            yield json.dumps(calls[first : first + SMALL_BATCH_SIZE], separators=(",", ":")).encode()


def _load(
    loader: BehaviourLoader, connections: tuple[Connection, Connection], batches: list[Batch], together: int
) -> tuple[float, float, int]:
    """Seconds, seconds of CPU, and calls."""
    source = find_source("moesif")
    assert source is not None
    read = partial(loader.read, source, limits=LIMITS)
    events, at, cpu_at = 0, time.perf_counter(), time.process_time()
    for first in range(0, len(batches), together):
        loads = loader.load_together(*connections, batches[first : first + together], read)
        for load in loads.values():
            if load.outcome is not Outcome.LOADED or load.duplicates or load.quarantined or load.expired:
                raise RuntimeError(f"not all calls were loaded: {load}")
            events += load.events
    return time.perf_counter() - at, time.process_time() - cpu_at, events


def _copy(raw: Connection, loader: BehaviourLoader, batches: list[Batch]) -> float:
    source = find_source("moesif")
    assert source is not None
    rows = [
        some
        for number, batch in enumerate(batches)
        for some in render_activities(read_content(source, batch, LIMITS).activities, number, loader.keys)
    ]
    file = io.BytesIO(b"".join((HEADER, *rows, TRAILER)))
    with raw.cursor() as cursor:
        at = time.perf_counter()
        cursor.copy_expert(COPY_ACTIVITIES, file, 64 * 1024)
        raw.commit()
        return time.perf_counter() - at


def _measure_size(server: Postgres, calls: int, plain: float) -> list[Figure]:
    vacuum(server)
    with closing(psycopg2.connect(server.dsn(SUPERUSER, DATABASE))) as connection, connection.cursor() as cursor:
        cursor.execute(FIND_SIZES)
        sizes = [(name, kind == "i", int(size) / calls) for name, kind, size in cursor.fetchall()]
    total = sum(size for _, _, size in sizes)
    return [
        Figure(
            name="API calls, size all in",
            measured=f"{total:.1f} bytes a call",
            compared=f"{plain:,.0f} bytes of JSON",
            value=total,
            target=SIZE_TARGET,
        ),
        *(
            Figure(name=f"  {'index' if index else 'table'} {name}", measured=f"{size:.1f}")
            for name, index, size in sizes
            if size >= SHOWN
        ),
    ]


def _make_batch(body: bytes) -> Batch:
    name = hashlib.blake2b(body, digest_size=16).hexdigest()
    return Batch(f"raw/moesif/2026/11/21/12/{name}", "moesif", None, name[:16], RECEIVED_AT, body, query="events")
