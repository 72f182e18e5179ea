"""Unisender Go (UniOne): up to 100 events a webhook, proved by an MD5 digest of the body with the API key in it.

Sources: the facts page; the vendor's documentation, from memory. Three forms come, as the webhook is set: an object
with `events_by_user`, a flat object of a single event, and either compressed by gzip or zlib. Whose they are (user,
project) is around the events: it is kept in each event's detail under `ENVELOPE`, and names the subaccount. No event
has an id, and `retry_count` and `auth` change when one is sent again: a hash of all else tells copies. Two opens of a
message in one second can't be told apart. Only 200 is success, within 3 seconds; it tries for a day.
"""

import hmac
import re
import zlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache, partial
from hashlib import md5
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
    UNKNOWN,
    UNSUBSCRIBED,
    Event,
    Json,
    Kind,
    Unparseable,
)
from providers import Delivery, Reply, UnverifiedError, WebhookRequest
from providers._events import CACHED, Columns, make_columns, parse_json, pick, read_events, restore_item
from providers._fields import hash_canonical, may_be_unstorable, read_text
from providers._smtp import read_smtp

NAME = "unisender_go"
ENVELOPE = "_envelope"  # where the fields around an event are put; not a field of Unisender's
LARGEST = 5_900_000  # bytes of a body that came compressed, as of any other: it is read before it proves anything
VOLATILE = frozenset({"auth", "retry_count", ENVELOPE})
_AUTH = re.compile(r"[0-9a-fA-F]{32}")

# Their word → ours. A soft bounce is tried again.
TYPES = {
    "sent": INJECTED,
    "delivered": DELIVERED,
    "opened": OPENED,
    "clicked": CLICKED,
    "unsubscribed": UNSUBSCRIBED,
    "subscribed": SUBSCRIBED,
    "soft_bounced": DEFERRED,
    "hard_bounced": BOUNCED,
    "spam": COMPLAINED,
}
# `delivery_status` → kind of bounce, why. None: it was not sent at all.
STATUSES: dict[str, tuple[str | None, str]] = {
    "err_user_unknown": (HARD, INVALID),
    "err_user_inactive": (HARD, PREVIOUSLY_BOUNCED),
    "err_domain_inactive": (HARD, INVALID),
    "err_mailbox_discarded": (HARD, PREVIOUSLY_BOUNCED),
    "err_mailbox_full": (SOFT, OTHER),
    "err_will_retry": (SOFT, OTHER),
    "err_unreachable": (SOFT, TIMED_OUT),
    "err_destination_misconfigured": (SOFT, OTHER),
    "err_lost": (SOFT, OTHER),
    "err_spam_rejected": (BLOCK, BLOCKED),
    "err_blacklisted": (BLOCK, BLOCKED),
    "err_too_large": (BLOCK, BLOCKED),
    "err_delivery_failed": (HARD, OTHER),
    "err_unsubscribed": (None, PREVIOUSLY_UNSUBSCRIBED),
    "err_skip_letter": (None, OTHER),
    "err_spam_skipped": (None, SPAM),
}

_NESTED = {
    "recipient": ("email",),
    "message_id": ("job_id",),
    "metadata": ("metadata",),
    "url": ("url",),
    "reason": ("delivery_info", "destination_response"),
    "ip_address": ("delivery_info", "ip"),
    "user_agent": ("delivery_info", "user_agent"),
}
TAKEN = {column: ("event_data", *path) for column, path in _NESTED.items()}


def handshake(request: WebhookRequest, _secrets: Sequence[str], _now: datetime) -> Reply | None:
    """When the webhook is set, it asks by GET whether anybody is there."""
    return Reply() if request.method == "GET" else None


def verify(request: WebhookRequest, secrets: Sequence[str], _now: datetime) -> None:
    r"""`auth` is the MD5 of the body, with the API key in its place; a webhook of a project uses the project's key.

    The bytes stay as they came: written anew, `\/` would become `/`. Only 32 hexadecimal digits may be replaced: what
    else stands in `auth` could be in many places of the body. That the body is JSON to its end keeps anybody from
    lengthening one whose digest he knows.
    """
    try:
        body = _expand(request.body)
        found = parse_json(body)
    except ValueError:
        raise UnverifiedError("the body is not JSON") from None
    auth = pick(found, "auth")
    if type(auth) is not str or not _AUTH.fullmatch(auth):
        raise UnverifiedError("auth is not a digest")
    given = auth.encode()
    digests = [
        md5(body.replace(given, key.encode()), usedforsecurity=False).hexdigest().encode() for key in secrets if key
    ]
    matches = [hmac.compare_digest(given.lower(), digest) for digest in digests]
    if not any(matches):
        raise UnverifiedError("wrong signature")


def parse(body: bytes, _delivery: Delivery) -> Iterator[Event | Unparseable]:
    """The events of all users of the body, or its single one."""
    try:
        body = _expand(body)
    except ValueError as problem:
        return iter([Unparseable(None, str(problem), None)])
    from providers._unisender_go_regular import parse_regular

    regular = None if may_be_unstorable(body) else parse_regular(body)
    if regular is None:
        return read_events(lambda: _find_items(body), _read, TAKEN, body=body)
    return _read_odd(regular)


