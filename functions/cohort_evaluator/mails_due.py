"""The table of mails to members that are due: how they get there, wait, and leave it without having been written.

She waits once for each notification. Whoever leaves the cohort, or waits too long, is dropped; that is reported.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from psycopg2.extensions import cursor as Cursor

from cohort_evaluator.reading import read_duration
from cohort_evaluator.told import Told
from common.clock import format_instant
from common.events import Json

USUAL_PATIENCE: Final = "3 days"
CAPPED: Final = "capped"  # states of deliveries, as the mailer reports them
DROPPED: Final = "dropped"

# What is new of those who have become part of another person becomes that person's: what waits (of two for one
# notification the one that waits longer), what has reached them, and what the caps count.
FOLLOW_MERGES: Final = """
WITH named AS (
    SELECT d.id, row_number() OVER (PARTITION BY d.notification_id, coalesce(s.person_id, d.subject_id)
                                    ORDER BY d.due_at, d.id COLLATE "C") AS nth
    FROM mails_due d LEFT JOIN superseded s USING (subject_id)
    WHERE d.dropped IS NULL
      AND d.subject_id IN (SELECT subject_id FROM superseded UNION ALL SELECT person_id FROM superseded))
UPDATE mails_due d SET dropped = 'she became part of another person, for whom the same mail waits'
FROM named WHERE named.id = d.id AND named.nth > 1;
UPDATE mails_due d SET subject_id = s.person_id FROM superseded s WHERE s.subject_id = d.subject_id;
UPDATE mails_due d SET ready_at = d.due_at FROM superseded s WHERE s.person_id = d.subject_id;
UPDATE mails_written w SET subject_id = s.person_id FROM superseded s WHERE s.subject_id = w.subject_id;
WITH moved AS (
    DELETE FROM mailed m USING superseded s WHERE s.subject_id = m.subject_id
    RETURNING m.notification_id, s.person_id, m.at, m.times)
INSERT INTO mailed AS known (notification_id, subject_id, at, times)
SELECT notification_id, person_id, max(at), sum(times) FROM moved GROUP BY 1, 2
ON CONFLICT (notification_id, subject_id) DO UPDATE
SET at = greatest(known.at, excluded.at), times = known.times + excluded.times
"""
# A notification that ended, or tells others now.
FIND_ENDED: Final = """
SELECT n.notification_id FROM notifications n JOIN cohorts c USING (cohort_id)
WHERE (n.deleted_at IS NOT NULL OR c.deleted_at IS NOT NULL OR NOT n.definition -> 'channel' ? 'mail')
  AND EXISTS (SELECT FROM mails_due d WHERE d.notification_id = n.notification_id AND d.dropped IS NULL)
"""
END: Final = """
UPDATE mails_due SET dropped = 'the notification ended, or tells of another cohort'
WHERE notification_id = %(notification)s AND dropped IS NULL
"""
LEAVE: Final = """
UPDATE mails_due d SET dropped = 'she left the cohort before it could go'
WHERE d.notification_id = %(notification)s AND d.dropped IS NULL
  AND d.subject_id IN (SELECT subject_id FROM transitions
                       WHERE cohort_id = %(cohort)s AND transition_id > %(seen)s AND kind = 'exited'
                       UNION ALL SELECT person_id FROM superseded)
  AND NOT EXISTS (SELECT FROM identities i JOIN memberships m ON m.subject_id = i.identity_id
                  WHERE i.person_id = d.subject_id AND m.cohort_id = %(cohort)s AND m.exited_at IS NULL)
"""
# The other person has had it.
HAD: Final = """
UPDATE mails_due d SET dropped = 'she turned out to be a person who has had it'
FROM mailed k
WHERE d.notification_id = %(notification)s AND d.dropped IS NULL
  AND d.subject_id IN (SELECT person_id FROM superseded)
  AND k.notification_id = d.notification_id AND k.subject_id = d.subject_id AND k.times > 0
  AND (%(every)s::interval IS NULL OR k.at + %(every)s::interval > %(instant)s)
