"""Mailgun: one JSON object a webhook (`signature` and `event-data`), or the legacy form; the signature is in the body.

Source: the facts page and Mailgun's documentation of webhooks. What is signed is a time and a token, not the event: who
holds one signature could send any event under it. So the time must be recent, and the token is the batch's id, which
brings one body only: the loader sets another one under the same token aside (`SINGLE_USE_BATCH_ID`).
Where a subaccount's webhook carries `parent-signature` too, that one is not looked at: two tokens of which one is
checked would be none. The key of the subaccount is the one to configure.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from email.utils import getaddresses
from functools import lru_cache
from typing import Any

from common.events import (
    BLOCK,
    BLOCKED,
    BOUNCED,
    CLICKED,
    COMPLAINED,
    DEFERRED,
    DELIVERED,
    HARD,
    INJECTED,
    OPENED,
    OTHER,
    PREVIOUSLY_BOUNCED,
    PREVIOUSLY_UNSUBSCRIBED,
    REJECTED,
    SOFT,
    SPAM,
    TIMED_OUT,
    UNDETERMINED,
    UNKNOWN,
    UNSUBSCRIBED,
    Event,
    Json,
    Kind,
    Unparseable,
)
from providers import Delivery, UnverifiedError, WebhookRequest
from providers._events import CACHED, Columns, make_columns, parse_json, pick, read_events, readdress, restore_item
from providers._fields import hash_canonical, read_epoch, read_text
from providers._forms import decode_text, is_form, read_fields
from providers._smtp import read_smtp
from providers._verification import check_hmac, check_recent, decode_hex, read_seconds

NAME = "mailgun"
SINGLE_USE_BATCH_ID = True
# The token, and so the signature, is made for each POST: one that is sent again is signed again.
WINDOW = timedelta(minutes=15)

# Their word → ours.
TYPES = {
    "accepted": INJECTED,
    "rejected": REJECTED,
    "delivered": DELIVERED,
    "failed": BOUNCED,  # or deferred, where its severity is temporary
    "opened": OPENED,
    "clicked": CLICKED,
    "unsubscribed": UNSUBSCRIBED,
    "complained": COMPLAINED,
    "stored": UNKNOWN,  # kept for being fetched: nothing that happened to a message
}
# `reason` of a permanent failure → our type, kind of bounce, why. What is suppressed was never sent.
REASONS = {
    "bounce": (BOUNCED, HARD, PREVIOUSLY_BOUNCED),
    "espblock": (BOUNCED, BLOCK, BLOCKED),
    "old": (BOUNCED, SOFT, TIMED_OUT),  # tried for too long
    "suppress-bounce": (REJECTED, None, PREVIOUSLY_BOUNCED),
    "suppress-complaint": (REJECTED, None, SPAM),
    "suppress-unsubscribe": (REJECTED, None, PREVIOUSLY_UNSUBSCRIBED),
}
# Mailgun's own codes in the place of a server's reply.
CODES = {605: PREVIOUSLY_BOUNCED, 606: PREVIOUSLY_UNSUBSCRIBED, 607: SPAM, 499: TIMED_OUT}
BOUNCE_TYPES = {"hard": HARD, "soft": SOFT}

TAKEN = {
    "recipient": ("event-data", "recipient"),
    "message_id": ("event-data", "message", "headers", "message-id"),
    "subject": ("event-data", "message", "headers", "subject"),
    "address": ("event-data", "message", "headers", "from"),
    "tags": ("event-data", "tags"),
    "metadata": ("event-data", "user-variables"),
    "reason": ("event-data", "delivery-status", "message"),
    "url": ("event-data", "url"),
    "ip_address": ("event-data", "ip"),
    "user_agent": ("event-data", "client-info", "user-agent"),
    "template": ("event-data", "template", "name"),
    "sending_ip": ("event-data", "envelope", "sending-ip"),
    "mailbox_provider": ("event-data", "recipient-provider"),
    "subaccount": ("event-data", "account", "id"),
}


def verify(request: WebhookRequest, secrets: Sequence[str], now: datetime) -> None:
    """`signature` is the HMAC-SHA256 of time and token, in hexadecimal; secrets are webhook signing keys."""
    timestamp, token, signature = read_signature(request)
    check_hmac(decode_hex(signature), secrets, (timestamp + token).encode())
    check_recent(read_seconds(timestamp), now, WINDOW)


def find_batch_id(request: WebhookRequest) -> str:
    """The token that was signed."""
    try:
        return read_signature(request)[1]
    except UnverifiedError:
        return ""


def read_signature(request: WebhookRequest) -> tuple[str, str, str]:
    """Time, token and signature. In a form the last of each name: before it, there may be a user's variable."""
    content_type = request.headers.get("content-type", "")
    if is_form(content_type):
        fields = {name: decode_text(value) for name, value in read_fields(request.body, content_type)}
        found = [fields.get(name.encode()) for name in ("timestamp", "token", "signature")]
    else:
        try:
            signature = pick(json.loads(request.body), "signature")
        except (ValueError, RecursionError):
            raise UnverifiedError("the body is not JSON, so that it holds no signature") from None
        found = [read_text(pick(signature, name)) for name in ("timestamp", "token", "signature")]
    timestamp, token, given = found
    if not timestamp or not token or not given or not (timestamp + token).isascii():
        raise UnverifiedError("the body holds no signature")
    return timestamp, token, given