def _read_odd(found: list[Event | Json]) -> Iterator[Event | Unparseable]:
    """The events, those of the items between them too."""
    for position, entry in enumerate(found):
        if type(entry) is Event:
            yield entry
            continue
        for event in read_events(partial(list, [entry]), _read, TAKEN):
            yield event._replace(position=position)


def restore(event: Event) -> Json:
    """The entry of `events`, or the flat object of a single event."""
    item = restore_item(event, TAKEN)
    envelope = item.pop(ENVELOPE, {})
    if "single" not in envelope:
        return item
    data: Json = item.pop("event_data")
    return item | data


def _expand(body: bytes) -> bytes:
    """The body without its compression. Raises `ValueError`."""
    if not body.startswith((b"\x1f\x8b", b"\x78")):
        return body
    decoder = zlib.decompressobj(wbits=47)  # either header
    try:
        expanded = decoder.decompress(body, LARGEST + 1)
    except zlib.error:
        raise ValueError("the compressed body is damaged") from None
    if not decoder.eof or decoder.unused_data or len(expanded) > LARGEST:
        raise ValueError("the compressed body is not whole, or too large")
    return expanded


def _find_items(body: bytes) -> list[Any]:
    found = parse_json(body)
    if type(found) is not dict:
        raise ValueError("the body is not an object")
    if "events_by_user" not in found:
        return [_nest(found)]
    users = found["events_by_user"]
    if type(users) is not list:
        raise ValueError("events_by_user is not a list")
    around = {name: value for name, value in found.items() if name not in {"auth", "events_by_user"}}
    items: list[Any] = []
    for user in users:
        events = pick(user, "events")
        if type(events) is not list:
            items.append({"events_by_user": user})
            continue
        envelope = around | {name: value for name, value in user.items() if name != "events"}
        items += [item | {ENVELOPE: envelope} if type(item) is dict else item for item in events]
    return items


# The fields of a flat event that are around `event_data` in the other form.
OUTER = frozenset({"auth", "event_name", "user_id", "project_id", "project_name", "retry_count", "event_data"})


def _nest(item: Json) -> Json:
    """A single event in the form of the others."""
    outer = {name: value for name, value in item.items() if name in OUTER}
    envelope = {name: outer[name] for name in ("user_id", "project_id") if name in outer}
    if "event_data" in item:
        return item | {ENVELOPE: envelope}
    data = {name: value for name, value in item.items() if name not in OUTER}
    return outer | {"event_data": data, ENVELOPE: envelope | {"single": True}}


def _read(item: Json) -> Columns:
    data = item.get("event_data")
    if type(data) is not dict:
        raise ValueError("the event has no event_data")
    envelope = item.get(ENVELOPE)
    word = data.get("status") or item.get("event_name")
    if type(word) is not str:
        raise ValueError("the event has neither a status nor an event_name")
    info = data.get("delivery_info")
    find = info.get if type(info) is dict else {}.get
    response, status = find("destination_response"), find("delivery_status")
    around = envelope.get if type(envelope) is dict else {}.get
    user, project = around("user_id"), around("project_id")
    return make_columns(
        read_time(data.get("event_time") or data.get("block_time")),
        hash_canonical(
            {
                "event_name": item.get("event_name", "transactional_email_status"),
                "event_data": data
                if VOLATILE.isdisjoint(data)
                else {name: value for name, value in data.items() if name not in VOLATILE},
                "user": user,
                "project": project,
            }
        ),
        find_kind(word, status if type(status) is str else None, response if type(response) is str else None),
        recipient=data.get("email"),
        message_id=data.get("job_id"),
        metadata=data.get("metadata"),
        reason=response or data.get("comment"),
        url=data.get("url"),
        ip_address=find("ip"),
        user_agent=find("user_agent"),
        subaccount=read_text(project) or read_text(user),
    )


@lru_cache(CACHED)
def find_kind(word: str, status: str | None, response: str | None) -> Kind:
    """The kind of a status, of its `delivery_status`, and of the receiving server's reply."""
    event_type = TYPES.get(word, UNKNOWN)
    smtp_code, enhanced_status = read_smtp(response)
    bounce_kind = reject_reason = None
    if event_type in {BOUNCED, DEFERRED}:
        bounce_kind, reject_reason = STATUSES.get(status or "", (HARD, OTHER))
        if event_type == DEFERRED:
            bounce_kind = None
        elif bounce_kind is None:
            event_type = REJECTED
    return Kind(
        NAME,
        f"{word}/{status}" if status is not None and status.startswith("err_") else word,
        event_type,
        bounce_kind=bounce_kind,
        reject_reason=reject_reason,
        smtp_code=smtp_code,
        enhanced_status=enhanced_status,
    )


def read_time(text: object) -> datetime:
    """`YYYY-MM-DD HH:MM:SS`, which is UTC. Raises `ValueError`."""
    if type(text) is str and len(text) == 19 and text[4::3] == "-- ::":  # of ISO 8601's forms this one
        try:
            return datetime.fromisoformat(f"{text}+00:00")
        except ValueError:
            pass
    raise ValueError("event_time is not of the form YYYY-MM-DD HH:MM:SS")
