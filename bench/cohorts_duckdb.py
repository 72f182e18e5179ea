"""The cohorts recomputed by DuckDB: a translation of its own, which knows one instant and no deadlines.

It gets the events of everybody as they are, each with the subject that it is of, so that it need not find out who is
whom; traits as they are at the instant. It writes a row for each member.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import psycopg2

from bench.database import DATABASE
from bench.progress import say
from cohort_evaluator.conditions import (
    COMPANY,
    MAIL,
    All,
    AnyOf,
    Calendar,
    Condition,
    Did,
    DidFirst,
    DidInPeriods,
    DidThen,
    Field,
    InCohort,
    LastHas,
    Not,
    Observed,
    Pattern,
    Rolling,
    Share,
    Test,
    Trait,
    Window,
)
from cohort_evaluator.definitions import read_cohort
from local.postgres import SUPERUSER, Postgres
from oracle.windows import find_limits

MEMORY: Final = "6GB"
EXPORTS: Final = {
    "activities": """
SELECT a.occurred_at, a.activity_key AS key, i.person_id AS user_id, coalesce(a.company_id, p.company_id),
       o.activity_type AS kind, o.name, o.route, o.status, g.user_agent, a.duration,
       coalesce(a.weight, 1) AS weight, a.properties
FROM activities a JOIN operations o USING (operation_id) LEFT JOIN agents g USING (agent_id)
LEFT JOIN identities i USING (identity_id) LEFT JOIN company_people p USING (person_id)""",
    "mails": """
SELECT e.occurred_at, e.event_key AS key, e.person_id AS user_id, p.company_id, k.event_type AS type,
       k.bounce_kind, k.machine_open, m.campaign, r.domain AS recipient_domain
FROM (SELECT e.*, i.person_id FROM events e JOIN identities i ON i.value = e.recipient AND i.identity_type = 'address'
      WHERE e.user_key IS NULL
      UNION ALL SELECT e.*, i.person_id FROM events e JOIN identities i ON i.content_key = e.user_key) AS e
JOIN kinds k USING (kind_key) JOIN mailings m USING (mailing_key) JOIN receivers r USING (receiver_key)
LEFT JOIN company_people p USING (person_id)""",
    "subjects": """
SELECT identity_id AS id, identity_type = 'company' AS is_company, find_share('held-back', content_key)::float8 AS share
FROM identities WHERE identity_id = person_id""",
    "traits": """
