"""One tick: brings the memberships of all cohorts up to an instant, in one transaction and one state of the database.

docs/decisions/0009-cohorts.md tells what is true when. Whoever was touched by a load since the last tick, or whose
deadline is due, is judged from the earliest instant on at which something may have changed (judging.py).
"""

import logging
import time
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import psycopg2
import psycopg2.errors
from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from cohort_evaluator import statements, turning
from cohort_evaluator.conditions import COMPANY, USER, Cohort, find_references
from cohort_evaluator.gathering import gather
from cohort_evaluator.judging import judge
from cohort_evaluator.mailing import NO_RULES, Rules
from cohort_evaluator.news import find_concerned
from cohort_evaluator.notifying import notify
from cohort_evaluator.registering import register_recipients, register_touched
from cohort_evaluator.saved import Saved, read_saved, sort_saved
from cohort_evaluator.sources import Sources
from cohort_evaluator.terms import Binder

PATIENCE: Final = timedelta(minutes=2)  # for one statement of one cohort
SWITCHING: Final = timedelta(minutes=5)  # of a tick, after which no more new versions are switched on
SWITCHED: Final = timedelta(minutes=8)  # of a tick, up to which a statement of a new version may take longer
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
        users = [each for each in read_saved(cursor) if each.cohort and each.cohort.subject == USER]
    return bool(users) and all(each.version is None for each in users)


