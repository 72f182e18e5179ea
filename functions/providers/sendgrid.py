"""SendGrid (Twilio): JSON arrays, signed by ECDSA over a header with the time and the body, an id for each event.

Source: the facts page and Twilio's documentation of the Event Webhook. What the sender attached (unique or custom
arguments) comes merged into the event; whatever is not a field of SendGrid's is taken for such. Each event comes
several times, sometimes a day later.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
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
    INVALID,
    OPENED,
    OTHER,
    PREVIOUSLY_BOUNCED,
    PREVIOUSLY_UNSUBSCRIBED,
    REJECTED,
    SOFT,
    SPAM,
    SUBSCRIBED,
    TIMED_OUT,
    UNDETERMINED,
    UNKNOWN,
    UNSUBSCRIBED,
    Event,
    Json,
    Kind,
    Unparseable,
)
from providers import Delivery, WebhookRequest
from providers._events import CACHED, Columns, parse_json, pick, read_events, restore_item
from providers._fields import hash_canonical, read_epoch, read_text
from providers._forms import is_form
from providers._smtp import read_smtp
from providers._verification import check_recent, decode_base64, read_header, read_seconds

NAME = "sendgrid"
SIGNATURE = "x-twilio-email-event-webhook-signature"
TIMESTAMP = "x-twilio-email-event-webhook-timestamp"
# SendGrid tries for 24 hours; whether it signs anew each time is not documented. The signature covers the whole body,
# so that sending it once more adds nothing: a wide window loses no event and lets nothing in.
WINDOW = timedelta(hours=25)

# Their word → ours.
TYPES = {
    "processed": INJECTED,
    "dropped": REJECTED,
    "delivered": DELIVERED,
    "deferred": DEFERRED,
    "bounce": BOUNCED,
    "open": OPENED,
    "click": CLICKED,
    "spamreport": COMPLAINED,
    "unsubscribe": UNSUBSCRIBED,
    "group_unsubscribe": UNSUBSCRIBED,
    "group_resubscribe": SUBSCRIBED,
    "account_status_change": UNKNOWN,  # of an account, not of a message
}
ENGAGED = frozenset({OPENED, CLICKED})
# `type` of a bounce → kind of bounce, why. A block is temporary: the address is not suppressed.
BOUNCES = {
    "bounce": (HARD, PREVIOUSLY_BOUNCED),
    "blocked": (BLOCK, BLOCKED),
    "expired": (SOFT, TIMED_OUT),
}
# `bounce_classification` → why.
CLASSIFICATIONS = {
    "invalid address": INVALID,
    "mailbox unavailable": PREVIOUSLY_BOUNCED,
    "content": BLOCKED,
    "reputation": BLOCKED,
    "frequency or volume too high": BLOCKED,
    "technical": OTHER,
}
# How the reason of a dropped message begins, in lower case → why. Free text that varied over the years.
DROPS = {
    "invalid": INVALID,
    "bounced address": PREVIOUSLY_BOUNCED,
    "unsubscribed address": PREVIOUSLY_UNSUBSCRIBED,
    "spam reporting address": SPAM,
    "spam content": BLOCKED,
    "recipient list over package quota": BLOCKED,
}

# SendGrid's own fields, besides those that begin with `sg_`; any other is an argument of the sender's.
FIELDS = frozenset(
    {
        *("email", "timestamp", "event", "smtp-id", "category", "useragent", "ip", "url", "url_offset", "reason"),
        *("status", "response", "attempt", "type", "tls", "cert_err", "asm_group_id", "send_at", "pool", "newsletter"),
        *("bounce_classification", "marketing_campaign_id", "marketing_campaign_name", "marketing_campaign_version"),
        *("marketing_campaign_split_id", "singlesend_id", "singlesend_name", "template_id", "template_version_id"),
        *("template_hash", "phase_id", "mc_auto_id", "mc_auto_name", "mc_pod_id", "mc_stats"),
        *("sg_event_id", "sg_message_id", "sg_machine_open", "sg_content_type", "sg_template_id", "sg_template_name"),
    }
)
ARGUMENTS = "arguments"  # where they are put together; one that has this name is among them

TAKEN = {
    "recipient": ("email",),
    "tags": ("category",),
    "metadata": (ARGUMENTS,),
    "reason": ("reason",),
    "url": ("url",),
    "user_agent": ("useragent",),
    "ip_address": ("ip",),  # of who opened or clicked
    "sending_ip": ("ip",),  # of SendGrid's, on every other event
    "campaign": ("marketing_campaign_name",),
    "transmission_id": ("singlesend_id",),
    "template": ("template_id",),
    "ip_pool": ("pool", "name"),
}


def verify(request: WebhookRequest, secrets: Sequence[str], now: datetime) -> None:
    """An ECDSA signature over the time in the other header and the body; secrets are the public keys of the console."""
    given = decode_base64(read_header(request, SIGNATURE))
    time = read_header(request, TIMESTAMP)
    check_recent(read_seconds(time), now, WINDOW)
    from providers._signatures import check_ecdsa

    check_ecdsa(given, secrets, time.encode() + request.body)


def parse(body: bytes, delivery: Delivery) -> Iterator[Event | Unparseable]:
    """The events of the array; an empty one is usual."""
    return read_events(lambda: _find_items(body, delivery.content_type), _read, TAKEN, body=body)


def restore(event: Event) -> Json:
    """The object of the array."""
    item = restore_item(event, TAKEN)
    arguments: Json = item.pop(ARGUMENTS, {})
    return item | arguments


def _find_items(body: bytes, content_type: str) -> list[Any]:
    if is_form(content_type):
        raise ValueError("a mail that came in, not what became of one sent: give Inbound Parse another URL")
    items = parse_json(body)
    if type(items) is not list:
        raise ValueError("the body is not an array of events")
    return [item if type(item) is not dict or FIELDS.issuperset(item) else _part(item) for item in items]


def _part(item: Json) -> Json:
    """The item with the sender's arguments put together."""
    foreign = [name for name in item if name not in FIELDS and not name.startswith("sg_")]
    if not foreign:
        return item
    item[ARGUMENTS] = {name: item.pop(name) for name in foreign}
    return item


