"""Mails to members: who enters is due, and each tick writes those to the outbox who may be mailed now.

Quiet hours and caps hold a mail until a time that is known; a pause holds all. What is written is final: the mailer
looks at the quiet hours once more, as mails may wait for SES (docs/notifications.md).
"""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from psycopg2.extensions import cursor as Cursor

from cohort_evaluator import mails_due
from cohort_evaluator.aggregates import compute
from cohort_evaluator.caps import KEPT, Caps, find_room
from cohort_evaluator.company import read_companies
from cohort_evaluator.mail_pause import Limits, find_pause
from cohort_evaluator.mails_due import Due
from cohort_evaluator.people import Subject, find_zone, read_subjects
from cohort_evaluator.told import Told, begin_body, put_bodies, run_apart
from common.clock import format_instant
from common.events import Json
from common.json_text import decode_json
from common.quiet_hours import find_quiet_end, read_quiet_hours

MOST_MAILS: Final = 1_000  # of one notification in one tick; the others are the next tick's
MOST_LOOKED_AT: Final = 20_000  # in one tick
AT_ONCE: Final = 2_000
TEMPLATE: Final = """
SELECT (template - 'mjml')::text, version FROM email_templates WHERE name = %s AND deleted_at IS NULL
ORDER BY version DESC LIMIT 1
"""


class Rules(NamedTuple):
    """What holds for all mails to members."""

    caps: Caps = Caps()
    zone: ZoneInfo = ZoneInfo("UTC")  # of users whose own is not known, for caps
    limits: Limits = Limits()


NO_RULES: Final = Rules()


class _Mail(NamedTuple):
    """What may go now, or has to wait for the end of quiet hours."""

    due: Due
    told: Told
    zone: ZoneInfo
    quiet_end: datetime | None
    body: Json  # empty where it has to wait