class _Tick:
    def __init__(self, cursor: Cursor, instant: datetime, rules: Rules) -> None:
        self._cursor = cursor
        self._instant = instant
        self._rules = rules  # of mails to members
        self._ids: dict[str, int] = {}
        self._inner: dict[int, list[int]] = {}  # of each cohort those that it asks for
        self._gathered_since = instant - GATHERED
        self._rare = _Rare()
        self._succeeded: list[int] = []
        self._judged = self._turned = 0

    def run(self) -> Ticked:
        # Where a few are joined with all events a merge reads all of these.
        self._cursor.execute("SET LOCAL jit = off; SET LOCAL enable_mergejoin = off")
        self._cursor.execute(statements.TAKE_CHANGES)
        self._cursor.execute(statements.TOUCH_COMPANIES)
        self._cursor.execute(statements.FIND_FIRST)
        saved = read_saved(self._cursor)
        known_to = min((each.known_to for each in saved if each.known_to is not None), default=0)
        self._cursor.execute(statements.FIND_FIRST_OF_COMPANIES, {"known_to": known_to})
        self._cursor.execute("ANALYZE touched")
        self._cursor.execute(statements.FIND_SUPERSEDED)
        self._cursor.execute(statements.FIND_RARE, {"instant": self._instant})
        self._rare = _Rare(*self._cursor.fetchall()[0])
        self._cursor.execute(statements.CREATE_JUDGING)
        self._cursor.execute(statements.CREATE_TURNS)
        live = [each for each in saved if not each.is_deleted]
        self._ids = {each.name: each.cohort_id for each in live}
        gather(self._cursor, live, self._instant, self._gathered_since)
        failed = switched = 0
        began = time.monotonic()
        for each in sort_saved(saved, self._ids):
            is_new = each.version != each.wanted and not each.is_deleted
            if is_new and switched and time.monotonic() - began > SWITCHING.total_seconds():
                self._miss(each)  # the next tick's: a tick must end before its function does
                continue
            switched += is_new
            left = SWITCHED - timedelta(seconds=time.monotonic() - began)
            failed += not self._evaluate_safely(each, max(PATIENCE, left) if is_new else PATIENCE)
        self._cursor.execute(statements.SUCCEED, {"instant": self._instant, "cohorts": self._succeeded})
        told = notify(self._cursor, self._instant, self._rules)
        return Ticked(
            cohorts=len(saved),
            failed=failed + told.failed,
            judged=self._judged,
            transitions=self._turned,
            notifications=told.written,
        )

    def _evaluate_safely(self, saved: Saved, patience: timedelta) -> bool:
        """Evaluates one cohort; where that fails, remembers whom it has missed, and why. Whether it went well."""
        self._cursor.execute(statements.BEGIN_COHORT, {"patience": int(patience.total_seconds() * 1000)})
        try:
            turned = self._evaluate(saved)
        except (_CohortError, psycopg2.OperationalError, psycopg2.DataError, psycopg2.ProgrammingError) as failure:
            if self._cursor.connection.closed or getattr(failure, "pgcode", None) == "40001":
                raise
            self._cursor.execute("ROLLBACK TO SAVEPOINT cohort")
            self._fail(saved, _explain(failure, patience), failure)
            return False
        self._cursor.execute(statements.END_COHORT)
        self._turned += turned
        self._succeeded.append(saved.cohort_id)
        return True

    def _fail(self, saved: Saved, reason: str, failure: Exception) -> None:
        log.error("a cohort failed", extra={"cohort": saved.name, "reason": type(failure).__name__})
        values = {**self._name(saved), "error": reason}
        self._cursor.execute(statements.FAIL, values)
        self._miss(saved)

    def _miss(self, saved: Saved) -> None:
        """Remembers whom a cohort should have looked at; nobody where it has never looked at anybody."""
        if saved.version is not None:
            self._cursor.execute(statements.MISS, self._name(saved))

    def _name(self, saved: Saved) -> dict[str, Any]:
        """The values of statements."""
        return {
            "cohort": saved.cohort_id,
            "version": saved.wanted,
            "instant": self._instant,
            "inner": self._inner.get(saved.cohort_id, []),
            "is_company": bool(saved.cohort and saved.cohort.subject == COMPANY),
            "floor": saved.switched_on_at,
            "known_to": saved.known_to,
        }

    def _evaluate(self, saved: Saved) -> int:
        """How many transitions that made."""
        values = self._name(saved)
        if saved.is_deleted:
            turned = turning.let_leave(self._cursor, turning.END_ALL, values, '{"deleted": true}')
            self._cursor.execute(statements.FORGET_COHORT, values)
            return turned
        if saved.cohort is None or saved.error:
            raise _CohortError(saved.error)
        references = find_references(saved.cohort.members)
        self._inner[saved.cohort_id] = [self._ids[name] for name in references if name in self._ids]
        values = self._name(saved)
        turned = 0
        if self._rare.superseded:
            cause = '{"became_part_of_another": true}'
            turned = turning.let_leave(self._cursor, turning.END_SUPERSEDED, values, cause)
            self._cursor.execute(statements.FORGET_SUPERSEDED, values)
        if saved.version != saved.wanted:
            self._cursor.execute(statements.SWITCH_ON, values)
            self._cursor.execute(statements.FORGET_COHORT, values)
            self._cursor.execute(statements.FIND_EVERYBODY, values)
            count, is_gathered = self._cursor.rowcount, False
        else:
            count, is_gathered = self._find_candidates(saved.cohort, values)
        # In this order: what is kept may be of somebody who has missed something, too.
        if self._rare.missed:
            self._cursor.execute(statements.FORGET_MISSED, values)
        if self._rare.later:
            self._cursor.execute(statements.KEEP_FOR_LATER, values)
        if count:
            turned += self._judge(saved.cohort, values, is_new=saved.version != saved.wanted, is_gathered=is_gathered)
        return turned

    def _find_candidates(self, cohort: Cohort, values: dict[str, Any]) -> tuple[int, bool]:
        """How many there are, and whether the events of all of them were gathered."""
        binder = Binder()
        concerned = find_concerned(cohort.members, cohort.subject, values["cohort"], binder)
        statement = statements.FIND_CANDIDATES.format(name=cohort.subject, concerned=concerned)
        self._cursor.execute(statement, {**values, **binder.values})
        gathered, others = self._cursor.rowcount, 0
        if values["inner"]:
            self._cursor.execute(statements.FIND_OTHERS.format(name=cohort.subject), values)
            others = self._cursor.rowcount
        return gathered + others, not others

    def _judge(self, cohort: Cohort, values: dict[str, Any], *, is_new: bool, is_gathered: bool) -> int:
        """Judges the candidates, and writes what has turned; how many transitions."""
        sources = Sources(cohort.subject, is_gathered=is_gathered, gathered_since=self._gathered_since)
        judged, compiled = judge(self._cursor, cohort.members, sources, self._instant, self._ids)
        self._judged += judged
        if self._rare.linked and not is_new:
            self._cursor.execute(statements.HIDE_UNKNOWN, values)
        known = f"known_{cohort.subject}" if is_gathered else ""
        return turning.save_verdicts(self._cursor, values, None if is_new else compiled, known)


def _explain(failure: Exception, patience: timedelta) -> str:
    """Why a cohort failed, without the database's own words: they may hold what somebody did."""
    if isinstance(failure, psycopg2.errors.QueryCanceled):
        return f"it took longer than {patience.total_seconds():.0f} seconds"
    if isinstance(failure, psycopg2.Error):
        return f"the database failed: {type(failure).__name__} ({failure.pgcode or 'no code'})"
    return str(failure)
