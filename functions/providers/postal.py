"""Postal: one JSON object a webhook, signed by RSA over the body, a `uuid` that stays the same when it is sent again.

Sources: the facts page; Postal's documentation and source, from memory. Postal tells of incoming mail too; such is no
event here. Its open is called MessageLoaded. Postal waits 5 seconds for an answer and tries six times in half an hour.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime

from common.events import (
    BLOCK,
    BLOCKED,
    BOUNCED,
    CLICKED,
    DEFERRED,
    DELIVERED,
    HARD,
    OPENED,
    PREVIOUSLY_BOUNCED,
    REJECTED,
    SOFT,
    TIMED_OUT,
    UNDETERMINED,
    UNKNOWN,
    Event,
    Json,
    Unparseable,
)
from providers import Delivery, WebhookRequest
from providers._events import Columns, make_columns, make_kind, parse_json, pick, read_events, restore_item
from providers._fields import hash_canonical, read_epoch, read_text
from providers._smtp import read_smtp
from providers._verification import decode_base64, read_header

NAME = "postal"
SIGNATURE, SIGNATURE_256 = "x-postal-signature", "x-postal-signature-256"
_DKIM_KEY = re.compile(r"(?:^|[;\s])p=([A-Za-z0-9+/=\s]+)")

# Their word → ours. All else is not about a message: DomainDNSError, SendLimitApproaching, SendLimitExceeded.
TYPES = {
    "MessageSent": DELIVERED,
    "MessageDelayed": DEFERRED,
    "MessageDeliveryFailed": BOUNCED,
    "MessageHeld": REJECTED,  # by policy or the suppression list; somebody may release it later
    "MessageBounced": BOUNCED,
    "MessageLinkClicked": CLICKED,
    "MessageLoaded": OPENED,
}

TAKEN = {
    "transmission_id": ("payload", "message", "message_id"),
    "recipient": ("payload", "message", "to"),
    "address": ("payload", "message", "from"),
    "subject": ("payload", "message", "subject"),
    "reason": ("payload", "output"),
    "url": ("payload", "url"),
    "ip_address": ("payload", "ip_address"),
    "user_agent": ("payload", "user_agent"),
}


def verify(request: WebhookRequest, secrets: Sequence[str], _now: datetime) -> None:
    """RSA over the body: SHA-256 in the newer header, SHA-1 in the older; no time is signed.

    Secrets are the installation's public key, or the record that `postal default-dkim-record` prints, which holds it.
    """
    from providers._signatures import check_rsa

    digest, name = ("sha256", SIGNATURE_256) if SIGNATURE_256 in request.headers else ("sha1", SIGNATURE)
    check_rsa(decode_base64(read_header(request, name)), [_find_key(key) for key in secrets], request.body, digest)


def _find_key(text: str) -> str:
    """The key in a DKIM record, or the text itself."""
    found = _DKIM_KEY.search(text) if "DKIM1" in text else None
    return text if found is None else "".join(found[1].split())


def parse(body: bytes, _delivery: Delivery) -> Iterator[Event | Unparseable]:
    """The body's one event; none of incoming mail."""
    return read_events(lambda: [parse_json(body)], _read, TAKEN, body=body)


def restore(event: Event) -> Json:
    """The webhook's body."""
    return restore_item(event, TAKEN)


def _read(item: Json) -> Columns | None:
    provider_type = item.get("event")
    if type(provider_type) is not str or not provider_type:
        if "mail_from" in item and "rcpt_to" in item:
            raise ValueError("a mail that came in, not what became of one sent: give HTTP endpoints another URL")
        raise ValueError("the webhook has no field event")
    payload = item.get("payload")
    message = pick(payload, "original_message") or pick(payload, "message")
    if pick(message, "direction") == "incoming":
        return None
    event_type = TYPES.get(provider_type, UNKNOWN)
    output, details = pick(payload, "output"), pick(payload, "details")
    smtp_code, enhanced_status = read_smtp(output)
    bounce_kind, reject_reason = _classify(provider_type, smtp_code, enhanced_status, details)
    tag = pick(message, "tag")
    return make_columns(
        read_epoch(item.get("timestamp")),
        read_text(item.get("uuid")) or hash_canonical(item),
        make_kind(
            NAME,
            provider_type,
            event_type,
            bounce_kind=bounce_kind,
            out_of_band=provider_type == "MessageBounced",
            reject_reason=reject_reason,
            smtp_code=smtp_code,
            enhanced_status=enhanced_status,
        ),
        recipient=pick(message, "to"),
        # The send call returns an id for each recipient, and the Message-ID that all of them share.
        message_id=pick(message, "id"),
        transmission_id=pick(message, "message_id"),
        tags=tag,
        reason=output or details,
        url=pick(payload, "url"),
        ip_address=pick(payload, "ip_address"),
        user_agent=pick(payload, "user_agent"),
        subject=pick(message, "subject"),
        address=pick(message, "from"),
    )


def _classify(
    provider_type: str, smtp_code: int | None, enhanced_status: str | None, details: object
) -> tuple[str | None, str | None]:
    """The kind of bounce and the reason. What came back as a mail does not say whether it is for good."""
    if provider_type == "MessageHeld":
        return None, PREVIOUSLY_BOUNCED if "suppression list" in str(details).lower() else BLOCKED
    if provider_type == "MessageBounced":
        return UNDETERMINED, PREVIOUSLY_BOUNCED
    if provider_type != "MessageDeliveryFailed":
        return None, None
    status = enhanced_status or ""
    if status.startswith("5.7."):
        return BLOCK, BLOCKED
    if status.startswith("4.") or str(smtp_code).startswith("4") or "maximum number" in str(details).lower():
        return SOFT, TIMED_OUT  # Postal gave up
    return (UNDETERMINED if smtp_code is None and not status else HARD), PREVIOUSLY_BOUNCED
