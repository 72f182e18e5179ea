"""JangoMail: one event a request, by GET, form or JSON, under names that the operator chooses; no id for events.

Source: the facts page. The URL to paste says what the event is (`?event=open`), and the operator gives the fields the
names below; other fields are kept too. A time without a zone is taken for UTC. Nothing signs a request: basic
authentication or a secret in the path. A webhook that is switched on sends the last 7 days first.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from common.events import (
    BLOCKED,
    BOUNCED,
    CLICKED,
    COMPLAINED,
    HARD,
    INJECTED,
    OPENED,
    OTHER,
    PREVIOUSLY_BOUNCED,
    REJECTED,
    SOFT,
    UNDETERMINED,
    UNKNOWN,
    UNSUBSCRIBED,
    Event,
    Json,
    Kind,
    Unparseable,
)
from providers import Delivery, Reply, WebhookRequest
from providers._events import CACHED, Columns, make_columns, read_events, restore_item
from providers._fields import hash_canonical, read_text
from providers._flat import find_unstorable, get_first, read_flat
from providers._smtp import read_smtp
from providers._times import read_american
from providers._verification import check_shared_secret

NAME = "jangomail"
METHODS = ("GET", "POST")

# `event` of the URL, in lower case → ours.
TYPES = {
    **dict.fromkeys(("sent", "send"), INJECTED),
    **dict.fromkeys(("open", "opened"), OPENED),
    **dict.fromkeys(("click", "clicked"), CLICKED),
    **dict.fromkeys(("unsubscribe", "unsubscribed"), UNSUBSCRIBED),
    **dict.fromkeys(("bounce", "bounced"), BOUNCED),
    **dict.fromkeys(("complaint", "complained"), COMPLAINED),
    **dict.fromkeys(("block", "blocked"), REJECTED),
}
TIMES = ("time", "timestamp", "date")
RECIPIENTS = ("recipient", "email", "to")

TAKEN = {
    "recipient": ("recipient",),
    "message_id": ("custom_id",),
    "transmission_id": ("job_id",),
    "reason": ("reason",),
    "url": ("url",),
    "ip_address": ("ip",),
    "user_agent": ("user_agent",),
    "subject": ("subject",),
    "address": ("from",),
}


def verify(request: WebhookRequest, secrets: Sequence[str], _now: datetime) -> None:
    """Basic authentication, or the secret in the path."""
    check_shared_secret(request, secrets)


def handshake(request: WebhookRequest, _secrets: Sequence[str], _now: datetime) -> Reply | None:
    """A GET that brings nothing beyond the URL's own `event` asks whether the URL is there, and is told so."""
    return Reply() if request.method == "GET" and _names_event_only(request.query) else None


def parse(body: bytes, delivery: Delivery) -> Iterator[Event | Unparseable]:
    """The body's one event; `event` of the URL belongs to it."""
    told = find_unstorable(body) + find_unstorable(delivery.query.encode(errors="replace"))
    return read_events(lambda: _find_items(body, delivery), _read, TAKEN, body=told)


def restore(event: Event) -> Json:
    """The fields of the request, those of the URL included."""
    return restore_item(event, TAKEN)


def _names_event_only(query: str) -> bool:
    return all(not part or part.startswith("event=") for part in query.split("&"))


@lru_cache(100)
def _read_query(query: str) -> Json:
    """The fields of a URL, by which many webhooks come."""
    items = read_flat(query.encode(errors="replace"))
    return items[0] if items and type(items[0]) is dict else {}


def _find_items(body: bytes, delivery: Delivery) -> list[Any]:
    """The body's fields, and those of the URL that it has not itself."""
    items = read_flat(body, delivery.content_type)
    named = _read_query(delivery.query)
    return [named | item if type(item) is dict else item for item in items] if named else items


def _read(item: Json) -> Columns:
    get = item.get
    provider_type = get("event")
    if type(provider_type) is not str or not provider_type:
        raise ValueError("neither the URL nor the body has one field event: add ?event=open or the like to the URL")
    time = get_first(item, *TIMES)
    if time is None:
        raise ValueError("the event has no field time")
    reason = get("reason")
    return make_columns(
        read_american(time),
        hash_canonical(item),
        find_kind(provider_type, read_text(get("bounce_type")), read_text(reason)),
        recipient=get_first(item, *RECIPIENTS),
        message_id=get("custom_id"),
        transmission_id=get("job_id"),
        reason=reason,
        url=get("url"),
        ip_address=get("ip"),
        user_agent=get("user_agent"),
        subject=get("subject"),
        address=get("from"),
    )


@lru_cache(CACHED)
def find_kind(provider_type: str, bounce_type: str | None, reason: str | None) -> Kind:
    """The kind of an event's word, of what is said on a bounce, and of the receiving server's words."""
    event_type = TYPES.get(provider_type.lower(), UNKNOWN)
    smtp_code, enhanced_status = read_smtp(reason)
    bounce_kind = reject_reason = None
    if event_type == BOUNCED:
        said = (bounce_type or "").lower()
        reply = enhanced_status or str(smtp_code)
        bounce_kind = UNDETERMINED
        if reply.startswith("4") or "soft" in said:
            bounce_kind = SOFT
        elif reply.startswith("5.1.") or "hard" in said:
            bounce_kind = HARD
        reject_reason = PREVIOUSLY_BOUNCED if bounce_kind == HARD else OTHER
    elif event_type == REJECTED:
        reject_reason = BLOCKED
    return Kind(
        NAME,
        provider_type,
        event_type,
        bounce_kind=bounce_kind,
        reject_reason=reject_reason,
        smtp_code=smtp_code,
        enhanced_status=enhanced_status,
    )