"""
# Who has entered since the last tick, was not in before, and is still in; once, or again after a time.
COLLECT: Final = """
WITH changes AS (
    SELECT DISTINCT ON (subject_id) transition_id, subject_id, kind, at, cause,
           first_value(kind) OVER (PARTITION BY subject_id ORDER BY transition_id) AS first
    FROM transitions
    WHERE cohort_id = %(cohort)s AND transition_id > %(seen)s
      AND NOT cause ?| ARRAY['switched_on', 'became_part_of_another', 'deleted']
    ORDER BY subject_id, transition_id DESC)
INSERT INTO mails_due (id, notification_id, subject_id, entered_at, cause, due_at, ready_at)
SELECT 'mail-' || %(notification)s || '-' || c.transition_id, %(notification)s, c.subject_id, c.at, c.cause,
       %(instant)s, %(instant)s
FROM changes c
JOIN memberships m ON m.cohort_id = %(cohort)s AND m.subject_id = c.subject_id AND m.exited_at IS NULL
WHERE c.kind = 'entered' AND (c.first = 'entered' OR %(brief)s)
  AND NOT EXISTS (SELECT FROM mailed k
                  WHERE k.notification_id = %(notification)s AND k.subject_id = c.subject_id AND k.times > 0
                    AND (%(every)s::interval IS NULL OR k.at + %(every)s::interval > %(instant)s))
ON CONFLICT DO NOTHING
"""
# Members for whom it was due so long ago that it is due again.
COLLECT_AGAIN: Final = """
INSERT INTO mails_due (id, notification_id, subject_id, entered_at, cause, due_at, ready_at)
SELECT 'mail-' || %(notification)s || '-' || k.subject_id || '-' || floor(extract(epoch FROM %(instant)s))::bigint,
       %(notification)s, k.subject_id, m.entered_at, '{}', %(instant)s, %(instant)s
FROM mailed k
JOIN memberships m ON m.subject_id = k.subject_id AND m.cohort_id = %(cohort)s AND m.exited_at IS NULL
WHERE k.notification_id = %(notification)s AND k.at <= %(instant)s - %(every)s::interval
ON CONFLICT DO NOTHING
"""
# Where it comes again, the time until then begins anew. What she waited for last may be over.
GIVE_UP: Final = """
WITH over AS (
    UPDATE mails_due SET
        dropped = 'given up after ' || %(patience)s || ': ' || coalesce(%(why)s, CASE
            WHEN ready_at <= %(instant)s OR waits_for = 'turn' THEN 'too many were before it'
            WHEN waits_for = 'quiet' THEN 'quiet hours' ELSE 'she gets as many mails as she may' END),
        waits_for = CASE WHEN %(why)s IS NULL AND ready_at > %(instant)s THEN waits_for ELSE 'turn' END
    WHERE notification_id = %(notification)s AND dropped IS NULL AND due_at <= %(instant)s - %(give_up)s::interval
    RETURNING subject_id)
INSERT INTO mailed AS known (notification_id, subject_id, at, times)
SELECT %(notification)s, subject_id, %(instant)s, 0 FROM over WHERE %(every)s::interval IS NOT NULL
ON CONFLICT (notification_id, subject_id) DO UPDATE SET at = excluded.at
"""
TAKE: Final = """
SELECT d.id, d.subject_id, d.entered_at, d.cause, d.due_at
FROM mails_due d
JOIN memberships m ON m.cohort_id = %(cohort)s AND m.subject_id = d.subject_id AND m.exited_at IS NULL
WHERE d.notification_id = %(notification)s AND d.dropped IS NULL AND d.ready_at <= %(instant)s
ORDER BY d.ready_at, d.due_at, d.entered_at, d.id LIMIT %(limit)s
"""
HOLD: Final = """
UPDATE mails_due d SET ready_at = held.ready_at, waits_for = held.waits_for
FROM unnest(%s::text[], %s::timestamptz[], %s::text[]) AS held (id, ready_at, waits_for) WHERE d.id = held.id
"""
# An array of ids; and whether nothing is mailed: who is held out.
WRITE: Final = """
WITH gone AS (
    DELETE FROM mails_due d USING unnest(%(ids)s::text[], %(held_out)s::boolean[]) AS one (id, held_out)
    WHERE d.id = one.id RETURNING d.notification_id, d.subject_id, one.held_out),
