"""SMTP.com: JSON arrays of up to 1000 events, unsigned, an id for each event.

Source: the facts page; the words for the types are from memory. What the sender attached comes merged into the event;
whatever is not a field of SMTP.com's is taken for such. Nothing signs the body: basic authentication or a secret in
the path. A failed batch is sent again after later ones: order says nothing, times do.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
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
    FAILED,
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
    UNDETERMINED,
    UNKNOWN,
    UNSUBSCRIBED,
    Event,
    Json,
    Kind,
    Unparseable,
)
from providers import Delivery, WebhookRequest
from providers._events import CACHED, Columns, parse_json, read_events, restore_item
from providers._fields import hash_canonical, read_epoch, read_text
from providers._smtp import read_smtp
from providers._verification import check_shared_secret

NAME = "smtp_com"

# Their word, in lower case with underscores → ours.
TYPES = {
    **dict.fromkeys(("accepted", "queued", "processed", "sent"), INJECTED),
    **dict.fromkeys(("delivered", "delivery"), DELIVERED),
    **dict.fromkeys(("deferred", "deferral", "delayed"), DEFERRED),
    **dict.fromkeys(("bounced", "bounce", "hard_bounced", "hard_bounce", "soft_bounced", "soft_bounce"), BOUNCED),
    "failed": FAILED,  # a bounce where the receiving server replied
    **dict.fromkeys(("dropped", "rejected", "suppressed"), REJECTED),
    **dict.fromkeys(("opened", "open"), OPENED),
    **dict.fromkeys(("clicked", "click"), CLICKED),
    **dict.fromkeys(("complained", "complaint", "abuse", "spam_complaint"), COMPLAINED),
    **dict.fromkeys(("unsubscribed", "unsubscribe"), UNSUBSCRIBED),
}
ENGAGED = frozenset({OPENED, CLICKED})
# A word in the class of the reply → kind of bounce. The words are not documented: others leave it to the codes.
CLASSES = {"hard": HARD, "soft": SOFT, "transient": SOFT, "block": BLOCK, "spam": BLOCK, "policy": BLOCK}
# A word in the class or the text of a message that was not sent → the list that the address is on.
LISTS = {"unsub": PREVIOUSLY_UNSUBSCRIBED, "complain": SPAM, "spam": SPAM, "bounce": PREVIOUSLY_BOUNCED}
WHY = {HARD: PREVIOUSLY_BOUNCED, BLOCK: BLOCKED}

# SMTP.com's own fields; any other is an argument of the sender's.
FIELDS = frozenset(
    {
        *("id", "event", "rcpt_to", "time_started", "time_finished", "tracking_id"),
        *("resp_code", "resp_class", "resp_msg"),
        *("mail_from", "msg_id", "channel", "subject", "url", "ip", "user_agent", "domain", "mx", "size", "attempts"),
    }
)
ARGUMENTS = "arguments"  # where they are put together; one that has this name is among them

TAKEN = {
    "recipient": ("rcpt_to",),
    "message_id": ("tracking_id",),
    "metadata": (ARGUMENTS,),
    "reason": ("resp_msg",),
    "url": ("url",),
    "ip_address": ("ip",),  # of who opened or clicked
    "user_agent": ("user_agent",),
    "subject": ("subject",),
    "address": ("mail_from",),
    "subaccount": ("channel",),
}


def verify(request: WebhookRequest, secrets: Sequence[str], _now: datetime) -> None:
    """Basic authentication, or the secret in the path."""
    check_shared_secret(request, secrets)


def parse(body: bytes, _delivery: Delivery) -> Iterator[Event | Unparseable]:
    """The events of the array."""
    return read_events(lambda: _find_items(body), _read, TAKEN, body=body)


def restore(event: Event) -> Json:
    """The object of the array."""
    item = restore_item(event, TAKEN)
    arguments: Json = item.pop(ARGUMENTS, {})
    return item | arguments


def _find_items(body: bytes) -> list[Any]:
    items = parse_json(body)
    if type(items) is not list:
        raise ValueError("the body is not an array of events")
    return [item if type(item) is not dict or FIELDS.issuperset(item) else _part(item) for item in items]


def _part(item: Json) -> Json:
    """The item with the sender's arguments put together."""
    foreign = [name for name in item if name not in FIELDS]
    item[ARGUMENTS] = {name: item.pop(name) for name in foreign}
    return item


