"""One tick: brings the memberships of all cohorts up to an instant, in one transaction and one state of the database.

docs/decisions/0009-cohorts.md tells what is true when. Whoever was touched by a load since the last tick, or whose
deadline is due, is judged from the earliest instant on at which something may have changed (judging.py).
"""

import logging
import time
from datetime import datetime, timedelta
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final, NamedTuple

import psycopg2
import psycopg2.errors
from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor
from pypika import Table

from cohort_evaluator import statements
from cohort_evaluator.compile import compile_condition
from cohort_evaluator.conditions import ACTIVITIES, COMPANY, MAIL, USER, Cohort, find_references
from cohort_evaluator.definitions import read_cohort
from cohort_evaluator.judging import judge
from cohort_evaluator.mailing import NO_RULES, Rules
from cohort_evaluator.news import FIND_NEWS, find_concerned
from cohort_evaluator.notifying import notify
from cohort_evaluator.reading import DefinitionError
from cohort_evaluator.registering import register_recipients, register_touched
from cohort_evaluator.sources import Sources
from cohort_evaluator.terms import Binder
from common.json_text import decode_json

PATIENCE: Final = timedelta(minutes=2)  # for one statement of one cohort
SWITCHING: Final = timedelta(minutes=5)  # of a tick, after which no more new versions are switched on
GATHERED: Final = timedelta(days=100)  # how far back the candidates' events are gathered once for all cohorts

log = logging.getLogger(__name__)


class Ticked(NamedTuple):
    """What a tick did."""

    is_ours: bool = True  # False where another one was at work
    cohorts: int = 0
    failed: int = 0  # cohorts and notifications
    judged: int = 0  # subjects, over all cohorts
    transitions: int = 0
    notifications: int = 0  # written to the outbox


class _Saved(NamedTuple):
    """A cohort as the database has it."""

    cohort_id: int
    name: str
    version: int | None
    wanted: int
    is_deleted: bool
    cohort: Cohort | None  # None where the definition can't be read
    error: str = ""


class _Rare(NamedTuple):
    """What most ticks have nothing of."""

    superseded: bool = False  # who became part of another person
    linked: bool = False
    later: bool = False  # what is dated after the tick
    missed: bool = False  # by a cohort that failed, or left for this tick


class _CohortError(Exception):
    """Why a cohort can't be evaluated."""


def evaluate_cohorts(connection: Connection, instant: datetime, rules: Rules = NO_RULES) -> Ticked:
    """Runs a tick at an instant. Raises `psycopg2.Error` with nothing changed where more than a cohort fails."""
    connection.autocommit = False
    register_touched(connection)
    if _needs_recipients(connection):
        register_recipients(connection)
    connection.set_session(isolation_level=ISOLATION_LEVEL_REPEATABLE_READ)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statements.ONLY_ONE)
            if not cursor.fetchall()[0][0]:
                return Ticked(is_ours=False)
            return _Tick(cursor, instant, rules).run()
    finally:
        if not connection.closed:
            connection.set_session(isolation_level="DEFAULT")


def _needs_recipients(connection: Connection) -> bool:
    """Whether a cohort of users is switched on while no other one is in force."""
    with connection, connection.cursor() as cursor:
        cursor.execute(statements.COHORTS)
        saved = [_read(row) for row in cursor.fetchall()]
    users = [each for each in saved if each.cohort and each.cohort.subject == USER]
    return any(each.version is None for each in users) and all(each.version is None for each in users)


def _read(row: tuple[Any, ...]) -> _Saved:
    cohort_id, name, version, wanted, is_deleted, definition = row
    try:
        return _Saved(cohort_id, name, version, wanted, is_deleted, read_cohort(decode_json(definition.encode())))
    except DefinitionError as failure:
        return _Saved(cohort_id, name, version, wanted, is_deleted, None, str(failure))


