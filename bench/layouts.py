"""Bytes an event and load rate of storage layouts, on the same traffic in one run. `python -m bench.layouts --help`."""

from __future__ import annotations

import argparse
import gc
import io
import json
import statistics
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extras import execute_values

from bench.database import DATABASE, run_postgres
from bench.layout_classic import Classic
from bench.layout_messages import Messages
from bench.layout_parts import Event, Layout
from bench.layout_star import Star, Variant
from bench.traffic import batches
from bench.vocabulary import TRAINING_VOCABULARIES
from local.postgres import SUPERUSER

TRAINING_EVENTS = 6_000  # of each training vocabulary
PARTITIONS = ("2026-10-01", "2026-11-01", "2026-12-01")


def build_layouts() -> list[Layout]:
    """All layouts that are compared; a note names the layout that it differs from."""
    best = Variant(packed=True, derived=True)
    variants: list[tuple[str, str, Variant]] = [
        ("c", "star schema, 64-bit content hashes, residue zstd", Variant()),
        ("c-zlib", "c, zlib with a preset dictionary", Variant(zlib=True)),
        ("c-block", "c, details of 32 events in one compressed row", Variant(block=32)),
        ("c-time", "c, (recipient, occurred_at)", Variant(by_time=True)),
        ("c-frame", "c, zstd's ordinary frames", Variant(codec={"bare": False})),
        ("c-packed", "c, event id is the event key, transmission bigint, message id bytea", Variant(packed=True)),
        ("g", "c-packed, injection_time as difference", best),
        ("g-senders", "g, senders are a dimension of mailings", replace(best, senders=True)),
        ("g-people", "g-senders, recipients are a dimension", replace(best, senders=True, people=True)),
        ("g-place", "g, geo_ip is a dimension", replace(best, places=True)),
        ("g-text", "g, metadata as text", replace(best, metadata="text")),
        ("g-meta", "g, metadata inside the residue", replace(best, metadata="detail")),
        ("g-rare", "g, reason, url, address inside the residue", replace(best, rare="detail")),
        ("g-nonull", "g, empty values instead of NULL", replace(best, no_nulls=True)),
        ("g-values", "g, residue is values only, keys by shape", replace(best, values_only=True)),
        ("g-hash", "g, message index on a 64-bit hash", replace(best, message_hash=True)),
        ("g-8k", "g, 8 KB dictionary", replace(best, codec={"size": 8_192})),
        ("g-64k", "g, 64 KB dictionary", replace(best, codec={"size": 65_536})),
        ("g-112k", "g, 112 KB dictionary", replace(best, codec={"size": 114_688})),
        ("g-level9", "g, zstd level 9", replace(best, codec={"level": 9})),
        ("h", "g-senders, metadata inside the residue", replace(best, senders=True, metadata="detail")),
    ]
    return [
        Classic("a", "wide row, residue jsonb, classic indexes", compressed=False),
        Classic("b", "a, residue zstd", compressed=True),
        *(Star(name, note, variant) for name, note, variant in variants),
        Messages("m", "events of a message share a row of messages"),
    ]


def read_events(bodies: Iterable[bytes]) -> Iterator[list[Event]]:
    """Parse webhook bodies."""
    for body in bodies:
        yield [next(iter(item["msys"].values())) for item in json.loads(body)]


def load(connection: Connection, layout: Layout, bodies: Iterable[bytes]) -> tuple[int, float, float]:
    """Load bodies, one transaction each: (events, seconds, seconds of them in parsing and rendering)."""
    cursor = connection.cursor()
    copy = f"COPY events ({layout.columns()}) FROM STDIN"
    count, client, begin = 0, 0.0, time.perf_counter()
    for number, body in enumerate(bodies):
        at = time.perf_counter()
        (events,) = read_events([body])
        rows = layout.render(events, number)
        count += len(events)
        client += time.perf_counter() - at
        for table, new in layout.take_new_rows().items():
            execute_values(cursor, f"INSERT INTO {table} VALUES %s ON CONFLICT DO NOTHING", new, page_size=1000)
        cursor.copy_expert(copy, io.BytesIO(rows))
        connection.commit()
    return count, time.perf_counter() - begin, client


