"""Resend: one JSON object a webhook, signed as Standard Webhooks (Svix); the id of the event is in a header.

Source: the facts page and Resend's documentation of webhooks. Resend says to whom a mail went, never which of them an
event is about: it becomes an event for each. So that nobody's address is given up for another's, a bounce among several
is undetermined, unless its text names the one.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from common.events import (
    BOUNCED,
    CLICKED,
    COMPLAINED,
    DEFERRED,
    DELIVERED,
    FAILED,
    INJECTED,
    OPENED,
    OTHER,
    PREVIOUSLY_BOUNCED,
    REJECTED,
    SPAM,
    UNDETERMINED,
    UNKNOWN,
    UNSUBSCRIBED,
    Event,
    Json,
    Kind,
    Unparseable,
)
from providers import Delivery
from providers._events import (
    CACHED,
    Columns,
    make_columns,
    parse_json,
    pick,
    read_address,
    read_events,
    readdress,
    restore_item,
)
from providers._fields import hash_canonical, read_epoch
from providers._mail_headers import read_mail_headers
from providers._ses_bounces import classify_bounce
from providers._smtp import read_smtp
from providers._standard_webhooks import check_standard_webhook, find_message_id

NAME = "resend"

verify = check_standard_webhook
find_batch_id = find_message_id

# Their type → ours.
TYPES = {
    "email.sent": INJECTED,
    "email.scheduled": INJECTED,  # accepted for a later time
    "email.delivered": DELIVERED,
    "email.delivery_delayed": DEFERRED,
    "email.bounced": BOUNCED,
    "email.complained": COMPLAINED,
    "email.opened": OPENED,
    "email.clicked": CLICKED,
    "email.failed": FAILED,
    "email.suppressed": REJECTED,
    "contact.created": UNKNOWN,
    "contact.updated": UNKNOWN,  # unsubscribed where it says so
    "contact.deleted": UNKNOWN,
    "suppression.created": UNKNOWN,  # of an address, not of a message
    "suppression.deleted": UNKNOWN,
    "domain.created": UNKNOWN,
    "domain.updated": UNKNOWN,
    "domain.deleted": UNKNOWN,
}
INBOUND = "email.received"
# Where the object with more about an event is.
PARTS = {
    "email.bounced": "bounce",
    "email.delivery_delayed": "delivery_delayed",
    "email.failed": "failed",
    "email.suppressed": "suppressed",
    "email.opened": "open",
    "email.clicked": "click",
}
# A word in the text of a suppression → why.
SUPPRESSIONS = {"complain": SPAM, "spam": SPAM, "bounce": PREVIOUSLY_BOUNCED}

_ADDRESS = re.compile(r"[^\s<>()\[\],;:\"']+@[^\s<>()\[\],;:\"']*[^\s<>()\[\],;:\"'.]")

TAKEN = {
    "message_id": ("data", "email_id"),
    "transmission_id": ("data", "broadcast_id"),
    "template": ("data", "template_id"),
    "subject": ("data", "subject"),
    "address": ("data", "from"),
    "url": ("data", "click", "link"),
    "metadata": ("data", "tags"),
}


def parse(body: bytes, delivery: Delivery) -> Iterator[Event | Unparseable]:
    """The body's one event, for each of its recipients."""
    return read_events(lambda: [parse_json(body)], lambda item: _read(item, delivery.batch_id), TAKEN, body=body)


def restore(event: Event) -> Json:
    """The webhook's body."""
    return restore_item(event, TAKEN)


def _read(item: Json, batch_id: str) -> Columns | list[Columns]:
    word, data = item.get("type"), item.get("data")
    if type(word) is not str:
        raise ValueError("the event has no type")
    if word == INBOUND:
        raise ValueError("a mail that Resend received, not an event: take email.received out of this webhook's types")
    if type(data) is not dict:
        raise ValueError("the event has no object data")
    occurred_at = read_epoch(item.get("created_at"))
    part = data.get(PARTS.get(word, ""))
    if type(part) is not dict:
        part = {}
    reason = _read_reason(part) if part else None
    recipients = _list_recipients(data)
    if len(recipients) > 1:
        recipients = _find_named(recipients, reason) or recipients
    several = len(recipients) > 1
    kind = find_kind(
        word,
        _text(part.get("type")),
        _text(part.get("subType")),
        _text(reason),
        several=several,
        unsubscribed=data.get("unsubscribed") is True,
    )
    event_id = batch_id or hash_canonical(item)
    tags, metadata = None, _read_tags(data.get("tags"))
    if headers := data.get("headers"):
        tags, attached = read_mail_headers(headers)
        metadata = metadata | attached
    columns = make_columns(
        occurred_at,
        event_id,
        kind,
        recipients[0] if recipients else None,
        message_id=data.get("email_id"),
        transmission_id=data.get("broadcast_id"),
        metadata=metadata,
        tags=tags or None,
        reason=reason,
        url=part.get("link"),
        ip_address=part.get("ipAddress"),
        user_agent=part.get("userAgent"),
        template=data.get("template_id"),
        subject=data.get("subject"),
        address=read_address(data.get("from")),
    )
    if not several:
        return columns
    return [readdress(columns, address, f"{event_id}:{address}") for address in recipients]


def _text(value: Any) -> str:
    return value if type(value) is str else ""


def _list_recipients(data: Json) -> list[str]:
    """The addresses of the mail, copies too, or of the contact, each once."""
    found: list[str | None] = []
    for name in ("to", "cc", "bcc", "email"):
        given = data.get(name)
        if given:
            found += map(read_address, given if type(given) is list else [given])
    return list(dict.fromkeys(address for address in found if address))


def _find_named(recipients: list[str], reason: Any) -> list[str]:
    """The recipients that the receiving server's words name."""
    words = set(_ADDRESS.findall(_text(reason).lower()))
    return [address for address in recipients if address in words]


def _read_reason(part: Json) -> Any:
    """The receiving server's words, where Resend has them, else its own."""
    diagnostic = part.get("diagnosticCode")
    if type(diagnostic) is list:
        diagnostic = " ".join(text for text in diagnostic if type(text) is str)
    return diagnostic or part.get("message") or part.get("reason")


def _read_tags(tags: Any) -> Json:
    """Resend's tags are names with values: `{name: value}`, or a list of `{"name": …, "value": …}`."""
    if type(tags) is dict:
        return tags
    pairs = tags if type(tags) is list else []
    return {name: pick(pair, "value") for pair in pairs if type(name := pick(pair, "name")) is str}


@lru_cache(CACHED)
def find_kind(word: str, part_type: str, sub_type: str, reason: str, *, several: bool, unsubscribed: bool) -> Kind:
    """The kind of a type and of the words in the object with more about it."""
    attributes: Json = {"event_type": TYPES.get(word, UNKNOWN)}
    if word == "email.bounced":
        attributes = classify_bounce(part_type, sub_type)
        if several:
            attributes["bounce_kind"] = UNDETERMINED
    elif word == "email.complained":
        attributes["reject_reason"] = SPAM
    elif word == "email.suppressed":
        text = f"{part_type} {reason}".lower()
        attributes["reject_reason"] = next((why for sign, why in SUPPRESSIONS.items() if sign in text), OTHER)
    elif word == "contact.updated" and unsubscribed:
        attributes["event_type"] = UNSUBSCRIBED
    smtp_code, enhanced_status = read_smtp(reason)
    words = (word, part_type, sub_type) if word in ("email.bounced", "email.suppressed") else (word,)
    return Kind(NAME, "/".join(filter(None, words)), smtp_code=smtp_code, enhanced_status=enhanced_status, **attributes)
