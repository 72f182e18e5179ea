"""Cohorts of the people and companies of the other traffic, evaluated over twelve days, for the console."""

import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2

from cohort_evaluator.evaluation import evaluate_cohorts
from cohort_evaluator.store import delete_cohort, save_cohort
from local.stack import Stack
from tests.console.traffic import MARKUP

DAYS = 12
BOUNCED = "bounced-lately"
FAILING = "failed-call"
ACTIVE = "active-companies"
GONE = "old-campaign"
CAME_BACK = "came-back"  # a goal; tests/console/telling.py lets people enter
CIRCLE = ("circle-one", "circle-two")
HOSTILE = "hostile"
MAIL = {"event": "mail", "where": {"type": "bounced"}}
CALL = {"event": "call", "where": {"status": {"at_least": 400}}}


def define(name: str, title: str, members: Any, subject: str = "user") -> dict[str, Any]:
    """A definition."""
    return {"name": name, "title": title, "subject": subject, "members": members}


def count(event: Any, at_least: int, last: str = "") -> dict[str, Any]:
    """The condition that something was done so often, ever if no time is given."""
    return {"did": event, "count": {">=": at_least}, "window": {"last": last} if last else {"ever": True}}


DEFINITIONS = (
    define(BOUNCED, "Bounced in the last 36 hours", count(MAIL, 1, "36 hours")),
    define(FAILING, "Two failed calls within 2 days, no bounce", {
        "all": [count(CALL, 2, "2 days"), {"not": {"cohort": BOUNCED}}],
    }),
    define(ACTIVE, "Companies with calls in the last week", count({"event": "call"}, 1, "7 days"), "company"),
    define(GONE, "Got the old campaign", count({"event": "mail"}, 1, "7 days")),
    define(CAME_BACK, "Called again after the mail", count({"event": "screen"}, 1)),
    define(CIRCLE[0], "Not in the other one", {"not": {"cohort": CIRCLE[1]}}),
    define(CIRCLE[1], "In neither", {"not": {"cohort": CIRCLE[0]}}),
)  # fmt: skip


def load(stack: Stack) -> None:
    """Saves the cohorts, and evaluates them a day at a time; one is deleted before the last evaluation."""
    now = datetime.now(UTC)
    instants = [now - timedelta(days=day) for day in range(DAYS, 0, -1)]
    _evaluate(stack, DEFINITIONS, instants)
    _evaluate(stack, (), [now], deleted=GONE)


def load_hostile(stack: Stack) -> None:
    """A cohort with markup for its title, in its definition, and in the name of its member."""
    members = {
        "all": [count({"event": "call", "where": {"user_agent": MARKUP}}, 1), {"trait": MARKUP, "exists": False}]
    }
    _evaluate(stack, [define(HOSTILE, MARKUP, members)], [datetime.now(UTC)])


def _evaluate(
    stack: Stack, definitions: Sequence[dict[str, Any]], instants: Sequence[datetime], deleted: str = ""
) -> None:
    """Evaluates at these instants; the stack's own evaluator waits meanwhile."""
    with contextlib.closing(psycopg2.connect(stack.database_dsn(), options="-c timezone=UTC")) as connection:
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(hashtext('evaluate_cohorts'))")
        for definition in definitions:
            save_cohort(connection, definition, instants[0], "ann")
        if deleted:
            delete_cohort(connection, deleted, instants[0])
        for instant in instants:
            assert evaluate_cohorts(connection, instant).is_ours