counted AS (
    INSERT INTO mails_written (subject_id, at) SELECT subject_id, %(instant)s FROM gone WHERE NOT held_out)
INSERT INTO mailed AS known (notification_id, subject_id, at, times)
SELECT notification_id, subject_id, %(instant)s, 1 FROM gone
ON CONFLICT (notification_id, subject_id) DO UPDATE SET at = excluded.at, times = known.times + 1
"""
TAKE_DROPPED: Final = """
WITH gone AS (
    DELETE FROM mails_due WHERE id IN (
        SELECT id FROM mails_due WHERE dropped IS NOT NULL ORDER BY due_at, id LIMIT %(limit)s)
    RETURNING *)
SELECT g.id, g.subject_id, g.waits_for = 'capped' AND g.dropped LIKE 'given up%%', g.dropped, n.name, c.name
FROM gone g JOIN notifications n USING (notification_id) JOIN cohorts c USING (cohort_id)
ORDER BY g.due_at, g.id
"""
SENT: Final = "SELECT subject_id, at FROM mails_written WHERE subject_id = ANY (%s) AND at > %s"
FORGET: Final = "DELETE FROM mails_written WHERE at <= %s"


class Due(NamedTuple):
    """A mail whose time has come, if nothing holds it."""

    name: str  # of the outbox's object
    subject_id: int
    entered_at: datetime
    cause: Json
    due_at: datetime


def read_every(told: Told) -> timedelta | None:
    """After which time a mail goes again; None where it goes once."""
    repeat = told.notification.settings["repeat"]
    return None if repeat == "once" else read_duration(repeat["every"], "every")


def collect(cursor: Cursor, told: Told, instant: datetime, why: str | None) -> None:
    """Adds who is due, and drops who is no more; `why` tells what holds all of them back now."""
    patience = told.notification.settings.get("give_up", USUAL_PATIENCE)
    values: dict[str, Any] = {
        "notification": told.notification_id,
        "cohort": told.cohort_id,
        "seen": told.seen,
        "instant": instant,
        "brief": told.notification.brief,
        "every": read_every(told),
        "patience": patience,
        "give_up": read_duration(patience, "give_up"),
        "why": why,
    }
    for statement in (LEAVE, HAD, COLLECT):
        cursor.execute(statement, values)
    if values["every"] is not None:
        cursor.execute(COLLECT_AGAIN, values)
    cursor.execute(GIVE_UP, values)


def end_all(cursor: Cursor) -> None:
    """Drops what waits for notifications that ended."""
    cursor.execute(FIND_ENDED)
    for (notification_id,) in cursor.fetchall():
        cursor.execute(END, {"notification": notification_id})


def take(cursor: Cursor, told: Told, instant: datetime, limit: int) -> list[Due]:
    """Those of members whose time has come, whose came first."""
    values = {"notification": told.notification_id, "cohort": told.cohort_id, "instant": instant, "limit": limit}
    cursor.execute(TAKE, values)
    return [Due(*row) for row in cursor.fetchall()]


def hold(cursor: Cursor, held: Sequence[tuple[str, datetime, str]]) -> None:
    """Lets mails wait: id, until when, and for what."""
    if held:
        cursor.execute(HOLD, tuple(list(column) for column in zip(*held, strict=True)))


def write(cursor: Cursor, written: Sequence[tuple[str, bool]], instant: datetime) -> None:
    """Remembers what is in the outbox: id, and whether she is held out."""
    if written:
        ids, held_out = zip(*written, strict=True)
        cursor.execute(WRITE, {"ids": list(ids), "held_out": list(held_out), "instant": instant})


def show_dropped(cursor: Cursor, instant: datetime, limit: int) -> list[tuple[int, Json]]:
    """What is to be reported of those that do not go: subject, and an object of the outbox without the user."""
    cursor.execute(TAKE_DROPPED, {"limit": limit})
    return [
        (
            subject_id,
            {
                "id": name,
                "kind": "mail",
                "created_at": format_instant(instant),
                "notification": {"name": notification, "cohort": cohort, "channel": {"mail": {}}},
                "dropped": {"state": CAPPED if is_capped else DROPPED, "error": error},
            },
        )
        for name, subject_id, is_capped, error, notification, cohort in cursor.fetchall()
    ]
