"""From one object of the outbox to a settled attempt."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final
from urllib.parse import urlsplit

from common.aws import AwsError
from common.objects import Bucket
from common.suppression_table import Suppression, SuppressionTable
from mailer.deliveries import report
from mailer.digests import build_digest
from mailer.ledger import Claim, Ledger
from mailer.members import MemberMails
from mailer.mime import AddressError
from mailer.outcomes import FAILED, RETRYING, SENT, UNKNOWN, Outcome, find_pause, retry
from mailer.outgoing import Outgoing
from mailer.ses import send_mail
from mailer.slack import send_slack
from mailer.webhooks import build_webhook, send_webhook

BUSY_PAUSE: Final = timedelta(minutes=1)
HOLD_PAUSE: Final = timedelta(hours=4)  # of mails to members while they are paused; the queue gives up after 60 times
BROKE_OFF: Final = "an attempt broke off: whether it went is not known"
# Channels at which the other side knows an id that came before: what may have gone is simply sent again.
REPEATABLE: Final = ("webhook",)

log = logging.getLogger(__name__)


class LaterError(Exception):
    """Not now: the message is to come again after a pause."""

    def __init__(self, pause: timedelta) -> None:
        super().__init__(f"again in {pause}")
        self.pause = pause


@dataclass(kw_only=True)
class Sender:
    """Sends what the outbox holds, each once."""

    ledger: Ledger
    reports: Bucket  # the raw bucket
    outgoing: Outgoing
    ses: Any  # a client of SES v2 that does not retry by itself
    members: MemberMails
    suppressions: SuppressionTable
    is_paused: bool  # whether mails to members wait
    find_secrets: Callable[[str], list[str]]  # the live secrets of a name
    sender: str  # From
    configuration_set: str
    console: str  # the console's address
    send_unknown: bool  # whether what may have gone is sent again
    clock: Callable[[], datetime]
    random: Random = field(default_factory=Random)

    def send(self, body: dict[str, Any]) -> str:
        """Sends one object, and says what became of it. Raises `LaterError` where it is to come again."""
        if body.get("kind") == "suppression":
            return self._suppress(body)
        now = self.clock()
        channel = next(iter(body["notification"]["channel"]))
        if channel == "mail" and self.is_paused:
            raise LaterError(HOLD_PAUSE)
        claim, attempt = self.ledger.claim(body["id"], now)
        if claim is Claim.SETTLED:
            return "settled before"
        if claim is Claim.BUSY:
            raise LaterError(BUSY_PAUSE)
        if claim is Claim.UNKNOWN:
            if not (self.send_unknown or channel in REPEATABLE):
                return self._settle(body, attempt, Outcome(UNKNOWN, BROKE_OFF), now)
            if not self.ledger.claim_again(body["id"], attempt, now):
                raise LaterError(BUSY_PAUSE)
            attempt += 1
        return self._settle(body, attempt, self._attempt(channel, body, now), now)

    def _suppress(self, body: dict[str, Any]) -> str:
        """Copies what the database says of whom not to mail. It may come again, and late: see `SuppressionTable`."""
        try:
            for entry in body.get("entries") or [body]:
                fields = {name: str(entry[name]) for name in ("address", "topic", "reason", "source", "at")}
                self.suppressions.save(Suppression(**fields, removed=bool(entry.get("removed"))))
        except AwsError:
            raise LaterError(BUSY_PAUSE) from None
        return "saved"

    def _settle(self, body: dict[str, Any], attempt: int, outcome: Outcome, now: datetime) -> str:
        """Reports an attempt, and ends its claim. Raises `LaterError` where there is to be another one."""
        pause = find_pause(outcome, attempt, self.random) if outcome.state == RETRYING else None
        if outcome.state == RETRYING and pause is None:
            outcome = outcome._replace(state=FAILED, error=f"{outcome.error}; given up after {attempt} attempts")
        report(self.reports, body, attempt, find_recipient(body), outcome, now)
        state = {RETRYING: "retrying", UNKNOWN: "unknown"}.get(outcome.state, "settled")
        self.ledger.settle(body["id"], attempt, state, now)
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
                raw = build_digest(body, self.sender, self.console).as_bytes()
            except AddressError as failure:
                return Outcome(FAILED, str(failure))
            return send_mail(self.ses, raw, settings["to"], self.configuration_set, make_tags(body))
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


def find_recipient(body: dict[str, Any]) -> str:
    """Whom a delivery is shown to go to: addresses, or a host; nothing secret."""
    ((channel, settings),) = body["notification"]["channel"].items()
    if channel == "email":
        return ", ".join(settings["to"])
    if channel == "webhook":
        return urlsplit(settings["url"]).hostname or ""
    if channel == "mail":
        return body["user"]["address"] or ""
    return "slack"


def make_tags(body: dict[str, Any]) -> dict[str, str]:
    """What SES tells again with each event of the mail: the id leads back to the ledger."""
    return {"mailwake-id": body["id"][:256], "mailwake-notification": body["notification"]["name"][:256]}
