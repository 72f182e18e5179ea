"""MailerSend: one JSON object a webhook, signed by HMAC-SHA256 over the body, an id of its own for each event.

Source: MailerSend's documentation of webhooks. Its samples come in an envelope that the documentation does not show.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from common.events import (
    BOUNCED,
    CLICKED,
    COMPLAINED,
    DELIVERED,
    HARD,
    INJECTED,
    OPENED,
    PREVIOUSLY_BOUNCED,
    PREVIOUSLY_UNSUBSCRIBED,
    SOFT,
    SPAM,
    UNKNOWN,
    UNSUBSCRIBED,
    Event,
    Json,
    Unparseable,
)
from providers import Delivery, WebhookRequest
from providers._events import Columns, make_columns, make_kind, parse_json, pick, read_events, restore_item
from providers._fields import read_epoch, read_text
from providers._smtp import read_smtp
from providers._verification import check_hmac, decode_hex, read_header

NAME = "mailersend"

# Their type → our type, and what of the kind it says.
TYPES: dict[str, tuple[str, Json]] = {
    "sent": (INJECTED, {}),
    "delivered": (DELIVERED, {}),
    "soft_bounced": (BOUNCED, {"bounce_kind": SOFT}),
    "hard_bounced": (BOUNCED, {"bounce_kind": HARD}),
    "opened": (OPENED, {}),
    "opened_unique": (OPENED, {"first_open": True}),
    "clicked": (CLICKED, {}),
    "clicked_unique": (CLICKED, {}),
    "unsubscribed": (UNSUBSCRIBED, {}),
    "spam_complaint": (COMPLAINED, {}),
}
# What the event is about, in `morph.object` → why it was refused.
REASONS = {
    "recipient_bounce": PREVIOUSLY_BOUNCED,
    "spam_complaint": SPAM,
    "recipient_unsubscribe": PREVIOUSLY_UNSUBSCRIBED,
}

TAKEN = {
    "recipient": ("data", "email", "recipient", "email"),
    "message_id": ("data", "email", "message", "id"),
    "transmission_id": ("data", "email", "id"),
    "tags": ("data", "email", "tags"),
    "subject": ("data", "email", "subject"),
    "address": ("data", "email", "from"),
    "url": ("data", "morph", "url"),
    "ip_address": ("data", "morph", "ip"),
    "reason": ("data", "morph", "reason"),
}


def verify(request: WebhookRequest, secrets: Sequence[str], _now: datetime) -> None:
    """`Signature` is the HMAC-SHA256 of the body, in hexadecimal."""
    check_hmac(decode_hex(read_header(request, "signature")), secrets, request.body)


def parse(body: bytes, _delivery: Delivery) -> Iterator[Event | Unparseable]:
    """The body's one event; the call that tests a webhook has no type and is no event."""
    return read_events(lambda: [parse_json(body)], _read, TAKEN, body=body)


def restore(event: Event) -> Json:
    """The webhook's body."""
    return restore_item(event, TAKEN)


def _read(item: Json) -> Columns | None:
    provider_type = pick(item, "data", "type")
    if item.get("type") == "webhook.test":
        return None
    if type(provider_type) is not str:
        if str(item.get("type")).startswith("inbound"):
            raise ValueError("a mail that came in, not what became of one sent: give inbound routes another URL")
        raise ValueError("the event has no data.type")
    event_id = read_text(pick(item, "data", "id"))
    if event_id is None:
        raise ValueError("the event has no data.id")
    email = pick(item, "data", "email")
    morph = pick(item, "data", "morph")
    event_type, attributes = TYPES.get(provider_type, (UNKNOWN, {}))
    reason = pick(morph, "reason") or pick(morph, "readable_reason")
    smtp_code, enhanced_status = read_smtp(reason)
    return make_columns(
        read_epoch(pick(item, "data", "created_at")),
        event_id,
        make_kind(
            NAME,
            provider_type,
            event_type,
            **attributes,
            reject_reason=REASONS.get(str(pick(morph, "object"))),
            smtp_code=smtp_code,
            enhanced_status=enhanced_status,
        ),
        recipient=pick(email, "recipient", "email"),
        message_id=pick(email, "message", "id"),
        transmission_id=pick(email, "id"),
        tags=pick(email, "tags"),
        subject=pick(email, "subject"),
        address=pick(email, "from"),
        url=pick(morph, "url"),
        ip_address=pick(morph, "ip"),
        reason=reason,
    )
