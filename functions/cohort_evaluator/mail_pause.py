"""When nothing is mailed to members: switched by hand, or since too many of the last mails bounced or complained.

SES's events say so; they name the mail by the id that SES gave the mailer. An automatic pause ends by hand, too, and
counting begins anew behind it.
"""

import logging
from datetime import datetime
from typing import Any, Final, NamedTuple

from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from cohort_evaluator.told import put_bodies
from common.clock import format_instant
from common.errors import ApiError

BY_HAND: Final = "by_hand"
BOUNCES: Final = "bounces"
COMPLAINTS: Final = "complaints"
FEW: Final = 2  # a single one never pauses

log = logging.getLogger(__name__)

FIND: Final = "SELECT reason FROM mail_pauses WHERE ended_at IS NULL"
# Tests, which are to colleagues, are no mails to members: their ids begin with test- (change_cohorts/previews.py).
SENT: Final = """
SELECT count(*), min(at) FROM (
    SELECT at FROM deliveries
    WHERE channel = 'mail' AND state = 'sent' AND id NOT LIKE 'test-%%'
      AND at > (SELECT coalesce(max(ended_at), '-infinity') FROM mail_pauses WHERE reason <> 'by_hand')
    ORDER BY at DESC LIMIT %(last)s) AS sent
"""
# The events of the mails since an instant; clocks may differ a little.
COUNT: Final = """
SELECT count(DISTINCT message_id) FILTER (WHERE k.event_type = 'bounced'),
       count(DISTINCT message_id) FILTER (WHERE k.event_type = 'complained')
FROM (SELECT message_id FROM deliveries
      WHERE channel = 'mail' AND state = 'sent' AND id NOT LIKE 'test-%%' AND at >= %(since)s
      ORDER BY at DESC LIMIT %(last)s) AS sent
JOIN events e USING (message_id) JOIN kinds k USING (kind_key)
WHERE e.occurred_at >= %(since)s::timestamptz - interval '1 hour'
  AND (k.event_type = 'complained' OR (k.event_type = 'bounced' AND k.bounce_kind = 'hard'))
"""
BEGIN: Final = """
INSERT INTO mail_pauses (began_at, reason, began_by, mails, bounces, complaints)
VALUES (%(instant)s, %(reason)s, %(by)s, %(mails)s, %(bounces)s, %(complaints)s)
ON CONFLICT DO NOTHING RETURNING pause_id
"""
END: Final = "UPDATE mail_pauses SET ended_at = %s, ended_by = %s WHERE ended_at IS NULL RETURNING pause_id"


class Limits(NamedTuple):
    """When mails are paused; 1 is never."""

    bounces: float = 1.0  # the share of hard bounces beyond which they are
    complaints: float = 1.0
    last: int = 1_000  # of how many mails
    minimum: int = 100  # of fewer nothing can be said


class Counted(NamedTuple):
    """The last mails, and of how many of them an event tells that they bounced or complained."""

    mails: int
    bounces: int = 0
    complaints: int = 0


def find_pause(cursor: Cursor, limits: Limits, instant: datetime) -> str | None:
    """Why nothing is mailed now, and begins a pause where it must be; None where mails go."""
    cursor.execute(FIND)
    found = [reason for (reason,) in cursor.fetchall()]
    if not found:
        counted = count(cursor, limits)
        reason = judge(counted, limits)
        if reason:
            cursor.execute(BEGIN, {**counted._asdict(), "instant": instant, "reason": reason, "by": None})
            _tell(cursor, instant, is_paused=True)
            found = [reason]
    if found and found[0] != BY_HAND:  # the alarm counts these
        log.error("mails to members are paused", extra={"reason": found[0]})
    return found[0] if found else None


def count(cursor: Cursor, limits: Limits) -> Counted:
    """Looks at the last mails; of too few at their number alone."""
    cursor.execute(SENT, {"last": limits.last})
    ((mails, since),) = cursor.fetchall()
    if mails < limits.minimum or not mails:
        return Counted(mails)
    cursor.execute(COUNT, {"last": limits.last, "since": since})
    return Counted(mails, *cursor.fetchall()[0])


def judge(counted: Counted, limits: Limits) -> str | None:
    """Which limit is passed."""
    if counted.mails < limits.minimum:
        return None
    for reason, number, limit in (
        (COMPLAINTS, counted.complaints, limits.complaints),
        (BOUNCES, counted.bounces, limits.bounces),
    ):
        if number >= FEW and number > limit * counted.mails:
            return reason
    return None


def pause(connection: Connection, instant: datetime, by: str) -> bool:
    """Pauses mails to members by hand; False where they are already."""
    values: dict[str, Any] = {"mails": None, "bounces": None, "complaints": None}
    with connection, connection.cursor() as cursor:
        cursor.execute(BEGIN, {**values, "instant": instant, "reason": BY_HAND, "by": by})
        return _tell(cursor, instant, is_paused=True)


def resume(connection: Connection, instant: datetime, by: str) -> None:
    """Lets mails go again, whatever had paused them. Raises `ApiError` where they are not paused."""
    with connection, connection.cursor() as cursor:
        cursor.execute(END, (instant, by))
        if not _tell(cursor, instant, is_paused=False):
            raise ApiError(404, "Mails to members are not paused", "There is nothing to end")


def _tell(cursor: Cursor, instant: datetime, *, is_paused: bool) -> bool:
    """Lets the mailer know, with the next tick, of what began or ended, if anything did: mails may wait for SES."""
    found = cursor.fetchall()
    for (pause_id,) in found:
        name = f"pause-{pause_id}-{'begins' if is_paused else 'ends'}"
        body = {"id": name, "kind": "pause", "paused": is_paused, "at": format_instant(instant)}
        put_bodies(cursor, [body], instant)
    return bool(found)