def measure_sizes(connection: Connection, count: int) -> dict[str, float]:
    """Bytes an event of the heap, each index and each dimension, after VACUUM ANALYZE."""
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute("VACUUM (ANALYZE)")
    cursor.execute("""
        SELECT coalesce(parent.relname, 'heap'), sum(pg_relation_size(i.oid)) FROM pg_class i
        JOIN pg_index x ON x.indexrelid = i.oid JOIN pg_class t ON t.oid = x.indrelid
        JOIN pg_inherits h ON h.inhrelid = i.oid JOIN pg_class parent ON parent.oid = h.inhparent
        WHERE t.relname LIKE 'events_p%' GROUP BY 1
        UNION ALL SELECT 'heap', sum(pg_table_size(oid)) FROM pg_class WHERE relname LIKE 'events_p%' AND relkind = 'r'
        UNION ALL SELECT 'table ' || relname, pg_total_relation_size(oid) FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname NOT LIKE 'events%'""")
    sizes = {name: float(size) / count for name, size in cursor.fetchall()}
    connection.autocommit = False
    return sizes


def measure_queries(connection: Connection, layout: Layout) -> dict[str, float]:
    """Milliseconds (median, warm) for the newest 100 events of typical and of the heaviest recipient."""
    cursor = connection.cursor()
    cursor.execute("SELECT recipient, count(*) FROM " + layout.joined + " GROUP BY 1 ORDER BY 2 DESC")
    ranked = cursor.fetchall()
    groups = {
        "heaviest": [ranked[0][0]] * 40,
        "100th": [ranked[99][0]] * 40,
        "typical": [name for name, _ in ranked[len(ranked) // 3 : len(ranked) // 3 + 200]],
    }
    result = {"heaviest has": float(ranked[0][1]), "100th has": float(ranked[99][1])}
    for name, people in groups.items():
        for bound, label in (("2026-10-01", ""), ("2026-11-10", " 10 days")):
            times = []
            for person in people:
                at = time.perf_counter()
                cursor.execute(
                    f"SELECT * FROM {layout.joined} WHERE recipient = %s AND occurred_at >= %s "
                    "AND occurred_at < '2026-12-01' ORDER BY occurred_at DESC, event_key DESC LIMIT 100",
                    (person, bound),
                )
                cursor.fetchall()
                times.append((time.perf_counter() - at) * 1000)
            result[name + label] = statistics.median(times)
    connection.rollback()
    return result


def run(layout: Layout, samples: list[Event], bodies: Iterable[bytes]) -> dict[str, Any]:
    """Everything about one layout, in a database of its own."""
    layout.train(samples)
    with run_postgres() as server:
        connection = psycopg2.connect(server.dsn(SUPERUSER, DATABASE))
        cursor = connection.cursor()
        cursor.execute(layout.schema())
        for begin, end in pairwise(PARTITIONS):
            cursor.execute(
                f"CREATE TABLE events_p{begin.replace('-', '')} PARTITION OF events "
                f"FOR VALUES FROM ('{begin}') TO ('{end}')"
            )
        cursor.execute("CREATE TABLE events_default PARTITION OF events DEFAULT")
        connection.commit()
        gc.collect()
        count, seconds, client = load(connection, layout, bodies)
        sizes = measure_sizes(connection, count)
        queries = measure_queries(connection, layout)
        connection.close()
    return {
        "layout": layout.name,
        "note": layout.note,
        "bytes": round(sum(sizes.values()), 1),
        "rate": round(count / seconds),
        "client_us": round(client / count * 1e6, 1),
        "sizes": {k: round(v, 1) for k, v in sorted(sizes.items(), key=lambda item: -item[1])},
        "queries_ms": {k: round(v, 2) for k, v in queries.items()},
    }


def main() -> None:
    """Measure the layouts named on the command line, or all."""
    parser = argparse.ArgumentParser(prog="python -m bench.layouts", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("layouts", nargs="*", help="names; default all")
    options = parser.parse_args()
    samples = [e for v in TRAINING_VOCABULARIES for batch in read_events(batches(TRAINING_EVENTS, 7, v)) for e in batch]
    bodies = list(batches(options.events, options.seed))
    print(f"{options.events:,} events of {sum(map(len, bodies)) / options.events:,.0f} bytes", flush=True)
    for layout in build_layouts():
        if not options.layouts or layout.name in options.layouts:
            print(json.dumps(run(layout, samples, bodies)), flush=True)


if __name__ == "__main__":
    main()
