"""Measures Mailwake beside its limits: `python -m bench --help`. Exits 1 if a target is missed."""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import NoReturn

from bench.behaviour import measure_behaviour
from bench.console import measure_console
from bench.database import create_schema, describe_settings, read_version, run_postgres
from bench.export import measure_export
from bench.figures import Figure, draw_table
from bench.filters import measure_filters
from bench.loading import load_alone, measure_load
from bench.metrics import MONTHS as YEAR_MONTHS
from bench.metrics import measure_metrics, measure_year, summarise
from bench.pages import measure_pages
from bench.parsing import measure_parsing
from bench.progress import count_up, say
from bench.queries import measure_queries
from bench.recipient_view import measure_recipient_view
from bench.sizes import measure_size, vacuum
from bench.stack import measure_stack
from bench.start_up import measure_listener
from bench.stored import BATCH_SIZE, MONTHS, write_bodies
from bench.traffic import START
from bench.usage import measure_usage
from bench.vocabulary import BENCHMARK_VOCABULARY

OF_DATABASE = ("load", "size", "query", "filters", "pages", "console", "metrics", "export", "recipients")
PARTS = (*OF_DATABASE, "parsing", "behaviour", "usage", "listener", "stack")


def read_parts(text: str) -> list[str]:
    """The parts that `--only` names. Raises the error that argparse shows."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    unknown = [part for part in parts if part not in PARTS]
    if unknown or not parts:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown) or 'nothing'}: parts are {', '.join(PARTS)}")
    return parts


def read_events(text: str) -> int:
    """A number of events, `1_000_000` and `1,000,000` too."""
    try:
        events = int(text.replace(",", ""))
    except ValueError:
        events = 0
    if events < 10 * BATCH_SIZE:
        raise argparse.ArgumentTypeError(f"{text}: a number from {10 * BATCH_SIZE} on")
    return events


def find_cpu() -> str:
    """The processor, as far as the system tells."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} seen"


def measure_database(parts: list[str], events: int, seed: int) -> tuple[list[Figure], list[str]]:
    """The parts that need a loaded database: what they found, and what they ran on."""
    with tempfile.TemporaryDirectory(prefix="mailwake-bench-") as folder, run_postgres(Path(folder)) as server:
        bodies = write_bodies(Path(folder, "bodies"), events, seed, count_up("generating events", events, BATCH_SIZE))
        data = [
            f"{events:,} events of {bodies.size / events:,.0f} bytes of JSON, {BATCH_SIZE} a body",
            f"seed {seed}, vocabulary {BENCHMARK_VOCABULARY}",
            f"Postgres {read_version(server)}: {describe_settings()}",
        ]
        create_schema(server, START, MONTHS)
        figures = (
            measure_load(server, bodies, events, Path(folder))
            if "load" in parts
            else load_alone(server, bodies, events)
        )
        if {"size", "metrics"} & set(parts):
            figures += summarise(server, events)
        if "size" in parts:
            figures += measure_size(server, events)
        if "size" not in parts:
            vacuum(server)
        if "query" in parts:
            figures += measure_queries(server, seed)
        if "filters" in parts:
            figures += measure_filters(server)
        if "pages" in parts:
            figures += measure_pages(server)
        if "console" in parts:
            figures += measure_console(server, seed)
        if "metrics" in parts:
            figures += measure_metrics(server)
        if "export" in parts:
            figures += measure_export(server, events)
        if "recipients" in parts:  # last: it makes partitions
            figures += measure_recipient_view(server, seed)
    return figures, data


def main() -> int:
    """Measure what is asked for, draw the table; 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--events", type=read_events, default=1_000_000, help="to load (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the generated traffic (%(default)s)")
    parser.add_argument("--only", type=read_parts, default=list(PARTS), help=f"some of {','.join(PARTS)}")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _end)
    figures: list[Figure] = []
    data: list[str] = []
    # The loader and its server need a processor each, raw COPY hardly more than one: other work weighs on the ratio.
    busy = os.getloadavg()[0]
    if set(OF_DATABASE) & set(options.only):
        figures, data = measure_database(options.only, options.events, options.seed)
    if "metrics" in options.only:
        figures += measure_year(options.events, options.seed)
        data.append(
            f"metrics over a year: {options.events:,} other events, spread over it, in {YEAR_MONTHS} partitions"
        )
    if "parsing" in options.only:
        figures += measure_parsing()
    if "behaviour" in options.only:
        figures += measure_behaviour(options.events)
    if "usage" in options.only:
        figures += measure_usage(options.events)
    if "listener" in options.only:
        figures += measure_listener(options.seed)
    if "stack" in options.only:
        figures += measure_stack(options.seed)
    data.append(f"Python {platform.python_version()}, {find_cpu()}, load average {busy:.1f} at the start")
    print("\n".join(("", *data, "", draw_table(figures))), flush=True)
    missed = [figure.name.strip() for figure in figures if figure.verdict == "FALLS SHORT"]
    if missed:
        say(f"falls short: {', '.join(missed)}")
    return 1 if missed else 0


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    """Leaves through every `finally`, so that nothing stays behind."""
    sys.exit(128 + number)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
