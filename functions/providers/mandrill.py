"""Mandrill (Mailchimp Transactional): forms with a JSON array, signed by HMAC-SHA1 over the URL and the fields.

Source: the facts page and Mandrill's documentation of webhooks. There is no id of an event: `_id` is the message's. An
event that comes again is known by message, type, time, link and reader; what else the message's record shows of its
state may have changed meanwhile.
"""

import base64
import hmac
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from common.events import (
    ADMIN,
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
    TIMED_OUT,
    UNKNOWN,
    UNSUBSCRIBED,
    Event,
    Json,
    Kind,
    Unparseable,
)
from providers import Delivery, Reply, UnverifiedError, WebhookRequest
from providers._events import CACHED, Columns, make_columns, parse_json, pick, read_events, restore_item
from providers._fields import hash_canonical, read_epoch, read_text
from providers._forms import read_fields
from providers._smtp import read_smtp
from providers._verification import check_equal, decode_base64, read_header

NAME = "mandrill"
FIELD = b"mandrill_events"
# What Mandrill signs with to see whether a webhook's URL answers, before the webhook and its key exist.
TEST_KEY = "test-webhook"

# Their word → ours.
TYPES = {
    "send": INJECTED,
    "delivered": DELIVERED,
    "deferral": DEFERRED,
    "hard_bounce": BOUNCED,
    "soft_bounce": BOUNCED,
    "open": OPENED,
    "click": CLICKED,
    "spam": COMPLAINED,
    "unsub": UNSUBSCRIBED,
    "reject": REJECTED,
}
# `bgtools_code` → kind of bounce where it says more than the type, why.
BOUNCE_CODES = {
    "10": (None, INVALID),
    "24": (None, TIMED_OUT),
    "25": (ADMIN, OTHER),
    "30": (None, INVALID),
    "50": (BLOCK, BLOCKED),
    "51": (BLOCK, SPAM),
    "52": (BLOCK, SPAM),
    "53": (BLOCK, BLOCKED),
    "54": (BLOCK, BLOCKED),
}
# Why an address or a message is refused.
REASONS = {
    "hard-bounce": PREVIOUSLY_BOUNCED,
    "soft-bounce": PREVIOUSLY_BOUNCED,
    "spam": SPAM,
    "unsub": PREVIOUSLY_UNSUBSCRIBED,
    "invalid": INVALID,
    "invalid-sender": BLOCKED,
    "rule": BLOCKED,
    "custom": BLOCKED,
    "unsigned": BLOCKED,
}

TAKEN = {
    "message_id": ("_id",),
    "url": ("url",),
    "ip_address": ("ip",),
    "user_agent": ("user_agent",),
    "recipient": ("msg", "email"),
    "tags": ("msg", "tags"),
    "metadata": ("msg", "metadata"),
    "subject": ("msg", "subject"),
    "address": ("msg", "sender"),
    "subaccount": ("msg", "subaccount"),
    "template": ("msg", "template"),
    "reason": ("msg", "diag"),
}


def verify(request: WebhookRequest, secrets: Sequence[str], _now: datetime) -> None:
    """The signature covers the URL as Mandrill was told it, with user, password and query, and the form's fields.

    A secret is the webhook's key. Where the URL that Mandrill was told is not the one that arrives here (something in
    between rewrites it), the secret is the key, a space and that URL.
    """
    given = decode_base64(read_header(request, "x-mandrill-signature"))
    fields = sorted(read_fields(request.body, request.headers.get("content-type", "")))
    signed = b"".join(name + value for name, value in fields)
    wanted = []
    for secret in secrets:
        key, _, url = secret.partition(" ")
        told = [url.strip()] if url else _list_urls(request)
        wanted += [hmac.digest(key.encode(), each.encode(errors="surrogatepass") + signed, "sha1") for each in told]
    check_equal(given, wanted)


