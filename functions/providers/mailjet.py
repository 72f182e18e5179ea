"""Mailjet: a JSON array of events where they are grouped (version 2), else a bare object; no signature, no event id.

Source: the facts page and Mailjet's documentation of its Event API. Only 200 stops Mailjet from sending again. `sent`
means that the receiving server took the mail. A bounce that is not hard is one that Mailjet gave up on, except a
greylisted one. An event that comes again is known by message, type, time, recipient, link and reader.
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
    INVALID,
    OPENED,
    OTHER,
    PREVIOUSLY_BOUNCED,
    REJECTED,
    SOFT,
    SPAM,
    TIMED_OUT,
    UNKNOWN,
    UNSUBSCRIBED,
    Event,
    Json,
    Kind,
    Unparseable,
)
from providers import Delivery, WebhookRequest
from providers._events import CACHED, Columns, make_columns, parse_json, read_events, restore_item
from providers._fields import decode_inner, hash_canonical, read_epoch, read_text
from providers._smtp import read_smtp
from providers._verification import check_shared_secret

NAME = "mailjet"

# Their word → ours.
TYPES = {
    "sent": DELIVERED,
    "open": OPENED,
    "click": CLICKED,
    "bounce": BOUNCED,
    "blocked": REJECTED,
    "spam": COMPLAINED,
    "unsub": UNSUBSCRIBED,
}
GREYLISTED = "greylisted"
# `error` of a bounce or of what Mailjet blocked → kind of bounce where it says more than `hard_bounce`, why.
ERRORS: dict[str, tuple[str | None, str]] = {
    # of the recipient
    "user unknown": (None, INVALID),
    "mailbox inactive": (None, PREVIOUSLY_BOUNCED),
    "quota exceeded": (None, OTHER),
    "blacklisted": (None, BLOCKED),
    "spam reporter": (None, SPAM),
    # of the domain
    "invalid domain": (None, INVALID),
    "no mail host": (None, INVALID),
    "relay/access denied": (BLOCK, BLOCKED),
    GREYLISTED: (None, OTHER),
    "typofix": (None, INVALID),
    # of content and reputation
    "sender blocked": (BLOCK, BLOCKED),
    "content blocked": (BLOCK, BLOCKED),
    "policy issue": (BLOCK, BLOCKED),
    # of the way there
    "connection issue": (None, TIMED_OUT),
    "protocol error": (None, OTHER),
    "system issue": (None, OTHER),
    # of Mailjet
    "preblocked": (None, BLOCKED),
    "duplicate in campaign": (None, OTHER),  # the address had this campaign already
    "bad or empty template": (None, OTHER),
    "error in template language": (None, OTHER),
}
TEMPLATE_ERRORS = frozenset({"bad or empty template", "error in template language"})
NO_ID = frozenset({None, "", "0"})
# What Mailjet did not try since it knows it from earlier.
KNOWN_BEFORE = frozenset({"user unknown", "mailbox inactive"})

TAKEN = {
    "recipient": ("email",),
    "message_id": ("mj_message_id",),
    "campaign": ("customcampaign",),
    "reason": ("smtp_reply",),
    "url": ("url",),
    "ip_address": ("ip",),
    "user_agent": ("agent",),
}


def verify(request: WebhookRequest, secrets: Sequence[str], _now: datetime) -> None:
    """Basic authentication, or the secret in the path."""
    check_shared_secret(request, secrets)


def parse(body: bytes, _delivery: Delivery) -> Iterator[Event | Unparseable]:
    """The events of an array, or the one of a bare object."""
    return read_events(lambda: _find_items(body), _read, TAKEN, body=body)


def restore(event: Event) -> Json:
    """The event's object."""
    return restore_item(event, TAKEN)


def _find_items(body: bytes) -> list[Any]:
    value = parse_json(body)
    if type(value) not in (list, dict):
        raise ValueError("the body is neither an event nor an array of events")
    return value if type(value) is list else [value]


def _read(item: Json) -> Columns:
    get = item.get
    word = get("event")
    if type(word) is not str or not word:
        if "Headers" in item or "Parts" in item:
            raise ValueError("a mail that came in, not what became of one sent: give the Parse API another URL")
        raise ValueError("the event has no event")
    time, url, ip, agent = get("time"), get("url"), get("ip"), get("agent")
    # As a text and as a number beyond 2^53; the sending API's answer has the number.
    message_id = get("mj_message_id")
    if type(message_id) is not str or message_id in NO_ID:
        message_id = read_text(message_id) or read_text(get("MessageID"))
        if message_id in NO_ID:
            message_id = read_text(get("Message_GUID"))
    email, error = get("email"), get("error")
    payload, custom_id = get("Payload"), get("CustomID")
    reason = get("smtp_reply") or get("comment") or error
    return make_columns(
        read_epoch(time),
        hash_canonical([message_id, word, time, email, url, ip, agent] if message_id else item),
        find_kind(
            word,
            error.lower() if type(error) is str else "",
            reason if type(reason) is str else "",
            get("hard_bounce") is True,
        ),
        email,
        message_id,
        get("mj_campaign_id") or None,
        _read_metadata(payload, custom_id) if payload or custom_id else None,
        None,  # tags
        reason,
        url,
        ip,
        agent,
        get("customcampaign"),
    )


def _read_metadata(payload: Any, custom_id: Any) -> Json:
    """What the sender attached: a text that is mostly JSON, and an id; either may be empty."""
    metadata: Json = {}
    if type(payload) is dict:
        metadata = payload
    elif payload:
        metadata = _decode_object(payload) if type(payload) is str else {"Payload": payload}
    return {"CustomID": custom_id} | metadata if custom_id else metadata


def _decode_object(text: str) -> Json:
    if text[0] == "{":
        try:
            value = decode_inner(text)
        except ValueError:
            return {"Payload": text}
        if type(value) is dict:
            return value
    return {"Payload": text}


@lru_cache(CACHED)
def find_kind(word: str, error: str, reason: str, hard: bool) -> Kind:  # noqa: FBT001 - a key's part
    """The kind of a type, its error (in lower case), the receiving server's words, and whether it says it is hard."""
    event_type = TYPES.get(word, UNKNOWN)
    bounce_kind = reject_reason = None
    if event_type == BOUNCED:
        by_error, reject_reason = ERRORS.get(error, (None, PREVIOUSLY_BOUNCED if hard else OTHER))
        bounce_kind = by_error or (HARD if hard else SOFT)
        if error == GREYLISTED and not hard:
            event_type = DEFERRED
    elif event_type == REJECTED:
        _, reject_reason = ERRORS.get(error, (None, BLOCKED))
        if error in KNOWN_BEFORE:
            reject_reason = PREVIOUSLY_BOUNCED
        elif error in TEMPLATE_ERRORS:
            event_type, reject_reason = FAILED, None
    elif event_type == COMPLAINED:
        reject_reason = SPAM
    smtp_code, enhanced_status = read_smtp(reason)
    return Kind(
        NAME,
        f"{word}/{error}" if error in ERRORS else word,
        event_type,
        bounce_kind=bounce_kind,
        reject_reason=reject_reason,
        smtp_code=smtp_code,
        enhanced_status=enhanced_status,
    )
