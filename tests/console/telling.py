"""Notifications with what became of their mails, a template in two versions, and whom not to mail, for the console."""

import contextlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection

from cohort_evaluator.store import save_notification, save_template
from cohort_evaluator.suppressing import add_suppression, remove_suppression
from common.clock import format_instant
from local.stack import Stack
from s3_loader.batches import Batch, Limits
from s3_loader.deliveries import load_delivery
from s3_loader.loading import Loader
from tests.console.cohorts import ACTIVE, CAME_BACK, FAILING
from tests.console.traffic import MARKUP

WELCOME = "first-call-failed"
MAIL, DIGEST, HOOK = "first-call-mail", "team-digest", "crm-hook"
MANUAL, REMOVED, GONE = "by-hand@example.com", "back-again@example.com", "take-me-off@example.com"
MEMBERS, HELD_OUT = 24, 16
BACK_OF_MAILED, BACK_OF_HELD_OUT = 15, 3  # how many of them came back within a week
UNSUBSCRIBED = "member2@example.com"  # by the link in her mail
HOSTILE = "hostile"
TEAM = "team@example.com"
HTML = """<style>h1 {{ color: #0b5c8a }}</style>
<h1 style="font-size: 20px">Hi {{{{ user.traits.metadata.name | default('there') }}}}{mark}</h1>
<p>your first call met a 400: that is quickly mended.</p>
<p><a href="{{{{ unsubscribe_url }}}}">No more of these</a></p>
"""
TEXT = "Hi {{ user.traits.metadata.name | default('there') }},\n\nthat is quickly mended.\n\n{{ unsubscribe_url }}\n"
LIMITS = Limits(oldest=timedelta(days=90), expired_before=datetime(2020, 1, 1, tzinfo=UTC))


def build_template(mark: str, **fields: str) -> dict[str, Any]:
    """A template whose versions differ by a mark."""
    own = {"subject": f"Your first call met a 400{mark}", "html": HTML.format(mark=mark), "text": TEXT}
    return {**own, "topic": "onboarding", **fields}


def build_notifications() -> list[dict[str, Any]]:
    """One for each of three channels."""
    mail = {"template": WELCOME, "repeat": "once", "hold_out": 0.4}
    hook = {"url": "https://crm.example.com/hooks/mailwake", "secret": "crm"}
    return [
        {"name": MAIL, "cohort": FAILING, "on": ["entered"], "channel": {"mail": mail}},
        {"name": DIGEST, "cohort": FAILING, "on": ["entered", "exited"], "channel": {"email": {"to": [TEAM]}}},
        {"name": HOOK, "cohort": ACTIVE, "on": ["entered"], "channel": {"webhook": hook}, "fields": ["metadata.plan"]},
    ]


class Story:
    """What is loaded into a stack, as its functions would."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.now = datetime.now(UTC)
        self.loader = Loader()
        self.number = 0

    def at(self, days: float) -> str:
        """So many days ago."""
        return format_instant(self.now - timedelta(days=days))

    def report(self, name: str, days: float, state: str, recipient: str | None, **fields: Any) -> None:
        """An attempt of the mailer's."""
        empty = dict.fromkeys(("error", "status", "message_id", "template", "template_version", "user"))
        own = {"id": name, "attempt": 1, "at": self.at(days), "state": state, "recipient": recipient}
        told = {**empty, "notification": MAIL, "cohort": FAILING, "channel": "mail", **own, **fields}
        self._load("mailwake", told, days)

    def tell(self, kind: str, days: float, message: str, recipient: str) -> None:
        """An event of SES's."""
        at = self.at(days)
        headers = {"subject": "Your first call met a 400", "from": ["we@example.com"]}
        mail: dict[str, Any] = {"messageId": message, "timestamp": at, "destination": [recipient]}
        mail |= {"source": "we@example.com", "tags": {"campaign": ["Onboarding"]}, "commonHeaders": headers}
        part = {"timestamp": at, "recipients": [recipient]} if kind == "Delivery" else {"timestamp": at}
        self._load("amazon_ses", {"eventType": kind, "mail": mail, kind.lower(): part}, days)

    def unsubscribe(self, name: str, days: float, address: str) -> None:
        """A click on the link in a mail."""
        told = {"kind": "unsubscribe", "address": address, "topic": "onboarding", "at": self.at(days)}
        self._load("mailwake", {**told, "delivery": name}, days)

    def _load(self, provider: str, item: dict[str, Any], days: float) -> None:
        self.number += 1
        received_at = self.now - timedelta(days=days)
        key = f"raw/{provider}/console-{self.number}-{self.now:%H%M%S%f}"
        if provider == "mailwake":
            batch = Batch(key, provider, None, None, received_at, json.dumps(item).encode())
            load = load_delivery(self.connection, batch, replay=False)
        else:
            envelope = {"Type": "Notification", "MessageId": key, "Message": json.dumps(item)}
            batch = Batch(key, provider, None, None, received_at, json.dumps(envelope).encode())
            load = self.loader.load(self.connection, batch, LIMITS)
        assert load.quarantined == 0, key

    def enter(self, user: str, days: float | None) -> None:
        """Somebody who is known, and has entered the goal so many days ago, if at all."""
        values = {"user": user, "at": None if days is None else self.at(days), "cohort": CAME_BACK}
        with self.connection, self.connection.cursor() as cursor:
            cursor.execute(ENTER, values)


