"""COPY's text format beside its binary one: CPU of rendering and of the server, same rows, same table.

`python -m bench.copy_formats --events N`. CPU seconds, so that a busy machine does not decide.
"""

from __future__ import annotations

import argparse
import io
import struct
import time
from collections.abc import Callable

import psutil
import psycopg2

from bench.database import DATABASE, run_postgres
from bench.layout_parts import Event, compact, escape, hash_content, instant
from bench.layout_star import Star, Variant
from bench.layouts import read_events
from bench.traffic import batches
from bench.vocabulary import TRAINING_VOCABULARIES
from local.postgres import SUPERUSER

Row = tuple[int, int, int, int, str, bytes | None, str, str | None, bytes]
TABLE = """CREATE TABLE rows (occurred_at timestamptz, event_key bigint, mailing bigint, batch_id int, recipient text,
                              message_id bytea, metadata jsonb, reason text, detail bytea)"""
INDEXES = """CREATE UNIQUE INDEX ON rows (occurred_at, event_key); CREATE INDEX ON rows (recipient);
             CREATE INDEX ON rows (message_id); CREATE INDEX ON rows (mailing)"""
EPOCH_2000 = 946_684_800  # Postgres counts microseconds from 2000
HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
TRAILER = struct.pack(">h", -1)
_pack_fixed = struct.Struct(">hiqiqiqii").pack
_pack_length = struct.Struct(">i").pack
NULL = _pack_length(-1)


def render_text(rows: list[Row]) -> bytes:
    """COPY's text format; bytes as hexadecimal."""
    lines = []
    for at, key, mailing, batch, recipient, message, metadata, reason, detail in rows:
        hexadecimal = "\\N" if message is None else "\\\\x" + message.hex()
        why = "\\N" if reason is None else escape(reason)
        lines.append(
            f"{instant(str(at))}\t{key}\t{mailing}\t{batch}\t{escape(recipient)}\t{hexadecimal}\t"
            f"{escape(metadata)}\t{why}\t\\\\x{detail.hex()}\n"
        )
    return "".join(lines).encode()


def render_binary(rows: list[Row]) -> bytes:
    """COPY's binary format: each field with its length; jsonb is a version byte and text."""
    parts = [HEADER]
    add = parts.append
    for at, key, mailing, batch, recipient, message, metadata, reason, detail in rows:
        add(_pack_fixed(9, 8, (at - EPOCH_2000) * 1_000_000, 8, key, 8, mailing, 4, batch))
        encoded = recipient.encode()
        add(_pack_length(len(encoded)) + encoded)
        add(NULL if message is None else _pack_length(len(message)) + message)
        encoded = metadata.encode()
        add(_pack_length(len(encoded) + 1) + b"\1" + encoded)
        if reason is None:
            add(NULL)
        else:
            encoded = reason.encode()
            add(_pack_length(len(encoded)) + encoded)
        add(_pack_length(len(detail)) + detail)
    parts.append(TRAILER)
    return b"".join(parts)


def make_rows(events: list[Event], batch: int, star: Star) -> list[Row]:
    """Rows of one batch as values."""
    rows: list[Row] = []
    for event in events:
        message = event.get("message_id")
        rows.append(
            (
                int(event["timestamp"]),
                int(event["event_id"]),
                hash_content(event.get("subject", "")),
                batch,
                event["rcpt_to"],
                None if message is None else bytes.fromhex(message),
                compact(event["rcpt_meta"]),
                event.get("raw_reason"),
                star.codec.compress(star.residue(event).encode()),
            )
        )
    return rows


def main() -> None:
    """Render and load with both formats, with and without indexes."""
    parser = argparse.ArgumentParser(prog="python -m bench.copy_formats", description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    options = parser.parse_args()
    star = Star("g", "", Variant(packed=True, derived=True))
    star.train([e for v in TRAINING_VOCABULARIES for batch in read_events(batches(2_000, 7, v)) for e in batch])
    all_rows = [make_rows(events, i, star) for i, events in enumerate(read_events(batches(options.events)))]
    formats: list[tuple[str, Callable[[list[Row]], bytes], str]] = [
        ("text", render_text, ""),
        ("binary", render_binary, " WITH (FORMAT binary)"),
    ]
    with run_postgres() as server:
        for indexes in ("", INDEXES):
            for name, render, clause in formats * 2:
                connection = psycopg2.connect(server.dsn(SUPERUSER, DATABASE))
                cursor = connection.cursor()
                cursor.execute(f"DROP TABLE IF EXISTS rows; {TABLE}; {indexes}")
                connection.commit()
                backend = psutil.Process(connection.get_backend_pid())
                at, before = time.process_time(), backend.cpu_times()
                bodies = [render(rows) for rows in all_rows]
                rendering = time.process_time() - at
                for body in bodies:
                    cursor.copy_expert(f"COPY rows FROM STDIN{clause}", io.BytesIO(body))
                    connection.commit()
                after = backend.cpu_times()
                serving = after.user + after.system - before.user - before.system
                sent = time.process_time() - at - rendering
                print(
                    f"{name:7} {'indexed' if indexes else 'bare':8} render {rendering / options.events * 1e6:5.2f} us  "
                    f"send {sent / options.events * 1e6:5.2f} us  server {serving / options.events * 1e6:5.2f} us  "
                    f"{sum(map(len, bodies)) / options.events:6.1f} bytes an event on the wire",
                    flush=True,
                )
                connection.close()


if __name__ == "__main__":
    main()