def _list_urls(request: WebhookRequest) -> list[str]:
    """The URLs that Mandrill may have been told: what it says of user and password comes as a header."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return [request.url]
    try:
        user, separator, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except ValueError:
        return [request.url]
    if not separator:
        return [request.url]
    rest = request.url.removeprefix("https://")
    escaped = f"{quote(user, safe='')}:{quote(password, safe='')}"
    return [f"https://{login}@{rest}" for login in dict.fromkeys([f"{user}:{password}", escaped])]


def handshake(request: WebhookRequest, _secrets: Sequence[str], now: datetime) -> Reply | None:
    """Before there is a key, Mandrill asks by HEAD, then by an empty list, signed with a key that everybody knows."""
    if request.method == "HEAD":
        return Reply(200, "")
    content_type = request.headers.get("content-type", "")
    if len(request.body) < 100 and read_fields(request.body, content_type) == [(FIELD, b"[]")]:
        try:
            verify(request, [TEST_KEY], now)
        except UnverifiedError:
            return None
        return Reply()
    return None


def parse(body: bytes, delivery: Delivery) -> Iterator[Event | Unparseable]:
    """The events of the form's array."""
    text = next((value for name, value in read_fields(body, delivery.content_type) if name == FIELD), b"")
    return read_events(lambda: _find_items(text), _read, TAKEN, body=text)


def restore(event: Event) -> Json:
    """The object of the array."""
    return restore_item(event, TAKEN)


def _find_items(text: bytes) -> list[Any]:
    if not text:
        raise ValueError("the form has no field mandrill_events")
    items = parse_json(text)
    if type(items) is not list:
        raise ValueError("mandrill_events is not an array of events")
    return items


def _read(item: Json) -> Columns:
    provider_type = item.get("event")
    if type(provider_type) is not str or not provider_type:
        return _read_sync(item)
    if provider_type == "inbound":
        raise ValueError("a mail that came in, not what became of one sent: give inbound routes another URL")
    message = item.get("msg")
    get = message.get if type(message) is dict else {}.get
    attempts = get("smtp_events")
    attempt = attempts[-1] if type(attempts) is list and attempts else None
    reason = get("diag") or get("bounce_description")
    if provider_type == "deferral":
        reason = reason or pick(attempt, "diag")
    refused = get("reject")
    refused = pick(refused, "reason") or refused
    message_id = read_text(item.get("_id")) or get("_id")
    url, ip, user_agent = item.get("url"), item.get("ip"), item.get("user_agent")
    time = item.get("ts")
    event_id = hash_canonical([message_id, provider_type, time, url, ip, user_agent] if message_id else item)
    words = (get("bgtools_code"), refused, reason)
    return make_columns(
        read_epoch(time),
        event_id,
        find_kind(provider_type, *[read_text(word) or "" for word in words]),
        recipient=get("email"),
        message_id=message_id,
        metadata=get("metadata"),
        tags=get("tags"),
        reason=reason,
        url=url,
        ip_address=ip,
        user_agent=user_agent,
        template=get("template"),
        subject=get("subject"),
        address=get("sender"),
        subaccount=get("subaccount"),
        sending_ip=pick(attempt, "source_ip"),
    )


def _read_sync(item: Json) -> Columns:
    """A change of the lists of addresses that are refused or always let through: nothing that happened to a message."""
    words = item.get("type"), item.get("action")
    if type(words[0]) is not str or not words[0]:
        raise ValueError("the event has neither event nor type")
    entry = item.get("reject") or item.get("entry")
    reason = read_text(pick(entry, "reason"))
    return make_columns(
        read_epoch(item.get("ts")),
        hash_canonical(item),
        find_kind("/".join(word for word in words if type(word) is str), "", reason or "", ""),
        recipient=pick(entry, "email"),
        reason=pick(entry, "detail"),
        address=pick(entry, "sender"),
        subaccount=pick(entry, "subaccount"),
    )


@lru_cache(CACHED)
def find_kind(provider_type: str, bounce_code: str, refused: str, diagnostic: str) -> Kind:
    """The kind of a type, a bounce's code, the reason of a refusal, and the diagnostic text."""
    event_type = TYPES.get(provider_type, UNKNOWN)
    smtp_code, enhanced_status = read_smtp(diagnostic)
    bounce_kind = None
    reject_reason = REASONS.get(refused, OTHER) if refused or event_type == REJECTED else None
    if event_type == BOUNCED:
        by_code, reject_reason = BOUNCE_CODES.get(bounce_code, (None, PREVIOUSLY_BOUNCED))
        bounce_kind = by_code or (HARD if provider_type == "hard_bounce" else SOFT)
    return Kind(
        NAME,
        provider_type,
        event_type,
        bounce_kind=bounce_kind,
        reject_reason=reject_reason,
        smtp_code=smtp_code,
        enhanced_status=enhanced_status,
    )
