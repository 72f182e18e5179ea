"""What is to be told of transitions, written to the outbox in the transaction of the tick (docs/notifications.md).

Of changes within one period whoever is where she was before is not told of, unless that is asked for. Who enters or
leaves because a version was switched on, or became part of another person, is not told of either. Mails to members are
mailing.py's.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final, NamedTuple

from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from cohort_evaluator.channels import MAIL, Notification
from cohort_evaluator.mailing import Mailing, Rules
from cohort_evaluator.people import Subject, find_trait, read_subjects
from cohort_evaluator.told import FIND, Told, begin_body, find_told, put_bodies, read_told, run_apart
from common.clock import format_instant
from common.errors import ApiError
from common.events import Json

# Mails to members are due or not by what is true at the tick: all transitions are seen.
CATCH_UP: Final = """
UPDATE notifications SET seen = coalesce((SELECT max(transition_id) FROM transitions), 0), period_began = %(instant)s
WHERE notification_id = %(notification)s
"""
GO_ON: Final = """
UPDATE notifications SET seen = %(seen)s, period_began = %(instant)s WHERE notification_id = %(notification)s
"""
CHANGES: Final = """
SELECT transition_id, subject_id, kind, at, cause FROM transitions
WHERE cohort_id = %(cohort)s AND transition_id > %(seen)s
  AND NOT cause ?| ARRAY['switched_on', 'became_part_of_another', 'deleted']
