"""What is to be told of transitions, written to the outbox in the transaction of the tick (docs/notifications.md).

Of changes within one period whoever is where she was before is not told of, unless that is asked for. Who enters or
leaves because a version was switched on, or became part of another person, is not told of either.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final, NamedTuple

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from cohort_evaluator.channels import Notification, read_notification
from cohort_evaluator.people import Subject, find_trait, read_subjects
from cohort_evaluator.reading import DefinitionError, read_duration
from common.clock import format_instant
from common.errors import ApiError
from common.events import Json
from common.json_text import decode_json, encode_json

log = logging.getLogger(__name__)
MOST_MAILS: Final = 1_000  # of one notification in one tick; the others are the next tick's
FIND: Final = """
SELECT n.notification_id, n.definition::text, n.seen, n.period_began, c.cohort_id, v.definition ->> 'title',
       v.definition ->> 'subject'
FROM notifications n JOIN cohorts c USING (cohort_id)
JOIN cohort_versions v ON v.cohort_id = c.cohort_id AND v.version = coalesce(c.version, c.wanted)
WHERE n.deleted_at IS NULL AND c.deleted_at IS NULL ORDER BY n.notification_id
"""
BEGIN: Final = """
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
ORDER BY transition_id LIMIT %(limit)s
"""
MEMBERS: Final = """
SELECT subject_id FROM memberships
WHERE cohort_id = %(cohort)s AND subject_id = ANY (%(subjects)s) AND exited_at IS NULL
"""
COUNT: Final = "SELECT count(*) FROM memberships WHERE cohort_id = %(cohort)s AND exited_at IS NULL"
PUT: Final = "INSERT INTO outbox (id, body, created_at) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"
MAILED: Final = "SELECT subject_id, at, times FROM mailed WHERE notification_id = %s AND subject_id = ANY (%s)"
# Members whom a mail reached so long ago that it is due again.
DUE: Final = """
SELECT d.subject_id, m.entered_at FROM mailed d
JOIN memberships m ON m.subject_id = d.subject_id AND m.cohort_id = %(cohort)s AND m.exited_at IS NULL
WHERE d.notification_id = %(notification)s AND d.at <= %(before)s
ORDER BY d.at LIMIT %(limit)s
"""
NOTE: Final = """
INSERT INTO mailed AS known (notification_id, subject_id, at, times) VALUES (%s, %s, %s, 1)
ON CONFLICT (notification_id, subject_id) DO UPDATE SET at = excluded.at, times = known.times + 1
"""
TEMPLATE: Final = """
SELECT template::text, version FROM email_templates WHERE name = %s AND deleted_at IS NULL
ORDER BY version DESC LIMIT 1
"""


class _Change(NamedTuple):
    """A transition."""

    transition_id: int
    subject_id: int
    kind: str
    at: datetime
    cause: Json


class _Told(NamedTuple):
    """A notification, and how far it has come."""

    notification_id: int
    notification: Notification
    seen: int | None
    period_began: datetime | None
    cohort_id: int
    title: str
    subject: str


class Notified(NamedTuple):
    """What came of all notifications."""

    written: int = 0  # objects of the outbox
    failed: int = 0  # notifications: their changes are told once they are mended


def notify(cursor: Cursor, instant: datetime) -> Notified:
    """Writes what is due to the outbox. One that fails holds neither a membership nor another one back."""
    cursor.execute(FIND)
    written = failed = 0
    for row in cursor.fetchall():
        cursor.execute("SAVEPOINT notification")
        try:
            written += _notify_one(cursor, _read_told(row), instant)
        except (DefinitionError, psycopg2.DataError, psycopg2.ProgrammingError, psycopg2.IntegrityError) as failure:
            cursor.execute("ROLLBACK TO SAVEPOINT notification")
            log.error("a notification failed", extra={"notification": row[0], "reason": type(failure).__name__})
            failed += 1
        cursor.execute("RELEASE SAVEPOINT notification")
    return Notified(written, failed)


def _read_told(row: tuple[Any, ...]) -> _Told:
    return _Told(row[0], read_notification(decode_json(row[1].encode())), *row[2:])


NEWEST: Final = """
SELECT transition_id, subject_id, kind, at, cause FROM transitions
WHERE cohort_id = %(cohort)s AND kind = ANY (%(on)s) ORDER BY transition_id DESC LIMIT %(limit)s
"""


def put_test(connection: Connection, name: str, instant: datetime) -> Json:
    """Writes a digest of the cohort's newest changes to the outbox, marked as a test; its body. Raises `ApiError`."""
    with connection, connection.cursor() as cursor:
        cursor.execute(FIND)
        told = next((each for each in map(_read_told, cursor.fetchall()) if each.notification.name == name), None)
        if told is None:
            raise ApiError(404, "There is no such notification", f"No notification is called {name[:100]}")
        if told.notification.channel == "mail":
            raise ApiError(400, "Mails to members are not sent as a test", "Test a notification of another channel")
        limit, on = told.notification.limit, list(told.notification.on)
        cursor.execute(NEWEST, {"cohort": told.cohort_id, "limit": limit, "on": on})
        changes = [_Change(*row) for row in reversed(cursor.fetchall())]
        body = _build_digest(cursor, told, changes, instant, f"test-{told.notification_id}-{int(instant.timestamp())}")
        body["notification"]["cohort_title"] = f"Test: {told.title}"
        _put(cursor, [body], instant)
        return body