def parse(body: bytes, delivery: Delivery) -> Iterator[Event | Unparseable]:
    """The body's event; several where a rejected message had several recipients."""
    if is_form(delivery.content_type):
        from providers._mailgun_legacy import parse_form

        return parse_form(body, delivery.content_type, TAKEN)
    return read_events(lambda: [parse_json(body)], _read, TAKEN, body=body)


def restore(event: Event) -> Json:
    """The webhook's body; of a form, its fields, with a list where a name came more than once."""
    return restore_item(event, TAKEN)


def _read(item: Json) -> Columns | list[Columns]:
    data = item.get("event-data")
    if type(data) is not dict:
        raise ValueError("the body has no object event-data")
    get = data.get
    provider_type = get("event")
    if type(provider_type) is not str or not provider_type:
        raise ValueError("the event has no event-data.event")
    headers = _find_object(_find_object(get("message")).get("headers"))
    client, status = _find_object(get("client-info")), _find_object(get("delivery-status"))
    words = [get("severity"), get("reason"), *map(status.get, ("code", "enhanced-code", "bounce-type", "message"))]
    reason = words[-1] or status.get("description") or pick(get("reject"), "reason")
    bot = client.get("bot")
    recipient = get("recipient")
    event_id = read_text(get("id")) or hash_canonical(data)  # unique within a day, and the time is a part of the key
    columns = make_columns(
        read_epoch(get("timestamp")),
        event_id,
        find_kind(provider_type, tuple([read_text(word) or "" for word in words]), type(bot) is str and bot != ""),
        recipient,
        message_id=_strip(headers.get("message-id")),
        metadata=get("user-variables"),
        tags=get("tags"),
        reason=None if provider_type == "delivered" else reason,
        url=get("url"),
        ip_address=get("ip"),
        user_agent=client.get("user-agent"),
        campaign=_find_campaign(get("campaigns")),
        template=_find_object(get("template")).get("name"),
        subject=headers.get("subject"),
        address=headers.get("from"),
        subaccount=_find_object(get("account")).get("id"),
        sending_ip=_find_object(get("envelope")).get("sending-ip"),
        mailbox_provider=get("recipient-provider"),
    )
    if recipient:
        return columns
    # A rejected message has no recipient yet, only its header.
    to = headers.get("to")
    recipients = [address for _, address in getaddresses([to]) if address] if type(to) is str else []
    if not recipients:
        return columns
    return [readdress(columns, address, f"{event_id} {address.lower()}") for address in dict.fromkeys(recipients)]


def _find_campaign(campaigns: Any) -> Any:
    first = campaigns[0] if type(campaigns) is list and campaigns else None
    return pick(first, "name") or pick(first, "id")


def _strip(message_id: Any) -> Any:
    """Mostly it comes without its brackets."""
    return message_id.strip("<>") if type(message_id) is str else message_id


def _find_object(value: Any) -> Json:
    return value if type(value) is dict else {}


@lru_cache(CACHED)
def find_kind(provider_type: str, words: tuple[str, ...], machine_open: bool) -> Kind:  # noqa: FBT001 - a key's part
    """The kind of a type and of severity, reason, code, enhanced code, type of bounce, and diagnostic text."""
    severity, reason, code, enhanced_code, bounce_type, diagnostic = words
    event_type = TYPES.get(provider_type, UNKNOWN)
    smtp_code, enhanced_status, number = read_codes(code, enhanced_code, diagnostic)
    bounce_kind = reject_reason = None
    if provider_type == "failed" and severity == "temporary":
        event_type = DEFERRED
        reject_reason = CODES.get(number)
    elif provider_type == "failed":
        event_type, bounce_kind, reject_reason = find_failure(reason, number, smtp_code, enhanced_status)
        if event_type == BOUNCED and reason not in REASONS:
            bounce_kind = BOUNCE_TYPES.get(bounce_type, bounce_kind)
    elif event_type == REJECTED:
        reject_reason = OTHER
    return Kind(
        NAME,
        f"{provider_type}/{severity}" if provider_type == "failed" and severity else provider_type,
        event_type,
        bounce_kind=bounce_kind,
        machine_open=machine_open and event_type == OPENED,
        reject_reason=reject_reason,
        smtp_code=smtp_code,
        enhanced_status=enhanced_status,
    )


def read_codes(code: str, enhanced_code: str, diagnostic: str) -> tuple[int | None, str | None, int]:
    """The reply code, the enhanced one, and the number that Mailgun gave, whose own are 49x and 6xx.

    `code` may hold the enhanced one.
    """
    number = int(code) if code.isascii() and code.isdigit() and len(code) == 3 else 0
    smtp_code, enhanced_status = read_smtp(diagnostic)
    if 200 <= number < 490 or 500 <= number < 600:
        smtp_code = number
    enhanced_status = read_smtp(enhanced_code)[1] or read_smtp(code)[1] or enhanced_status
    return smtp_code, enhanced_status, number


def find_failure(
    reason: str, number: int, smtp_code: int | None, enhanced_status: str | None
) -> tuple[str, str | None, str]:
    """Our type, the kind of bounce and why, of a permanent failure."""
    if reason in REASONS:
        return REASONS[reason]
    if number in {605, 606, 607}:
        return REJECTED, None, CODES[number]
    first = str(smtp_code or enhanced_status or " ")[0]
    return BOUNCED, {"4": SOFT, "5": HARD}.get(first, UNDETERMINED), CODES.get(number, OTHER)