SELECT DISTINCT ON (identity_id, path) identity_id AS id, array_to_string(path, '.') AS path, value
FROM trait_writes WHERE at <= '{instant}' ORDER BY identity_id, path, at DESC""",
}
COLUMNS: Final = {
    "activities": "occurred_at TIMESTAMPTZ, key BIGINT, user_id INT, company_id INT, kind VARCHAR, name VARCHAR,"
    " route VARCHAR, status INT, user_agent VARCHAR, duration INT, weight INT, properties JSON",
    "mails": "occurred_at TIMESTAMPTZ, key BIGINT, user_id INT, company_id INT, type VARCHAR, bounce_kind VARCHAR,"
    " machine_open BOOLEAN, campaign VARCHAR, recipient_domain VARCHAR",
    "subjects": "id INT, is_company BOOLEAN, share DOUBLE",
    "traits": "id INT, path VARCHAR, value JSON",
}
_NUMBERS: Final = {"at_least": ">=", "more_than": ">", "at_most": "<=", "less_than": "<"}


class Recomputed(NamedTuple):
    """What DuckDB took, and found."""

    seconds: float
    load_seconds: float  # from CSV
    sizes: dict[str, tuple[int, int]]  # of each cohort how many are in, and the sum of their ids


def recompute(server: Postgres, definitions: list[dict[str, Any]], instant: datetime) -> Recomputed:
    """Recomputes all cohorts at an instant."""
    import duckdb

    say("DuckDB")
    with (
        tempfile.TemporaryDirectory(prefix="mailwake-bench-") as folder,
        duckdb.connect(str(Path(folder, "db"))) as beside,
    ):
        beside.execute(f"SET memory_limit = '{MEMORY}'; SET TimeZone = 'UTC'")
        load_seconds = 0.0
        for name, query in EXPORTS.items():
            file = Path(folder, f"{name}.csv")
            _export(server, query.format(instant=instant), file)
            at = time.perf_counter()
            beside.execute(f"CREATE TABLE {name} ({COLUMNS[name]})")
            beside.execute(f"COPY {name} FROM '{file}' (HEADER false, NULLSTR '\\N')")
            load_seconds += time.perf_counter() - at
            file.unlink()
        beside.execute("CREATE TABLE members (cohort VARCHAR, id INT)")
        seconds = 0.0
        for definition in definitions:
            cohort = read_cohort(definition)
            statement = _Translator(cohort.subject, instant).translate(cohort.members)
            at = time.perf_counter()
            beside.execute(f"INSERT INTO members SELECT '{cohort.name}', id FROM ({statement})")
            seconds += time.perf_counter() - at
        found = beside.execute("SELECT cohort, count(*), sum(id) FROM members GROUP BY 1").fetchall()
    say(f"  {seconds:.1f} s, and {load_seconds:.1f} s to load")
    sizes = {str(name): (int(size), int(total)) for name, size, total in found}
    return Recomputed(seconds, load_seconds, {each["name"]: sizes.get(each["name"], (0, 0)) for each in definitions})


def _export(server: Postgres, query: str, file: Path) -> None:
    dsn = server.dsn(SUPERUSER, DATABASE)
    with (
        closing(psycopg2.connect(dsn, options="-c timezone=UTC -c work_mem=512MB")) as connection,
        connection.cursor() as cursor,
        file.open("wb") as target,
    ):
        cursor.copy_expert(f"COPY ({query}) TO STDOUT (FORMAT csv, NULL '\\N')", target)


class _Translator:
    def __init__(self, subject: str, instant: datetime) -> None:
        self._is_company = subject == COMPANY
        self._id = "company_id" if self._is_company else "user_id"
        self._instant = instant
        self._parts: list[str] = []
        self._visits: dict[type, Callable[[Any], str]] = {
            All: lambda each: f"({' AND '.join(map(self._visit, each.conditions))})",
            AnyOf: lambda each: f"({' OR '.join(map(self._visit, each.conditions))})",
            Not: lambda each: f"(NOT {self._visit(each.condition)})",
            Did: self._visit_did,
            DidFirst: self._visit_did_first,
            DidThen: self._visit_did_then,
            DidInPeriods: self._visit_did_in_periods,
            LastHas: self._visit_last_has,
            Observed: self._visit_observed,
            Trait: self._visit_trait,
            InCohort: lambda each: self._join(
                f"SELECT id, true AS found FROM members WHERE cohort = '{each.name}'", "false"
            ),
            Share: lambda each: f"(share < {each.share})",
        }

    def translate(self, condition: Condition) -> str:
        """SQL that gives the ids of those of whom it is true."""
        truth = self._visit(condition)
        return f"SELECT s.id FROM subjects s {' '.join(self._parts)} WHERE is_company = {self._is_company} AND {truth}"

    def _visit(self, condition: Condition) -> str:
        return self._visits[type(condition)](condition)

    def _join(self, query: str, otherwise: str) -> str:
        name = f"p{len(self._parts)}"
        self._parts.append(f"LEFT JOIN ({query}) AS {name} ON {name}.id = s.id")
        return f"coalesce({name}.found, {otherwise})"

    def _read(self, pattern: Pattern, *columns: str, where: str = "true") -> str:
        """The events that match, those after the instant not among them."""
        source = "mails" if pattern.kind == MAIL else "activities"
        if pattern.kind != MAIL:
            where = f"kind = '{pattern.kind}' AND {where}"
        tests = " AND ".join(self._test(_name(field), test) for field, test in pattern.where) or "true"
        return (
            f"SELECT {self._id} AS id, {', '.join(('occurred_at', *columns))} FROM {source} "
            f"WHERE {self._id} IS NOT NULL AND occurred_at <= {_show(self._instant)} AND {where} AND {tests}"
        )

    def _test(self, name: str, test: Test) -> str:
        if test.operator == "exists":
            return f"(({name}) IS {'NOT' if test.value else ''} NULL)"
        if test.operator in _NUMBERS:
            return f"(coalesce(({name})::DOUBLE {_NUMBERS[test.operator]} {test.value}, false))"
        if test.operator == "includes":
            return f"coalesce(json_contains(t.value, '{json.dumps(test.value)}'), false)"
        if test.operator == "contains_ignoring_case":
            return f"coalesce(contains(lower({name}), lower('{test.value}')), false)"
        if test.operator == "starts_with":
            return f"coalesce(starts_with({name}, '{test.value}'), false)"
        values = test.value if isinstance(test.value, list) else [test.value]
        return f"coalesce({name} IN ({', '.join(_literal(each) for each in values)}), false)"

    def _limit(self, window: Window) -> str:
        """Whether an event counts at the instant; it is none of later."""
        if isinstance(window, Rolling):
            end = self._instant - window.ending
            return f"occurred_at > {_show(end - window.length)} AND occurred_at <= {_show(end)}"
        if isinstance(window, Calendar):
            first, last = find_limits(window, self._instant)
            return f"occurred_at >= {_show(first)}" + ("" if last is None else f" AND occurred_at < {_show(last)}")
        since = "true" if window.since is None else f"occurred_at >= {_show(window.since)}"
        return since if window.until is None else f"{since} AND occurred_at < {_show(window.until)}"

    def _visit_did(self, condition: Did) -> str:
        weight = "1" if condition.pattern.kind == MAIL else "weight"
        columns, found = [weight + " AS n"], "sum(n)"
        if condition.distinct is not None:
            columns, found = [_name(condition.distinct) + " AS value"], "count(DISTINCT value)"
        if condition.total is not None:
            columns.append(f"({_name(condition.total)})::DECIMAL(18, 2) AS value")
            found = "sum(value * n)"
        events = self._read(condition.pattern, *columns, where=self._limit(condition.window))
        counted = self._join(f"SELECT id, {found} AS found FROM ({events}) GROUP BY 1", "0")
        return f"({counted} {condition.operator} {condition.number})"

    def _visit_did_first(self, condition: DidFirst) -> str:
        first = f"SELECT id, min(occurred_at) AS occurred_at FROM ({self._read(condition.pattern)}) GROUP BY 1"
        return self._join(f"SELECT id, true AS found FROM ({first}) WHERE {self._limit(condition.window)}", "false")

    def _visit_did_then(self, condition: DidThen) -> str:
        seconds = self._read(condition.second, where=self._limit(condition.window))
        span = f"INTERVAL {int(condition.within.total_seconds())} SECOND"
        pairs = (
            f"SELECT DISTINCT b.id, true AS found FROM ({seconds}) b JOIN ({self._read(condition.first)}) a "
            f"ON a.id = b.id AND a.occurred_at >= b.occurred_at - {span} AND a.occurred_at < b.occurred_at"
        )
        return self._join(pairs, "false")

    def _visit_did_in_periods(self, condition: DidInPeriods) -> str:
        window = condition.window
        shifted = f"(timezone('{window.zone}', occurred_at) - INTERVAL {window.week_start} DAY)"
        events = self._read(
            condition.pattern, f"date_trunc('{window.unit}', {shifted}) AS period", where=self._limit(window)
        )
        counted = self._join(f"SELECT id, count(DISTINCT period) AS found FROM ({events}) GROUP BY 1", "0")
        return f"({counted} >= {condition.at_least})"

    def _visit_last_has(self, condition: LastHas) -> str:
        tests = " AND ".join(self._test(_name(field), test) for field, test in condition.has)
        events = self._read(condition.pattern, "key", f"({tests}) AS value", where=self._limit(condition.window))
        return self._join(f"SELECT id, arg_max(value, (occurred_at, key)) AS found FROM ({events}) GROUP BY 1", "false")

    def _visit_observed(self, condition: Observed) -> str:
        first = f"SELECT {self._id} AS id, min(occurred_at) AS first FROM activities GROUP BY 1"
        if not self._is_company:
            first += " UNION ALL SELECT user_id, min(occurred_at) FROM mails GROUP BY 1"
        assert isinstance(condition.window, Rolling | Calendar)
        if isinstance(condition.window, Rolling):
            begin = self._instant - condition.window.ending - condition.window.length
            past = f"min(first) <= {_show(begin)}"
        else:
            past = f"min(first) < {_show(find_limits(condition.window, self._instant)[0])}"
        return self._join(f"SELECT id, {past} AS found FROM ({first}) GROUP BY 1", "false")

    def _visit_trait(self, condition: Trait) -> str:
        if condition.operator == "within_next":
            at = "(t.value ->> '$')::TIMESTAMPTZ"
            instant = f"{_show(self._instant)}"
            span = f"INTERVAL {int(condition.value.total_seconds())} SECOND"  # type: ignore[union-attr]
            truth = f"({at} - {span} <= {instant} AND {instant} < {at})"
        else:
            truth = self._test("(t.value ->> '$')", Test(condition.operator, condition.value))  # type: ignore[arg-type]
        path = ".".join(condition.path)
        return self._join(f"SELECT t.id, {truth} AS found FROM traits t WHERE path = '{path}'", "false")


def _name(field: Field) -> str:
    return field.name if not field.path else f"(properties ->> '$.{'.'.join(field.path)}')"


def _literal(value: object) -> str:
    return f"'{value}'" if isinstance(value, str) else json.dumps(value)


def _show(instant: datetime) -> str:
    return f"TIMESTAMPTZ '{instant.isoformat()}'"
