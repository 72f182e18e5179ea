"""SES as far as the stack plays it: what it publishes of mails that were sent with a configuration set.

Source: "Event data that Amazon SES publishes to Amazon SNS" and "Using the mailbox simulator", SES Developer Guide.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as modern
from functools import cached_property
from typing import Any

from common.clock import format_instant
from local.template import ACCOUNT_ID, REGION

SIMULATOR = "simulator.amazonses.com"
LONGEST_HEADERS = 10_240  # bytes of all headers that SES tells

Json = dict[str, Any]


@dataclass(kw_only=True)
class Mail:
    """A mail that SES took."""

    id: str  # SES's
    at: datetime
    recipients: list[str]
    raw: bytes
    tags: Mapping[str, str]
    configuration_set: str
    told: list[str] = field(default_factory=list)  # the words of the events that were published

    @cached_property
    def message(self) -> EmailMessage:
        """The mail, read."""
        return message_from_bytes(self.raw, policy=modern)

    def header(self, name: str) -> str:
        """A header as text, whatever is in it; empty where there is none."""
        try:
            return str(self.message.get(name, ""))
        except Exception:  # noqa: BLE001 (malformed headers fail in many ways, and only when they are looked at)
            return ""

    def part(self, kind: str) -> str:
        """The text of the part that is html or plain; empty where there is none."""
        try:
            found = self.message.get_body((kind,))
            return "" if found is None else str(found.get_content())
        except Exception:  # noqa: BLE001 (as above)
            return ""


def read_mail(kept: Mapping[str, Any]) -> Mail:
    """The mail that `local.cloud_server` kept: SES's id, the time, and the request of SendEmail."""
    request = kept["request"]
    return Mail(
        id=kept["id"],
        at=datetime.fromtimestamp(kept["at"], UTC),
        recipients=list(request.get("Destination", {}).get("ToAddresses", [])),
        raw=base64.b64decode(request["Content"].get("Raw", {}).get("Data", "")),
        tags={tag["Name"]: tag["Value"] for tag in request.get("EmailTags", [])},
        configuration_set=request.get("ConfigurationSetName", ""),
    )


def tell_sending(mail: Mail) -> Iterator[tuple[str, Json]]:
    """What happens to a mail by itself: type of event, and the object of that name."""
    yield "Send", {}
    for recipient in mail.recipients:
        yield from _tell_outcome(recipient, format_instant(mail.at))


def _tell_outcome(recipient: str, at: str) -> Iterator[tuple[str, Json]]:
    """It is delivered, unless the address is one of SES's mailbox simulator."""
    local, _, domain = recipient.lower().partition("@")
    asked = local.partition("+")[0] if domain == SIMULATOR else ""
    if asked in ("bounce", "suppressionlist"):
        bounced = {
            "emailAddress": recipient,
            "action": "failed",
            "status": "5.1.1",
            "diagnosticCode": "smtp; 550 5.1.1 user unknown",
        }
        yield (
            "Bounce",
            {
                "feedbackId": "local",
                "bounceType": "Permanent",
                "bounceSubType": "General" if asked == "bounce" else "OnAccountSuppressionList",
                "bouncedRecipients": [bounced],
                "timestamp": at,
                "reportingMTA": "dns; a1.smtp-out.amazonses.com",
            },
        )
        return
    yield (
        "Delivery",
        {
            "timestamp": at,
            "processingTimeMillis": 4,
            "recipients": [recipient],
            "smtpResponse": "250 2.6.0 Message received",
            "reportingMTA": "a1.smtp-out.amazonses.com",
        },
    )
    if asked == "complaint":
        yield (
            "Complaint",
            {
                "feedbackId": "local",
                "complaintSubType": None,
                "complainedRecipients": [{"emailAddress": recipient}],
                "timestamp": at,
                "complaintFeedbackType": "abuse",
            },
        )


def write_event(mail: Mail, word: str, part: Json) -> str:
    """The message that SES publishes; `word` is its type (`Click`), `part` the object of that name."""
    headers = [{"name": name, "value": mail.header(name)} for name in dict.fromkeys(mail.message.keys())]
    size = sum(len(each["name"]) + len(each["value"]) for each in headers)
    sender = mail.header("from")
    source = sender.rpartition("<")[2].rstrip(">")
    domain = source.rpartition("@")[2]
    described = {
        "timestamp": format_instant(mail.at),
        "source": sender,
        "sourceArn": f"arn:aws:ses:{REGION}:{ACCOUNT_ID}:identity/{source}",
        "sendingAccountId": ACCOUNT_ID,
        "messageId": mail.id,
        "destination": mail.recipients,
        "headersTruncated": size > LONGEST_HEADERS,
        "headers": headers if size <= LONGEST_HEADERS else [],
        "commonHeaders": {
            "from": [sender],
            "date": mail.header("date"),
            "to": mail.recipients,
            "messageId": mail.id,
            "subject": mail.header("subject"),
        },
        "tags": {
            "ses:operation": ["SendEmail"],
            "ses:configuration-set": [mail.configuration_set],
            "ses:source-ip": ["127.0.0.1"],
            "ses:from-domain": [domain],
            "ses:caller-identity": ["mailer"],
            **{name: [value] for name, value in mail.tags.items()},
        },
    }
    return json.dumps({"eventType": word, "mail": described, word[0].lower() + word[1:]: part})