def _notify_one(cursor: Cursor, told: _Told, instant: datetime) -> int:
    values: dict[str, Any] = {"notification": told.notification_id, "cohort": told.cohort_id, "instant": instant}
    if told.seen is None or told.period_began is None:
        cursor.execute(BEGIN, values)
        return 0
    if told.period_began + told.notification.period > instant:
        return 0
    is_mail = told.notification.channel == "mail"
    cursor.execute(CHANGES, {**values, "seen": told.seen, "limit": MOST_MAILS if is_mail else None})
    changes = [_Change(*row) for row in cursor.fetchall()]
    seen = max((change.transition_id for change in changes), default=told.seen)
    if is_mail:
        cursor.execute(TEMPLATE, (told.notification.settings["template"],))
        found = cursor.fetchall()
        if not found:  # they are mailed once there is one
            return 0
        template = {
            **decode_json(found[0][0].encode()),
            "name": told.notification.settings["template"],
            "version": found[0][1],
        }
        count = _mail(cursor, told, template, changes, values, instant)
    else:
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


def _put_digest(cursor: Cursor, told: _Told, changes: Sequence[_Change], instant: datetime) -> int:
    shown = net(changes, told.notification)
    if not shown:
        return 0
    name = f"ntf-{told.notification_id}-{shown[0].transition_id}-{shown[-1].transition_id}"
    _put(cursor, [_build_digest(cursor, told, shown, instant, name)], instant)
    return 1


def _build_digest(cursor: Cursor, told: _Told, shown: Sequence[_Change], instant: datetime, name: str) -> Json:
    cursor.execute(COUNT, {"cohort": told.cohort_id})
    ((members,),) = cursor.fetchall()
    lists: dict[str, list[_Change]] = {"entered": [], "exited": []}
    for change in shown:
        lists[change.kind].append(change)
    limit = told.notification.limit
    wanted = {change.subject_id for each in lists.values() for change in each[:limit]}
    subjects = read_subjects(cursor, sorted(wanted))
    return {
        **_begin(told, name, instant),
        "kind": "digest",
        "period": {"from": format_instant(told.period_began or instant), "to": format_instant(instant)},
        "counts": {"added": len(lists["entered"]), "removed": len(lists["exited"]), "members": members},
        "added": [_show(change, subjects, told) for change in lists["entered"][:limit]],
        "removed": [_show(change, subjects, told) for change in lists["exited"][:limit]],
        "cut": any(len(each) > limit for each in lists.values()),
    }


def _begin(told: _Told, name: str, instant: datetime) -> Json:
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


def _show(change: _Change, subjects: Mapping[int, Subject], told: _Told) -> Json:
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


def _put(cursor: Cursor, bodies: Iterable[Json], instant: datetime) -> None:
    for body in bodies:
        cursor.execute(PUT, (body["id"], encode_json(body).decode(), instant))


def _mail(
    cursor: Cursor,
    told: _Told,
    template: Json,
    changes: Sequence[_Change],
    values: dict[str, Any],
    instant: datetime,
) -> int:
    """One object for each member who is due: who has entered and is still in, or is in and due again."""
    settings = told.notification.settings
    entered = {one.subject_id: one for one in net(changes, told.notification)}
    cursor.execute(MEMBERS, {**values, "subjects": list(entered)})
    entered = {subject_id: entered[subject_id] for (subject_id,) in cursor.fetchall()}
    cursor.execute(MAILED, (told.notification_id, list(entered)))
    reached = {subject_id: (at, times) for subject_id, at, times in cursor.fetchall()}
    every = None if settings["repeat"] == "once" else read_duration(settings["repeat"]["every"], "every")
    due = {
        subject_id: (one.at, one.cause, f"mail-{told.notification_id}-{one.transition_id}")
        for subject_id, one in entered.items()
        if subject_id not in reached or (every and reached[subject_id][0] + every <= instant)
    }
    if every:
        due |= _find_due(cursor, told, values, instant, every, set(due))
    if not due:
        return 0
    subjects = read_subjects(cursor, sorted(due))
    bodies = []
    for subject_id, (at, cause, name) in due.items():
        subject = subjects.get(subject_id, Subject("", [], {}))
        body = {
            **_begin(told, name, instant),
            "kind": "mail",
            "user": {
                "id": subject.name,
                "address": subject.addresses[0] if subject.addresses else None,
                "traits": subject.traits,
            },
            "events": [
                event for each in cause.values() if isinstance(each, dict) for event in each.get("events") or ()
            ],
            "cause": cause,
            "entered_at": format_instant(at),
            "template": template,
            "held_out": is_held_out(told.notification.name, subject_id, settings.get("hold_out", 0)),
        }
        bodies.append(body)
        cursor.execute(NOTE, (told.notification_id, subject_id, instant))
    _put(cursor, bodies, instant)
    return len(bodies)


def _find_due(
    cursor: Cursor, told: _Told, values: dict[str, Any], instant: datetime, every: timedelta, known: set[int]
) -> dict[int, tuple[datetime, Json, str]]:
    cursor.execute(DUE, {**values, "before": instant - every, "limit": MOST_MAILS})
    return {
        subject_id: (at, {}, f"mail-{told.notification_id}-{subject_id}-{int(instant.timestamp())}")
        for subject_id, at in cursor.fetchall()
        if subject_id not in known
    }


def is_held_out(name: str, subject_id: int, share: float) -> bool:
    """Whether somebody belongs to the part that gets nothing, so that what mails do can be told; always the same."""
    digest = sha256(f"{name}\0{subject_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < share