class Mailing:
    """The mails of one tick."""

    def __init__(self, cursor: Cursor, instant: datetime, rules: Rules) -> None:
        self._cursor = cursor
        self._instant = instant
        self._rules = rules
        self._live: list[Told] = []
        self._templates: dict[int, Json] = {}
        self._pause: str | None = None
        self.written = 0  # objects of the outbox
        self.failed = 0  # notifications

    def begin(self) -> None:
        """To be called before the first notification."""
        self._cursor.execute(mails_due.FOLLOW_MERGES)
        self._cursor.execute(mails_due.FORGET, (self._instant - KEPT,))
        mails_due.end_all(self._cursor)
        self._pause = find_pause(self._cursor, self._rules.limits, self._instant)

    def restart(self, notification_id: int) -> None:
        """Lets nobody wait for a notification that begins anew."""
        self._cursor.execute(mails_due.END, {"notification": notification_id})

    def collect(self, told: Told) -> None:
        """Finds who is due for a notification. Raises `psycopg2.Error`, `DefinitionError`."""
        template = self._read_template(told.notification.settings["template"])
        why = "mails to members are paused" if self._pause else None
        mails_due.collect(self._cursor, told, self._instant, why or (None if template else "there is no template"))
        if template:
            self._live.append(told)
            self._templates[told.notification_id] = template

    def _read_template(self, name: str) -> Json | None:
        self._cursor.execute(TEMPLATE, (name,))
        found = self._cursor.fetchall()
        return {**decode_json(found[0][0].encode()), "name": name, "version": found[0][1]} if found else None

    def release(self) -> None:
        """Writes what may go, the oldest first, and reports what was dropped."""
        room = {told.notification_id: MOST_MAILS for told in self._live}
        looked_at = 0
        while not self._pause and any(room.values()) and looked_at < MOST_LOOKED_AT:
            mails: list[_Mail] = []
            for told in self._live:
                if limit := room[told.notification_id]:
                    prepared = run_apart(self._cursor, told.notification_id, partial(self._prepare, told, limit))
                    self.failed += prepared is None
                    found, are_all = prepared or ([], True)  # one that failed is looked at no more
                    mails += found
                    if are_all:
                        room[told.notification_id] = 0
            looked_at += len(mails)
            for told_id in self._decide(sorted(mails, key=_order)):
                room[told_id] = max(room[told_id] - 1, 0)
        self._report_dropped()

    def _prepare(self, told: Told, limit: int) -> tuple[list[_Mail], bool]:
        """The next that quiet hours hold, and up to a limit of others; whether these are all there are."""
        taken = mails_due.take(self._cursor, told, self._instant, AT_ONCE)
        subjects = read_subjects(self._cursor, sorted(due.subject_id for due in taken))
        zones = {subject_id: find_zone(subject.traits) for subject_id, subject in subjects.items()}
        quiet: Json | None = told.notification.settings.get("quiet")
        mails: list[_Mail] = []
        free: list[tuple[Due, Json]] = []
        for due in taken:
            zone = zones.get(due.subject_id)
            hours = {"quiet": {**quiet, "time_zone": zone.key} if zone else quiet} if quiet else {}
            if hours and (end := find_quiet_end(read_quiet_hours(hours["quiet"]), self._instant)):
                mails.append(_Mail(due, told, self._rules.zone, end, {}))
            else:
                free.append((due, hours))
        ids = [due.subject_id for due, _ in free[:limit]]
        template = self._templates[told.notification_id]
        companies = read_companies(self._cursor, ids) if ids else {}
        aggregates = compute(self._cursor, template.get("aggregates", {}), ids, self._instant)
        for due, hours in free[:limit]:
            zone = zones.get(due.subject_id)
            body = {
                **self._build(told, due, subjects.get(due.subject_id, Subject("", [], {})), zone),
                "company": companies.get(due.subject_id),
                "aggregates": aggregates.get(due.subject_id, {}),
                "template": template,
                **hours,
            }
            mails.append(_Mail(due, told, zone or self._rules.zone, None, body))
        return mails, len(taken) < AT_ONCE and len(free) <= limit

    def _build(self, told: Told, due: Due, subject: Subject, zone: ZoneInfo | None) -> Json:
        settings, cause = told.notification.settings, due.cause
        return {
            **begin_body(told, due.name, self._instant),
            "kind": "mail",
            "user": {**_name(subject), "timezone": zone and zone.key, "traits": subject.traits},
            "events": [
                event for each in cause.values() if isinstance(each, dict) for event in each.get("events") or ()
            ],
            "cause": cause,
            "entered_at": format_instant(due.entered_at),
            "held_out": is_held_out(told.notification.name, due.subject_id, settings.get("hold_out", 0)),
        }

    def _decide(self, mails: Sequence[_Mail]) -> list[int]:
        """Writes or holds each; the notifications of those that are written."""
        sent = self._read_sent([mail.due.subject_id for mail in mails])
        held: list[tuple[str, datetime, str]] = []
        written: list[_Mail] = []
        for mail in mails:
            mine = sent.setdefault(mail.due.subject_id, [])
            room_at = None
            if not mail.told.notification.settings.get("ignores_caps"):
                room_at = find_room(self._rules.caps, mail.zone, mine, self._instant)
            if mail.quiet_end:
                held.append((mail.due.name, mail.quiet_end, "quiet"))
            elif room_at:
                held.append((mail.due.name, room_at, "capped"))
            else:
                written.append(mail)
                if not mail.body["held_out"]:
                    mine.append(self._instant)
        mails_due.hold(self._cursor, held)
        put_bodies(self._cursor, (mail.body for mail in written), self._instant)
        mails_due.write(self._cursor, [(mail.due.name, mail.body["held_out"]) for mail in written], self._instant)
        self.written += len(written)
        return [mail.told.notification_id for mail in written]

    def _read_sent(self, subject_ids: list[int]) -> dict[int, list[datetime]]:
        sent: dict[int, list[datetime]] = {}
        if any(self._rules.caps):
            self._cursor.execute(mails_due.SENT, (subject_ids, self._instant - KEPT))
            for subject_id, at in self._cursor.fetchall():
                sent.setdefault(subject_id, []).append(at)
        return sent

    def _report_dropped(self) -> None:
        """Tells the mailer of those that do not go, so that it reports them like any other."""
        dropped = mails_due.show_dropped(self._cursor, self._instant, MOST_MAILS)
        subjects = read_subjects(self._cursor, sorted({subject_id for subject_id, _ in dropped}))
        bodies = [
            {**body, "user": _name(subjects.get(subject_id, Subject("", [], {})))} for subject_id, body in dropped
        ]
        put_bodies(self._cursor, bodies, self._instant)
        self.written += len(bodies)


def _order(mail: _Mail) -> tuple[datetime, datetime, int, str]:
    return mail.due.due_at, mail.due.entered_at, mail.told.notification_id, mail.due.name


def _name(subject: Subject) -> dict[str, Any]:
    return {"id": subject.name, "address": subject.addresses[0] if subject.addresses else None}


def is_held_out(name: str, subject_id: int, share: float) -> bool:
    """Whether somebody belongs to the part that gets nothing, so that what mails do can be told; always the same."""
    digest = sha256(f"{name}\0{subject_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < share