def _read(item: Json) -> Columns:
    get = item.get
    provider_type = get("event")
    if type(provider_type) is not str or not provider_type:
        raise ValueError("the event has no field event")
    event_type = TYPES.get(provider_type, UNKNOWN)
    response, reason, ip = get("response"), get("reason"), get("ip")
    if event_type == DEFERRED:
        reason = reason or response
    diagnostic = reason or response
    words = (get("type"), get("bounce_classification"), get("status"), diagnostic)
    try:
        kind = find_kind(provider_type, words, get("sg_machine_open") is True)
    except TypeError:  # of a list or an object: it can't be looked up
        texts = tuple([word if type(word) is str else None for word in words])
        kind = find_kind(provider_type, texts, get("sg_machine_open") is True)
    message_id, event_id = get("sg_message_id"), get("sg_event_id")
    if type(message_id) is not str:
        message_id = read_text(message_id)
    if type(event_id) is not str or not event_id:
        event_id = read_text(event_id) or hash_canonical(item)
    engaged = event_type in ENGAGED
    return (
        read_epoch(get("timestamp")),
        event_id,
        kind,
        get("email"),
        # What the send call returned; what follows differs between the events of a message.
        None if message_id is None else message_id.partition(".")[0],
        get("singlesend_id") or get("marketing_campaign_id"),
        get(ARGUMENTS),
        get("category"),
        reason,
        get("url"),
        ip if engaged else None,
        get("useragent"),
        get("marketing_campaign_name") or get("singlesend_name"),
        get("template_id"),
        None,  # subject
        None,  # A/B test
        None,  # its version
        None,  # the sender's address
        None,  # subaccount
        pick(item, "pool", "name") if "pool" in item else None,
        None if engaged else ip,
        None,  # routing domain
        None,  # mailbox provider
        None,  # its region
    )


@lru_cache(CACHED)
def find_kind(provider_type: str, words: tuple[Any, ...], machine_open: bool) -> Kind:  # noqa: FBT001 - a key's part
    """The kind of a type and of the words in `type`, `bounce_classification`, `status` and the diagnostic text."""
    bounce_type, classification, status, diagnostic = [word if type(word) is str else "" for word in words]
    event_type = TYPES.get(provider_type, UNKNOWN)
    smtp_code, enhanced_status = read_smtp(diagnostic)
    enhanced_status = read_smtp(status)[1] or enhanced_status
    bounce_kind = reject_reason = None
    if event_type == BOUNCED:
        bounce_kind, reject_reason = BOUNCES.get(bounce_type or "bounce", (UNDETERMINED, OTHER))
        if bounce_kind == HARD and (enhanced_status or "").startswith("4"):
            bounce_kind = SOFT
        reject_reason = CLASSIFICATIONS.get(classification.lower(), reject_reason)
    elif event_type == REJECTED:
        known = (why for beginning, why in DROPS.items() if diagnostic.lower().startswith(beginning))
        reject_reason = next(known, OTHER)
    word = f"{provider_type}/{bounce_type}" if event_type == BOUNCED and bounce_type else provider_type
    return Kind(
        NAME,
        word,
        event_type,
        bounce_kind=bounce_kind,
        machine_open=machine_open and event_type == OPENED,
        reject_reason=reject_reason,
        smtp_code=smtp_code,
        enhanced_status=enhanced_status,
    )