class _Tick:
    def __init__(self, cursor: Cursor, instant: datetime, rules: Rules) -> None:
        self._cursor = cursor
        self._instant = instant
        self._rules = rules  # of mails to members
        self._ids: dict[str, int] = {}
        self._inner: dict[int, list[int]] = {}  # of each cohort those that it asks for
        self._gathered_since = instant - GATHERED
        self._rare = _Rare()
        self._judged = self._turned = 0

    def run(self) -> Ticked:
        # Where a few are joined with all events a merge reads all of these.
        self._cursor.execute("SET LOCAL jit = off; SET LOCAL enable_mergejoin = off")
        self._cursor.execute(statements.TAKE_CHANGES)
        self._cursor.execute(statements.FIND_FIRST)
        self._cursor.execute("ANALYZE touched")
        self._cursor.execute(statements.FIND_SUPERSEDED)
        self._cursor.execute(statements.FIND_RARE, {"instant": self._instant})
        self._rare = _Rare(*self._cursor.fetchall()[0])
        self._cursor.execute(statements.CREATE_JUDGING)
        self._cursor.execute(statements.CREATE_TURNS)
        self._cursor.execute(statements.COHORTS)
        saved = [_read(row) for row in self._cursor.fetchall()]
        live = [each for each in saved if not each.is_deleted]
        self._ids = {each.name: each.cohort_id for each in live}
        self._gather(live)
        failed = switched = 0
        began = time.monotonic()
        for each in _sort(saved, self._ids):
            is_new = each.version != each.wanted and not each.is_deleted
            if is_new and switched and time.monotonic() - began > SWITCHING.total_seconds():
                self._miss(each)  # the next tick's: a tick must end before its function does
                continue
            switched += is_new
            failed += not self._evaluate_safely(each)
        told = notify(self._cursor, self._instant, self._rules)
        return Ticked(
            cohorts=len(saved),
            failed=failed + told.failed,
            judged=self._judged,
            transitions=self._turned,
            notifications=told.written,
        )

    def _gather(self, saved: list[_Saved]) -> None:
        """Reads the events of all candidates once, as far back as most conditions reach."""
        for subject in (USER, COMPANY):
            cohorts = [each.cohort_id for each in saved if each.cohort and each.cohort.subject == subject]
            if not cohorts:
                continue
            values = {"is_company": subject == COMPANY, "instant": self._instant, "cohorts": cohorts}
            self._cursor.execute(statements.FIND_ALL.format(name=subject), values)
            self._cursor.execute(f"ANALYZE subjects_{subject}")
            self._cursor.execute(statements.FIND_FLOORS.format(name=subject))
            sources = Sources(subject)
            for kind, name, key in ((MAIL, "mails", "kind_key"), (ACTIVITIES[0], "activities", "operation_id")):
                binder = Binder()
                query = sources.read_tables(kind, self._gathered_since, binder, Table(f"subjects_{subject}"))
                statement = statements.GATHER.format(name=f"{name}_{subject}", query=query, kind=key)
                self._cursor.execute(statement, binder.values)
            self._cursor.execute(FIND_NEWS.format(name=subject), {**values, "gathered_since": self._gathered_since})

    def _evaluate_safely(self, saved: _Saved) -> bool:
        """Evaluates one cohort; where that fails, remembers whom it has missed, and why. Whether it went well."""
        self._cursor.execute("SAVEPOINT cohort")
        try:
            self._cursor.execute("SET LOCAL statement_timeout = %s", (int(PATIENCE.total_seconds() * 1000),))
            self._evaluate(saved)
        except (_CohortError, psycopg2.OperationalError, psycopg2.DataError, psycopg2.ProgrammingError) as failure:
            if self._cursor.connection.closed or getattr(failure, "pgcode", None) == "40001":
                raise
            self._cursor.execute("ROLLBACK TO SAVEPOINT cohort")
            self._fail(saved, failure)
            return False
        self._cursor.execute("RELEASE SAVEPOINT cohort")
        self._cursor.execute("SET LOCAL statement_timeout = 0")
        return True

    def _fail(self, saved: _Saved, failure: Exception) -> None:
        reason = _explain(failure)
        log.error("a cohort failed", extra={"cohort": saved.name, "reason": type(failure).__name__})
        values = {**self._name(saved), "error": reason}
        self._cursor.execute(statements.FAIL, values)
        self._miss(saved)

    def _miss(self, saved: _Saved) -> None:
        """Remembers whom a cohort should have looked at; nobody where it has never looked at anybody."""
        if saved.version is not None:
            self._cursor.execute(statements.MISS, self._name(saved))

    def _name(self, saved: _Saved) -> dict[str, Any]:
        """The values of statements."""
        return {
            "cohort": saved.cohort_id,
            "version": saved.wanted,
            "instant": self._instant,
            "inner": self._inner.get(saved.cohort_id, []),
            "is_company": bool(saved.cohort and saved.cohort.subject == COMPANY),
        }

    def _evaluate(self, saved: _Saved) -> None:
        values = self._name(saved)
        if saved.is_deleted:
            self._end(statements.END_ALL, values, '{"deleted": true}')
            self._cursor.execute(statements.FORGET_COHORT, values)
            self._cursor.execute(statements.SUCCEED, values)
            return
        if saved.cohort is None or saved.error:
            raise _CohortError(saved.error)
        references = find_references(saved.cohort.members)
        self._inner[saved.cohort_id] = [self._ids[name] for name in references if name in self._ids]
        values = self._name(saved)
        if self._rare.superseded:
            self._end(statements.END_SUPERSEDED, values, '{"became_part_of_another": true}')
            self._cursor.execute(statements.FORGET_SUPERSEDED, values)
        is_new = saved.version != saved.wanted
        if is_new:
            self._cursor.execute(statements.SWITCH_ON, values)
            self._cursor.execute(statements.FORGET_COHORT, values)
            self._cursor.execute(statements.FIND_EVERYBODY, values)
        else:
            self._cursor.execute(statements.SWITCHED_ON, values)
            ((values["floor"], values["known_to"]),) = self._cursor.fetchall()
            binder = Binder()
            concerned = find_concerned(saved.cohort.members, saved.cohort.subject, saved.cohort_id, binder)
            statement = statements.FIND_CANDIDATES.format(name=saved.cohort.subject, concerned=concerned)
            self._cursor.execute(statement, {**values, **binder.values})
        has_candidates = self._cursor.rowcount > 0
        # In this order: what is kept may be of somebody who has missed something, too.
        if self._rare.missed:
            self._cursor.execute(statements.FORGET_MISSED, values)
        if self._rare.later:
            self._cursor.execute(statements.KEEP_FOR_LATER, values)
        if has_candidates:
            self._judge(saved.cohort, values, is_new=is_new)
        self._cursor.execute(statements.SUCCEED, values)

    def _judge(self, cohort: Cohort, values: dict[str, Any], *, is_new: bool) -> None:
        """Judges the candidates, and writes what has turned."""
        is_gathered = not is_new and not self._has_others(cohort.subject, values)
        sources = Sources(cohort.subject, is_gathered=is_gathered, gathered_since=self._gathered_since)
        self._judged += judge(self._cursor, cohort.members, sources, self._instant, self._ids)
        if self._rare.linked and not is_new:
            self._cursor.execute(statements.HIDE_UNKNOWN, values)
        self._cursor.execute(statements.FIND_TURNS, values)
        has_turned = self._cursor.rowcount > 0
        self._cursor.execute(statements.SAVE_DEADLINES, values)
        if has_turned:
            self._save_turns(cohort, sources, values, is_new=is_new)
        self._cursor.execute(statements.CLEAR)

    def _has_others(self, subject: str, values: dict[str, Any]) -> bool:
        """Whether another cohort of this tick brought candidates whose events were not gathered."""
        if not values["inner"]:
            return False
        self._cursor.execute(statements.HAS_OTHERS.format(name=subject))
        return bool(self._cursor.fetchall()[0][0])

    def _save_turns(self, cohort: Cohort, sources: Sources, values: dict[str, Any], *, is_new: bool) -> None:
        self._cursor.execute(statements.END_MEMBERSHIPS, values)
        self._cursor.execute(statements.BEGIN_MEMBERSHIPS, values)
        self._cursor.execute(statements.TELL, values)
        nth = 1
        while True:
            self._cursor.execute(statements.FIND_TURNED, {**values, "nth": nth})
            if not self._cursor.rowcount:
                return
            self._cursor.execute(statements.EARLIEST)
            ((earliest, count),) = self._cursor.fetchall()
            cause, causes, found = "jsonb_build_object('switched_on', %(version)s)", "", {}
            if not is_new:
                compiled = compile_condition(cohort.members, sources, earliest, self._ids)
                cause, found = "found.cause", compiled.values
                causes = f"JOIN ({compiled.build_causes()}) AS found ON found.subject_id = t.subject_id"
            statement = statements.SAVE_TRANSITIONS.format(cause=cause, causes=causes)
            self._cursor.execute(statement, {**values, **found, "nth": nth})
            self._turned += count
            nth += 1

    def _end(self, statement: str, values: dict[str, Any], cause: str) -> None:
        """Lets those leave whom a statement names."""
        self._cursor.execute(statement, values)
        self._turned += self._cursor.rowcount
        self._cursor.execute(statements.END_MEMBERSHIPS, values)
        self._cursor.execute(statements.TELL, values)
        sql = statements.SAVE_TRANSITIONS.format(cause="%(cause)s::jsonb", causes="")
        self._cursor.execute(sql, {**values, "nth": 1, "cause": cause})
        self._cursor.execute(statements.CLEAR)


