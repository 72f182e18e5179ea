"""Measures cohorts: `python -m bench.cohorts --help`. Exits 1 if a target is missed.

Fifty cohorts (cohorts.yaml) are switched on over generated users and events; then some users do something, anybody as
likely as another, and a tick brings the memberships up to date. Beside it, in the same run, the same SQL judges
everybody, which a tick would have to do if it did not know whom to look at; it writes no memberships, and its members
are held against those that ticks made.
Then the history is made twice as long and the same users do something again. DuckDB recomputes the same cohorts over
the same events, and must find the same members.
"""

from __future__ import annotations

import argparse
import platform
import signal
import sys
import time
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

import psycopg2
import yaml

from bench.__main__ import find_cpu
from bench.cohorts_data import NOW, add_history, change, choose, count_companies, prepare
from bench.cohorts_duckdb import Recomputed, recompute
from bench.cohorts_tick import OPTIONS, Run, add_up, read_server_seconds, run_tick
from bench.database import DATABASE, create_schema, describe_settings, read_version, run_postgres
from bench.figures import Figure, Target, draw_table
from bench.progress import say
from bench.sizes import vacuum
from cohort_evaluator import statements
from cohort_evaluator.conditions import COMPANY
from cohort_evaluator.definitions import read_cohort
from cohort_evaluator.judging import judge
from cohort_evaluator.sources import Sources
from cohort_evaluator.store import save_cohort
from local.postgres import Postgres

DEFINITIONS: Final = Path(__file__).with_name("cohorts.yaml")
EVALUATOR: Final = "mailwake_evaluator"
ROUNDS: Final = 3  # ticks after changes of the same users; the median counts
MINUTE: Final = timedelta(minutes=1)
REST: Final = timedelta(minutes=15)  # longer than the short windows of cohorts.yaml
AS_FAST: Final = Target(least=50)
LARGE: Final = 1_000_000  # users; of less a tick's own work is too large a part
LONGER: Final = Target(most=1.2)
MEMORY: Final = Target(most=512)
STATEMENTS: Final = 8  # the slowest of a tick, which are told
SIZES: Final = """
SELECT name, count(*), sum(subject_id) FROM memberships JOIN cohorts USING (cohort_id) WHERE exited_at IS NULL
GROUP BY 1
"""


class Everybody(NamedTuple):
    """What judging everybody took."""

    seconds: float
    server_seconds: float
    sizes: dict[str, tuple[int, int]]  # of each cohort how many are in, and the sum of their ids