def _read(item: Json) -> Columns:
    get = item.get
    provider_type = get("event")
    if type(provider_type) is not str or not provider_type:
        raise ValueError("the event has no field event")
    finished = get("time_finished")
    time = finished or get("time_started")  # of the attempt; an open may have one only
    if time is None:
        raise ValueError("the event has neither time_finished nor time_started")
    reason = get("resp_msg")
    code, reply_class, event_id = get("resp_code"), get("resp_class"), get("id")
    kind = find_kind(
        provider_type,
        code if type(code) is int else read_text(code),
        reply_class if reply_class is None or type(reply_class) is str else read_text(reply_class),
        reason if reason is None or type(reason) is str else read_text(reason),
    )
    if type(event_id) is not str or not event_id:
        event_id = read_text(event_id) or hash_canonical(item)
    return (
        read_epoch(time),
        event_id,
        kind,
        get("rcpt_to"),
        get("tracking_id"),
        None,  # a transmission's
        get(ARGUMENTS),
        None,  # tags
        reason,
        get("url"),
        get("ip") if kind.event_type in ENGAGED else None,
        get("user_agent"),
        None,  # a campaign
        None,  # a template
        get("subject"),
        None,  # an A/B test
        None,
        get("mail_from"),
        get("channel"),
        None,  # a pool
        None,  # a sending address
        None,  # where it was routed to
        None,  # a mailbox provider
        None,  # its region
    )


@lru_cache(CACHED)
def find_kind(provider_type: str, code: int | str | None, reply_class: str | None, text: str | None) -> Kind:
    """The kind of a type and of the receiving server's reply: `resp_code`, `resp_class`, `resp_msg`."""
    word = provider_type.lower().replace(" ", "_").replace("-", "_")
    event_type = TYPES.get(word, UNKNOWN)
    smtp_code, enhanced_status = read_smtp(text)
    if code is not None:
        code_alone, status_alone = read_smtp(str(code))
        smtp_code = code_alone or smtp_code
        enhanced_status = enhanced_status or status_alone
    if event_type == FAILED and (smtp_code or 0) >= 400:
        event_type = BOUNCED
    bounce_kind = reject_reason = None
    if event_type == BOUNCED:
        bounce_kind = _find_bounce_kind(word, (reply_class or "").lower(), smtp_code, enhanced_status or "")
        reject_reason = WHY.get(bounce_kind, OTHER)
        if (enhanced_status or "").startswith("5.1."):
            reject_reason = INVALID
    elif event_type == REJECTED:
        said = f"{reply_class or ''} {text or ''}".lower()
        reject_reason = next((why for part, why in LISTS.items() if part in said), OTHER)
    return Kind(
        NAME,
        f"{provider_type}/{reply_class}" if reply_class and event_type == BOUNCED else provider_type,
        event_type,
        bounce_kind=bounce_kind,
        reject_reason=reject_reason,
        smtp_code=smtp_code,
        enhanced_status=enhanced_status,
    )


def _find_bounce_kind(word: str, reply_class: str, smtp_code: int | None, enhanced_status: str) -> str:
    """The provider's words decide, then the reply. A permanent reply alone may be a block: it is no hard bounce."""
    temporary = (enhanced_status or str(smtp_code)).startswith("4")
    said = f"{word} {reply_class}"
    for part, kind in CLASSES.items():
        if part in said:
            return SOFT if kind == HARD and temporary else kind
    if temporary:
        return SOFT
    if enhanced_status.startswith("5.1."):
        return HARD
    return BLOCK if enhanced_status.startswith("5.7.") else UNDETERMINED