ENTER = """
WITH who AS (
    INSERT INTO identities (identity_id, content_key, identity_type, value, person_id)
    SELECT id, -id, 'user', %(user)s, id FROM nextval('identities_identity_id_seq') AS id RETURNING identity_id),
entered AS (
    INSERT INTO memberships (cohort_id, subject_id, entered_at)
    SELECT cohort_id, identity_id, %(at)s FROM cohorts, who WHERE name = %(cohort)s AND %(at)s IS NOT NULL RETURNING *)
INSERT INTO transitions (cohort_id, version, subject_id, kind, at, told_at, cause)
SELECT cohort_id, 1, subject_id, 'entered', entered_at, entered_at, '{}' FROM entered
"""


def load(stack: Stack) -> None:
    """Thirty-odd mails of the last weeks, and what became of them."""
    with contextlib.closing(psycopg2.connect(stack.database_dsn(), options="-c timezone=UTC")) as connection:
        story = Story(connection)
        for mark in ("", "!"):
            save_template(connection, WELCOME, build_template(mark), story.now, "ann")
        for definition in build_notifications():
            save_notification(connection, definition, story.now, "ann")
        for number in range(MEMBERS):
            tell_member(story, number, 20 - number / 8)
        for number in range(HELD_OUT):
            user, name, days = f"held{number}", f"mail-9-{1000 + number}", 20 - number / 8
            story.report(name, days, "held_out", f"{user}@example.com", user=user, **make_version(number))
            story.enter(user, days - 2 if number < BACK_OF_HELD_OUT else None)
        tell_others(story)


def make_version(number: int) -> dict[str, Any]:
    """The first ones got the first version."""
    return {"template": WELCOME, "template_version": 1 if number % 3 == 0 else 2}


def tell_member(story: Story, number: int, days: float) -> None:
    """A mail to one member; some open and click it, and many come back."""
    user, name, message = f"member{number}", f"mail-9-{number}", f"0100019a-{number:04}-ses"
    address = f"{user}@example.com"
    story.report(name, days, "sent", address, user=user, message_id=message, **make_version(number))
    story.tell("Send", days, message, address)
    story.tell("Delivery", days - 0.001, message, address)
    if number % 2 == 0:
        story.tell("Open", days - 0.1, message, address)
    if number % 5 == 0:
        story.tell("Click", days - 0.11, message, address)
    if address == UNSUBSCRIBED:
        story.unsubscribe(name, days - 0.2, address)
    story.enter(user, days - 3 if number < BACK_OF_MAILED else None)


def tell_others(story: Story) -> None:
    """What did not go, in each way, and messages to the team and a webhook."""
    mail = {"template": WELCOME, "template_version": 2}
    for name, days, attempt, state, user, error in (
        ("mail-9-500", 0.3, 1, "suppressed", "ada.lovelace", "the address has bounced"),
        ("mail-9-501", 0.29, 1, "retrying", "slow", "SES is busy"),
        ("mail-9-501", 0.2, 2, "failed", "slow", "html: line 3: name is missing"),
        ("mail-9-502", 0.1, 1, "unknown", "who", "an attempt broke off: whether it went is not known"),
    ):
        story.report(name, days, state, f"{user}@example.com", user=user, **mail, error=error, attempt=attempt)
    team = {"notification": DIGEST, "channel": "email", "message_id": "0100019a-digest"}
    story.report("ntf-7-1-9", 0.5, "sent", TEAM, **team)
    hook = {"notification": HOOK, "cohort": ACTIVE, "channel": "webhook"}
    story.report("ntf-8-1-2", 0.4, "retrying", "crm.example.com", **hook, error="it answered 503", status=503)
    story.report("ntf-8-1-2", 0.39, "sent", "crm.example.com", **hook, status=200, attempt=2)
    for address in (MANUAL, REMOVED, GONE):
        add_suppression(story.connection, address, "*", story.now, "ann")
    remove_suppression(story.connection, REMOVED, "*", story.now, "ann")


def load_hostile(stack: Stack) -> None:
    """Markup wherever a report, a reason or a name can have some."""
    with contextlib.closing(psycopg2.connect(stack.database_dsn(), options="-c timezone=UTC")) as connection:
        story = Story(connection)
        template = build_template("", subject=MARKUP, text=MARKUP, html=f"<p>{MARKUP}</p><p>still here</p>")
        save_template(connection, HOSTILE, template, story.now, MARKUP)
        fields = {"error": MARKUP, "user": MARKUP, "template": MARKUP, "template_version": 1, "notification": MARKUP}
        story.report(f"mail-{MARKUP}", 0.01, "failed", MARKUP, **{**fields, "cohort": MARKUP})
        add_suppression(connection, "hostile@example.com", "*", story.now, MARKUP)