def main() -> int:
    """Measures, and draws the table; 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.cohorts", description=__doc__)
    parser.add_argument("--users", type=int, default=50_000, help="(%(default)s)")
    parser.add_argument("--events", type=int, default=1_000_000, help="over 100 days, then as many again (%(default)s)")
    parser.add_argument("--cohorts", type=int, default=50, help="the first of cohorts.yaml (%(default)s)")
    parser.add_argument("--changed", type=int, help="users to whom something happens (one in 100)")
    options = parser.parse_args()
    options.changed = options.changed or options.users // 100
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    with run_postgres() as server:
        figures = measure_cohorts(server, options.users, options.events, options.cohorts, options.changed)
        companies = count_companies(options.users)
        data = [
            f"{options.users:,} users, {companies:,} companies, {options.events:,} events in 100 days",
            f"Postgres {read_version(server)}: {describe_settings()}, {OPTIONS}",
            f"Python {platform.python_version()}, {find_cpu()}",
        ]
    print("\n".join(("", *data, "", draw_table(figures))), flush=True)
    missed = [figure.name.strip() for figure in figures if figure.verdict == "FALLS SHORT"]
    if missed:
        say(f"falls short: {', '.join(missed)}")
    return 1 if missed else 0


def measure_cohorts(server: Postgres, users: int, events: int, cohorts: int, changed: int) -> list[Figure]:
    """All of it."""
    definitions: list[dict[str, Any]] = yaml.safe_load(DEFINITIONS.read_text())[:cohorts]
    create_schema(server, NOW - timedelta(days=210), 8)
    say(f"making {users:,} users and {events:,} events")
    prepare(server, users)
    add_history(server, users, events, is_older=False)
    vacuum(server)
    ticks = _Ticks(server, users, definitions)
    switched_on = ticks.switch_on()
    vacuum(server)
    count = choose(server, changed, by_activity=False)
    short = ticks.repeat(f"{count:,} users changed")
    everybody = judge_everybody(ticks.dsn, definitions, ticks.instant)
    _compare("ticks", ticks.read_sizes(), everybody.sizes)
    beside = recompute(server, definitions, ticks.instant)
    _compare("DuckDB", beside.sizes, everybody.sizes)
    ticks.rest()
    active = choose(server, changed, by_activity=True)
    busy = ticks.repeat(f"{active:,} busy users changed")
    say(f"making {events:,} older events")
    add_history(server, users, events, is_older=True)
    vacuum(server)
    ticks.rest()
    choose(server, changed, by_activity=False)
    ticks.repeat("the same users as at first, who turn out to have done more", 1)
    long = ticks.repeat("the same users, twice the history")
    return [
        *_show_ticks(users, count, switched_on, short, everybody, beside),
        Figure(
            name=f"  {active:,} users drawn by what they do",
            measured=f"{_find_seconds(busy):.2f} s",
            compared=f"drawn evenly {_find_seconds(short):.2f} s",
            ratio=_find_seconds(busy) / _find_seconds(short),
        ),
        Figure(
            name="tick with twice the history",
            measured=f"{_find_seconds(long):.2f} s",
            compared=f"without {_find_seconds(short):.2f} s",
            ratio=_find_seconds(long) / _find_seconds(short),
            target=LONGER,
        ),
        _show_memory((switched_on, *short, *busy, *long)),
    ]


class _Ticks:
    """Ticks of one database, a minute apart."""

    def __init__(self, server: Postgres, users: int, definitions: list[dict[str, Any]]) -> None:
        self.dsn = server.dsn(EVALUATOR, DATABASE)
        self.instant = NOW
        self._server = server
        self._users = users
        with closing(psycopg2.connect(self.dsn, options="-c timezone=UTC")) as connection:
            for definition in definitions:
                save_cohort(connection, definition, NOW, "bench")
        self._names = [definition["name"] for definition in definitions]

    def switch_on(self) -> Run:
        """The first ones, until all cohorts are switched on: each tick takes as many as it has time for."""
        run = run_tick(self.dsn, self.instant)
        self._tell("cohorts switched on", run)
        while self._is_one_waiting():
            more = run_tick(self.dsn, self.instant)
            self._tell("more cohorts switched on", more)
            run = add_up(run, more)
        slow = sorted(run.by_cohort.items(), key=lambda each: -each[1])[:5]
        names = ", ".join(f"{self._names[cohort - 1] if cohort else 'shared'} {taken:.1f}" for cohort, taken in slow)
        say(f"  slowest: {names}")
        return run

    def repeat(self, what: str, rounds: int = ROUNDS) -> list[Run]:
        """Lets something happen to those who are chosen, and ticks; some times."""
        runs = []
        for _ in range(rounds):
            change(self._server, self._users, self.instant, int((self.instant - NOW) / MINUTE))
            self.instant += MINUTE
            runs.append(run_tick(self.dsn, self.instant))
            self._tell(what, runs[-1])
        return runs

    def rest(self) -> None:
        """Lets short windows run out, so that what was done until now makes nothing due in the next ticks."""
        self.instant += REST
        run_tick(self.dsn, self.instant)

    def _is_one_waiting(self) -> bool:
        with closing(psycopg2.connect(self.dsn)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT EXISTS (SELECT FROM cohorts WHERE version IS DISTINCT FROM wanted)")
            return bool(cursor.fetchall()[0][0])

    def read_sizes(self) -> dict[str, tuple[int, int]]:
        """Of each cohort how many are in, and the sum of their ids."""
        with closing(psycopg2.connect(self.dsn)) as connection, connection.cursor() as cursor:
            cursor.execute(SIZES)
            return {name: (int(size), int(total)) for name, size, total in cursor.fetchall()}

    def _tell(self, what: str, run: Run) -> None:
        if run.failed:
            raise RuntimeError(f"{run.failed} cohorts failed")
        took = f"{run.seconds:.2f} s, {run.server_seconds:.2f} s of the server's processor"
        say(f"  {what}: {took}, {run.judged:,} judged, {run.transitions:,} transitions")
        for name, (times, taken) in sorted(run.statements.items(), key=lambda each: -each[1][1])[:STATEMENTS]:
            say(f"    {taken:7.2f} s in {times:4} x {name}")


def judge_everybody(dsn: str, definitions: list[dict[str, Any]], instant: datetime) -> Everybody:
    """Lets the evaluator's SQL judge everybody at an instant, cohort by cohort; nothing but verdicts is written."""
    say("judging everybody")
    sizes, seconds = {}, 0.0
    server_seconds = 0.0
    with closing(psycopg2.connect(dsn, options=OPTIONS)) as connection, connection.cursor() as cursor:
        cursor.execute("SET LOCAL jit = off")
        cursor.execute("SELECT name, cohort_id FROM cohorts")
        ids = dict(cursor.fetchall())
        cursor.execute(statements.CREATE_JUDGING)
        for definition in definitions:
            cohort = read_cohort(definition)
            at, server_at = time.perf_counter(), read_server_seconds(connection)
            cursor.execute(statements.FIND_EVERYBODY, {"instant": instant, "is_company": cohort.subject == COMPANY})
            judge(cursor, cohort.members, Sources(cohort.subject), instant, ids)
            seconds += time.perf_counter() - at
            server_seconds += read_server_seconds(connection) - server_at
            cursor.execute("SELECT count(*), coalesce(sum(subject_id), 0) FROM verdicts WHERE holds")
            ((size, total),) = cursor.fetchall()
            sizes[cohort.name] = (int(size), int(total))
            cursor.execute("TRUNCATE candidates, verdicts")
    members = f"{min(sizes.values())[0]:,} to {max(sizes.values())[0]:,} members"
    say(f"  {seconds:.1f} s, {server_seconds:.1f} s of the server's processor; {members}")
    return Everybody(seconds, server_seconds, sizes)


