"""From one object of the outbox to a settled attempt."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from common.addresses import AddressError, read_address
from common.aws import AwsError
from common.objects import Bucket
from common.suppression_table import Suppression, SuppressionTable
from mailer.deliveries import report
from mailer.digests import build_digest
from mailer.ledger import BROKEN_OFF, Claim, Ledger
from mailer.members import MemberMails, find_address, find_quiet_pause
from mailer.outcomes import FAILED, RETRYING, SENT, UNKNOWN, Outcome, find_pause, postpone, retry
from mailer.outgoing import Outgoing
from mailer.pace import TooManyError
from mailer.ses import send_mail
from mailer.slack import send_slack
from mailer.webhooks import build_webhook, send_webhook

BUSY_PAUSE: Final = timedelta(minutes=1)
HOLD_PAUSE: Final = timedelta(hours=4)  # of mails to members while they are paused
# What the queue would soon give up, by its age or by how often it was handed out, is given up here, and reported.
LONGEST_WAIT: Final = timedelta(days=10)  # the queue keeps a message for 14 days
MOST_RECEIVED: Final = 390  # the queue hands a message out up to maxReceiveCount times, 400
HELD: Final = f"mails to members were held back for {LONGEST_WAIT.days} days"
NO_TURN: Final = f"there was no turn at SES for {LONGEST_WAIT.days} days"
BROKE_OFF: Final = "an attempt broke off: whether it went is not known"
# Channels at which the other side knows an id that came before: what may have gone is simply sent again.
REPEATABLE: Final = ("webhook",)

log = logging.getLogger(__name__)


class LaterError(Exception):
    """Not now: the message is to come again after a pause."""

    def __init__(self, pause: timedelta) -> None:
        super().__init__(f"again in {pause}")
        self.pause = pause


class Waiting(NamedTuple):
    """What the queue tells of a message."""

    received: int  # how often it was handed out, this time included
    age: timedelta

    @property
    def is_over(self) -> bool:
        """Whether this is the last time, as far as is up to the mailer."""
        return self.received >= MOST_RECEIVED or self.age >= LONGEST_WAIT


FRESH: Final = Waiting(1, timedelta(0))


@dataclass(kw_only=True)
class Sender:
    """Sends what the outbox holds, each once."""

    ledger: Ledger
    reports: Bucket  # the raw bucket
    outgoing: Outgoing
    ses: Any  # a client of SES v2 that does not retry by itself
    members: MemberMails
    suppressions: SuppressionTable
    is_paused: bool  # whether mails to members, and tests of them, wait
    find_secrets: Callable[[str], list[str]]  # the live secrets of a name
    sender: str  # From
    configuration_set: str
    console: str  # the console's address
    wait: Callable[[int], None]  # until SES takes a mail to so many
    send_unknown: bool  # whether what may have gone is sent again
    clock: Callable[[], datetime]
    random: Random = field(default_factory=Random)

    def send(self, body: dict[str, Any], waiting: Waiting = FRESH) -> str:
        """Sends one object, and says what became of it. Raises `LaterError` where it is to come again."""
        if body.get("kind") == "suppression":
            return self._suppress(body, waiting)
        if body.get("kind") == "pause":
            self.ledger.save_pause(is_paused=body["paused"], at=body["at"])
            return "saved"
        channel = next(iter(body["notification"]["channel"]))
        hindrance = self._wait(body, channel, waiting)
        now = self.clock()
        if pause := find_quiet_pause(body, now):
            raise LaterError(pause)
        claim, attempt = self.ledger.claim(body["id"], now)
        if claim is Claim.SETTLED:
            return "settled before"
        # It is handed out too few times more to wait for minutes until the claim is known to have broken off.
        busy_pause = BROKEN_OFF if waiting.is_over else BUSY_PAUSE
        if claim is Claim.BUSY:
            raise LaterError(busy_pause)
        if claim is Claim.UNKNOWN:
            if waiting.is_over or not (self.send_unknown or channel in REPEATABLE):
                # Another attempt might break off, too, and nobody would be told.
                outcome = retry(BROKE_OFF) if channel in REPEATABLE else Outcome(UNKNOWN, BROKE_OFF)
                return self._settle(body, attempt, outcome, now, waiting)
            if channel not in REPEATABLE:
                report(self.reports, body, attempt, find_recipient(body), Outcome(UNKNOWN, BROKE_OFF), now)
            if not self.ledger.claim_again(body["id"], attempt, now):
                raise LaterError(busy_pause)
            attempt += 1
        outcome = Outcome(FAILED, hindrance) if hindrance else self._attempt(channel, body, now)
        return self._settle(body, attempt, outcome, now, waiting)

    def _wait(self, body: dict[str, Any], channel: str, waiting: Waiting) -> str:
        """Waits for a mail's turn, before anything is claimed. Raises `LaterError` where that is later.

        Says what was in the way of a message that can't wait any longer.
        """
        if "dropped" in body:  # it only is to be reported
            return ""
        is_test = body.get("kind") == "test"  # which goes to colleagues: no pause is of it
        if channel == "mail" and (self.is_paused or (not is_test and self.ledger.is_paused(self.clock()))):
            if waiting.is_over:
                return HELD
            raise LaterError(HOLD_PAUSE)
        if recipients := count_recipients(body):
            try:
                self.wait(recipients)
            except (TooManyError, AwsError):
                if waiting.is_over:
                    return NO_TURN
                raise LaterError(self._postpone(waiting)) from None
        return ""

    def _suppress(self, body: dict[str, Any], waiting: Waiting) -> str:
        """Copies what the database says of whom not to mail. It may come again, and late: see `SuppressionTable`."""
        names = ("address", "topic", "reason", "source", "at")
        entries = [
            Suppression(**{name: str(entry[name]) for name in names}, removed=bool(entry.get("removed")))
            for entry in body.get("entries") or [body]
        ]
        try:
            self.suppressions.save_all(entries)
        except AwsError:
            raise LaterError(self._postpone(waiting)) from None
        return "saved"

    def _postpone(self, waiting: Waiting) -> timedelta:
        """Longer each time: many that wait must not wear their messages out."""
        return find_pause(postpone("", None), 1, self.random, waiting.received) or BUSY_PAUSE

    def _settle(self, body: dict[str, Any], attempt: int, outcome: Outcome, now: datetime, waiting: Waiting) -> str:
        """Reports an attempt, and ends its claim. Raises `LaterError` where there is to be another one."""
        is_open = outcome.state == RETRYING or (outcome.state == UNKNOWN and self.send_unknown)
        pause = find_pause(outcome, attempt, self.random, waiting.received) if is_open and not waiting.is_over else None
        if outcome.state == RETRYING and pause is None:
            tried = f"{LONGEST_WAIT.days} days" if waiting.is_over else f"{attempt} attempts"
            outcome = outcome._replace(state=FAILED, error=f"{outcome.error}; given up after {tried}")
        report(self.reports, body, attempt, find_recipient(body), outcome, now)
        state = "retrying" if pause is not None else "unknown" if outcome.state == UNKNOWN else "settled"
        self.ledger.settle(body["id"], attempt, state, now, used=pause is None or not outcome.is_postponed)
        extra = {"id": body["id"], "attempt": attempt, "state": outcome.state, "error": outcome.error}
        log.log(logging.INFO if outcome.state == SENT else logging.WARNING, "notification", extra=extra)
        if pause is not None:
            raise LaterError(pause)
        return outcome.state

    def _attempt(self, channel: str, body: dict[str, Any], now: datetime) -> Outcome:
        settings = body["notification"]["channel"][channel]
        if channel == "email":
            if not self.sender:
                return Outcome(FAILED, "no sender is set: the template's parameter SenderAddress")
            try:
                to = list(map(read_address, settings["to"]))
                raw = build_digest(body, self.sender, self.console).as_bytes()
            except AddressError as failure:
                return Outcome(FAILED, str(failure))
            return send_mail(self.ses, raw, to, self.configuration_set, make_tags(body))
        if channel == "mail":
            return self.members.send(body, make_tags(body), now)
        try:
            secrets = self.find_secrets(settings["secret"]) if "secret" in settings else []
        except (AwsError, ValueError) as failure:
            return retry(f"NotificationSecret can't be read: {type(failure).__name__}")
        if channel in ("slack", "webhook") and not secrets:
            return Outcome(FAILED, f"the secret {settings['secret']} is not set in NotificationSecret")
        if channel == "slack":
            return send_slack(self.outgoing, secrets[0], body, now)
        if channel == "webhook":
            return send_webhook(self.outgoing, settings["url"], body["id"], build_webhook(body), secrets, now)
        return Outcome(FAILED, f"the channel {channel} is not known here")


def count_recipients(body: dict[str, Any]) -> int:
    """To how many SES is asked to send."""
    ((channel, settings),) = body["notification"]["channel"].items()
    if channel == "email":
        return len(settings["to"])
    return int(channel == "mail" and not body.get("held_out"))


def find_recipient(body: dict[str, Any]) -> str:
    """Whom a delivery is shown to go to: addresses, or a host; nothing secret."""
    ((channel, settings),) = body["notification"]["channel"].items()
    if channel == "email":
        return ", ".join(settings["to"])
    if channel == "webhook":
        return urlsplit(settings["url"]).hostname or ""
    if channel == "mail":
        return find_address(body)
    return "slack"


def make_tags(body: dict[str, Any]) -> dict[str, str]:
    """What SES tells again with each event of the mail: the id leads back to the ledger."""
    tags = {"id": body["id"], "notification": body["notification"]["name"]}
    if "template" in body:
        tags["template"] = body["template"]["name"]
    return {f"mailwake-{name}": value[:256] for name, value in tags.items()}