def _explain(failure: Exception) -> str:
    """Why a cohort failed, without the database's own words: they may hold what somebody did."""
    if isinstance(failure, psycopg2.errors.QueryCanceled):
        return f"it took longer than {PATIENCE.total_seconds():.0f} seconds"
    if isinstance(failure, psycopg2.Error):
        return f"the database failed: {type(failure).__name__} ({failure.pgcode or 'no code'})"
    return str(failure)


def _sort(saved: list[_Saved], ids: dict[str, int]) -> list[_Saved]:
    """Cohorts behind those that they ask for. Those in a circle come last, and fail."""
    by_id = {each.cohort_id: each for each in saved}
    graph = {
        each.cohort_id: {
            ids[name] for name in (find_references(each.cohort.members) if each.cohort else ()) if name in ids
        }
        for each in saved
    }
    circles: list[_Saved] = []
    while True:
        try:
            order = list(TopologicalSorter(graph).static_order())
        except CycleError as failure:
            circle = failure.args[1]
            names = " → ".join(by_id[one].name for one in circle)
            for one in set(circle):
                graph.pop(one)
                reason = f"cohorts ask for each other: {names}"
                circles.append(by_id[one]._replace(error=reason))
            for needed in graph.values():
                needed.difference_update(circle)
        else:
            return [by_id[one] for one in order] + circles
