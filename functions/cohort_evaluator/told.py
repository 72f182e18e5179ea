"""Notifications as the database has them, and the objects of the outbox that tell of them."""

import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, TypeVar

import psycopg2
import psycopg2.errors
from psycopg2.extensions import cursor as Cursor

from cohort_evaluator.channels import Notification, read_notification
from cohort_evaluator.reading import DefinitionError
from common.clock import format_instant
from common.errors import ApiError
from common.events import Json
from common.json_text import decode_json, encode_json

_SELECT: Final = """
SELECT n.notification_id, n.definition::text, n.seen, n.period_began, c.cohort_id, v.definition ->> 'title',
       v.definition ->> 'subject'
FROM notifications n JOIN cohorts c USING (cohort_id)
JOIN cohort_versions v ON v.cohort_id = c.cohort_id AND v.version = coalesce(c.version, c.wanted)
WHERE n.deleted_at IS NULL AND c.deleted_at IS NULL
"""
FIND: Final = _SELECT + "ORDER BY n.notification_id"
FIND_ONE: Final = _SELECT + "AND n.name = %s"
PATIENCE: Final = timedelta(minutes=2)  # for one statement of one notification
FAULTS: Final = (
    *(DefinitionError, psycopg2.DataError, psycopg2.ProgrammingError, psycopg2.IntegrityError),
    psycopg2.errors.QueryCanceled,
)
BEGIN: Final = "SAVEPOINT notification; SET LOCAL statement_timeout = %s"
END: Final = "RELEASE SAVEPOINT notification; SET LOCAL statement_timeout = 0"
PUT: Final = "INSERT INTO outbox (id, body, created_at) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"


T = TypeVar("T")
log = logging.getLogger(__name__)


class Told(NamedTuple):
    """A notification, and how far it has come."""

    notification_id: int
    notification: Notification
    seen: int | None
    period_began: datetime | None
    cohort_id: int
    title: str
    subject: str


def read_told(row: tuple[Any, ...]) -> Told:
    """A row of `FIND`. Raises `DefinitionError`."""
    return Told(row[0], read_notification(decode_json(row[1].encode())), *row[2:])


def find_told(cursor: Cursor, name: str) -> Told:
    """The notification of a name. Raises `ApiError`, `DefinitionError`."""
    cursor.execute(FIND_ONE, (name,))
    found = cursor.fetchall()
    if not found:
        raise ApiError(404, "There is no such notification", f"No notification is called {name[:100]}")
    return read_told(found[0])


def run_apart(cursor: Cursor, notification_id: int, work: Callable[[], T]) -> T | None:
    """Does what is one notification's, so that its failure holds nothing else back; None where it failed."""
    cursor.execute(BEGIN, (int(PATIENCE.total_seconds() * 1000),))
    try:
        done = work()
    except FAULTS as failure:
        cursor.execute("ROLLBACK TO SAVEPOINT notification")
        log.error("a notification failed", extra={"notification": notification_id, "reason": type(failure).__name__})
        return None
    cursor.execute(END)
    return done


def begin_body(told: Told, name: str, instant: datetime) -> Json:
    """What all objects of the outbox begin with."""
    notification = told.notification
    return {
        "id": name,
        "created_at": format_instant(instant),
        "notification": {
            "name": notification.name,
            "cohort": notification.cohort,
            "cohort_title": told.title,
            "subject": told.subject,
            "channel": {notification.channel: notification.settings},
        },
    }


def put_bodies(cursor: Cursor, bodies: Iterable[Json], instant: datetime) -> None:
    """Writes objects to the outbox."""
    for body in bodies:
        cursor.execute(PUT, (body["id"], encode_json(body).decode(), instant))