ORDER BY transition_id
"""
COUNT: Final = "SELECT count(*) FROM memberships WHERE cohort_id = %(cohort)s AND exited_at IS NULL"


class _Change(NamedTuple):
    """A transition."""

    transition_id: int
    subject_id: int
    kind: str
    at: datetime
    cause: Json


class Notified(NamedTuple):
    """What came of all notifications."""

    written: int = 0  # objects of the outbox
    failed: int = 0  # notifications: their changes are told once they are mended


def notify(cursor: Cursor, instant: datetime, rules: Rules) -> Notified:
    """Writes what is due to the outbox. One that fails holds neither a membership nor another one back."""
    mailing = Mailing(cursor, instant, rules)
    mailing.begin()
    cursor.execute(FIND)
    written = failed = 0
    for row in cursor.fetchall():
        count = run_apart(cursor, row[0], partial(_notify_one, cursor, row, instant, mailing))
        failed += count is None
        written += count or 0
    mailing.release()
    return Notified(written + mailing.written, failed + mailing.failed)


NEWEST: Final = """
SELECT transition_id, subject_id, kind, at, cause FROM transitions
WHERE cohort_id = %(cohort)s AND kind = ANY (%(on)s) ORDER BY transition_id DESC LIMIT %(limit)s
"""


def put_test(connection: Connection, name: str, instant: datetime) -> Json:
    """Writes a digest of the cohort's newest changes to the outbox, marked as a test; its body.

    Raises `ApiError`, and `DefinitionError` where an earlier release let the notification through.
    """
    with connection, connection.cursor() as cursor:
        told = find_told(cursor, name)
        if told.notification.channel == MAIL:
            raise ApiError(400, "Mails to members are not sent as a test", "Test a notification of another channel")
        changes = _read_newest(cursor, told)
        body = _build_digest(cursor, told, changes, instant, f"test-{told.notification_id}-{int(instant.timestamp())}")
        body["notification"]["cohort_title"] = f"Test: {told.title}"
        put_bodies(cursor, [body], instant)
        return body


def build_due(cursor: Cursor, told: Told, instant: datetime) -> tuple[Json, bool]:
    """A digest of what nobody was told of so far, or else of the newest changes; and whether it is the former."""
    due: list[_Change] = []
    if told.seen is not None:
        cursor.execute(CHANGES, {"cohort": told.cohort_id, "seen": told.seen})
        due = net([_Change(*row) for row in cursor.fetchall()], told.notification)
    return _build_digest(cursor, told, due or _read_newest(cursor, told), instant, "preview"), bool(due)


def _read_newest(cursor: Cursor, told: Told) -> list[_Change]:
    limit, on = told.notification.limit, list(told.notification.on)
    cursor.execute(NEWEST, {"cohort": told.cohort_id, "limit": limit, "on": on})
    return [_Change(*row) for row in reversed(cursor.fetchall())]


def _notify_one(cursor: Cursor, row: tuple[Any, ...], instant: datetime, mailing: Mailing) -> int:
    told = read_told(row)
    values: dict[str, Any] = {"notification": told.notification_id, "cohort": told.cohort_id, "instant": instant}
    if told.seen is None or told.period_began is None:
        mailing.restart(told.notification_id)
        cursor.execute(CATCH_UP, values)
        return 0
    if told.notification.channel == MAIL:
        mailing.collect(told)
        cursor.execute(CATCH_UP, values)
        return 0
    if told.period_began + told.notification.period > instant:
        return 0
    cursor.execute(CHANGES, {**values, "seen": told.seen})
    changes = [_Change(*row) for row in cursor.fetchall()]
    seen = max((change.transition_id for change in changes), default=told.seen)
    count = _put_digest(cursor, told, changes, instant)
    cursor.execute(GO_ON, {**values, "seen": seen})
    return count


def net(changes: Sequence[_Change], notification: Notification) -> list[_Change]:
    """Of each subject the last change, if it is asked for, and she is not where she was before."""
    first: dict[int, _Change] = {}
    last: dict[int, _Change] = {}
    for change in changes:
        first.setdefault(change.subject_id, change)
        last[change.subject_id] = change
    if notification.brief:
        return [change for change in changes if change.kind in notification.on]
    return [
        change
        for subject_id, change in last.items()
        if change.kind in notification.on and change.kind == first[subject_id].kind
    ]


def _put_digest(cursor: Cursor, told: Told, changes: Sequence[_Change], instant: datetime) -> int:
    shown = net(changes, told.notification)
    if not shown:
        return 0
    name = f"ntf-{told.notification_id}-{shown[0].transition_id}-{shown[-1].transition_id}"
    put_bodies(cursor, [_build_digest(cursor, told, shown, instant, name)], instant)
    return 1


def _build_digest(cursor: Cursor, told: Told, shown: Sequence[_Change], instant: datetime, name: str) -> Json:
    cursor.execute(COUNT, {"cohort": told.cohort_id})
    ((members,),) = cursor.fetchall()
    lists: dict[str, list[_Change]] = {"entered": [], "exited": []}
    for change in shown:
        lists[change.kind].append(change)
    limit = told.notification.limit
    wanted = {change.subject_id for each in lists.values() for change in each[:limit]}
    subjects = read_subjects(cursor, sorted(wanted))
    return {
        **begin_body(told, name, instant),
        "kind": "digest",
        "period": {"from": format_instant(told.period_began or instant), "to": format_instant(instant)},
        "counts": {"added": len(lists["entered"]), "removed": len(lists["exited"]), "members": members},
        "added": [_show(change, subjects, told) for change in lists["entered"][:limit]],
        "removed": [_show(change, subjects, told) for change in lists["exited"][:limit]],
        "cut": any(len(each) > limit for each in lists.values()),
    }


def _show(change: _Change, subjects: Mapping[int, Subject], told: Told) -> Json:
    subject = subjects.get(change.subject_id, Subject("", [], {}))
    return {
        "id": subject.name,
        "entered_at" if change.kind == "entered" else "exited_at": format_instant(change.at),
        "fields": {name: show_field(subject, name) for name in told.notification.fields},
        "cause": change.cause,
    }


def show_field(subject: Subject, name: str) -> Any:
    """A field of a notification: the address, or a trait."""
    if name == "address":
        return subject.addresses[0] if subject.addresses else None
    return find_trait(subject.traits, name)