def _compare(who: str, found: dict[str, tuple[int, int]], expected: dict[str, tuple[int, int]]) -> None:
    """Raises `RuntimeError` where cohorts have other members than the evaluator's SQL finds among everybody."""
    different = {
        name: (found.get(name, (0, 0)), each) for name, each in expected.items() if found.get(name, (0, 0)) != each
    }
    if different:
        raise RuntimeError(f"other members by {who} (how many, and the sum of their ids): {different}")


def _find_seconds(runs: list[Run]) -> float:
    return median(run.seconds for run in runs)


def _show_ticks(
    users: int, count: int, switched_on: Run, short: list[Run], everybody: Everybody, beside: Recomputed
) -> list[Figure]:
    middle = sorted(short)[len(short) // 2]
    return [
        Figure(
            name=f"tick after {count:,} changed users",
            measured=f"{middle.seconds:.2f} s",
            compared=f"the same SQL over everybody {everybody.seconds:.1f} s",
            ratio=everybody.seconds / middle.seconds,
            target=AS_FAST if users >= LARGE else None,
        ),
        Figure(
            name="  the server's processor",
            measured=f"{middle.server_seconds:.2f} s",
            compared=f"over everybody {everybody.server_seconds:.1f} s",
            ratio=everybody.server_seconds / middle.server_seconds,
        ),
        Figure(name="  judged, over all cohorts", measured=f"{middle.judged:,}"),
        Figure(name="  transitions", measured=f"{middle.transitions:,}"),
        Figure(
            name="  DuckDB over everybody",
            measured=f"{beside.seconds:.2f} s",
            compared=f"tick {middle.seconds:.2f} s",
            ratio=beside.seconds / middle.seconds,
        ),
        Figure(name="  DuckDB's load of the events", measured=f"{beside.load_seconds:.1f} s"),
        Figure(
            name=f"{switched_on.cohorts} cohorts switched on",
            measured=f"{switched_on.seconds:.1f} s",
            compared=f"the same SQL over everybody {everybody.seconds:.1f} s",
            ratio=switched_on.seconds / everybody.seconds,
        ),
    ]


def _show_memory(runs: tuple[Run, ...]) -> Figure:
    peak = max(run.peak_memory for run in runs) / 2**20
    return Figure(name="memory of the function", measured=f"{peak:.0f} MB", value=peak, target=MEMORY)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
