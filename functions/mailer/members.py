"""Behavioural mail: from one object of the outbox to a mail to the member herself, if she may get it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from common.addresses import AddressError, read_address
from common.aws import AwsError
from common.quiet_hours import find_quiet_end, read_quiet_hours
from common.suppression_table import SuppressionTable
from mailer.mime import Envelope, build_mail
from mailer.outcomes import FAILED, HELD_OUT, LONGEST_PAUSE, SUPPRESSED, Outcome, retry
from mailer.ses import send_mail
from mailer.templates import RenderError, make_context, render
from mailer.unsubscribing import Keys, Subscription, make_token

TEST_MARK: Final = "[Test]"


@dataclass(kw_only=True)
class MemberMails:
    """Sends mails to members."""

    ses: Any  # a client of SES v2 that does not retry by itself
    suppressions: SuppressionTable
    keys: Keys  # that sign links
    unsubscribe_url: str  # of the endpoint; the token follows
    sender: str
    sender_name: str
    configuration_set: str

    def send(self, body: dict[str, Any], tags: dict[str, str], now: datetime) -> Outcome:
        """One attempt."""
        if "dropped" in body:  # while it waited for its time: {"state", "error"}
            return Outcome(**body["dropped"])
        if body.get("held_out"):
            return Outcome(HELD_OUT)
        if not self.sender:
            return Outcome(FAILED, "no sender is set: the template's parameter SenderAddress")
        try:
            to = read_address(find_address(body))
            raw = self._build(body, to, now)
        except (AddressError, RenderError) as failure:
            return Outcome(FAILED, str(failure))
        except (AwsError, ValueError) as failure:
            return retry(f"the link to unsubscribe can't be signed: {type(failure).__name__}")
        # Nothing may come between: who unsubscribes is not mailed a moment later.
        try:
            reason = self._find_reason(body, to)
        except AwsError:
            return retry("the list of whom not to mail can't be read")
        if reason:
            return Outcome(
                SUPPRESSED, f"the address has {reason}" if reason != "manual" else "the address is on the list"
            )
        return send_mail(self.ses, raw, [to], self.configuration_set, tags)

    def _build(self, body: dict[str, Any], to: str, now: datetime) -> bytes:
        template = body["template"]
        subscription = Subscription(find_address(body).lower(), template["topic"], body["id"])
        url = f"{self.unsubscribe_url}/{make_token(subscription, self.keys.find())}"
        envelope = Envelope(body["id"], self.sender, self.sender_name, to, template.get("reply_to", ""), url, now)
        rendered = render(template, make_context(body, url))
        if body.get("kind") == "test":
            rendered = rendered._replace(subject=f"{TEST_MARK} {rendered.subject}")
        return build_mail(rendered, envelope)

    def _find_reason(self, body: dict[str, Any], to: str) -> str:
        """Why she must not get it, by the address as it is known and as it is mailed."""
        addresses = {find_address(body).lower(), to.lower()}
        reasons = (self.suppressions.find_reason(address, body["template"]["topic"]) for address in sorted(addresses))
        return next(filter(None, reasons), "")


def find_address(body: dict[str, Any]) -> str:
    """Whom a mail goes to: the member, or of a test whoever is to look at it."""
    return (body.get("to") or body["user"]["address"] or "").strip()


def find_quiet_pause(body: dict[str, Any], now: datetime) -> timedelta | None:
    """How long a mail waits for the end of quiet hours, or half a day of that; None where it is none of them."""
    given = body.get("quiet")
    end = given and find_quiet_end(read_quiet_hours(given), now)
    return min(end - now, LONGEST_PAUSE) if end else None
