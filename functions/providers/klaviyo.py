"""Klaviyo's system webhooks: events of several topics in one, signed by HMAC-SHA256 over the body and a time.

Source: the facts page, and Klaviyo's documentation from memory. An event is
`{"external_id", "topic": "event:klaviyo.opened_email", "payload": {"data": {"attributes": …}, "included": […]}}`: what
happened is in the attributes and their `event_properties`, the person is among what is included. Where a payload has
another form, its event has no time and is set aside. Topics of SMS, push and reviews are kept whole, as unknown.

Not known: whether and how long it tries again, and whether it then signs a new time. So the signed time may be a day
old; what is let in again is the same event again.

An item is `{"item": the entry of data, "envelope": what is around data}`; the envelope's time is that of the attempt.
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
    DELIVERED,
    HARD,
    OPENED,
    OTHER,
    PREVIOUSLY_BOUNCED,
    REJECTED,
    SOFT,
    SUBSCRIBED,
    UNKNOWN,
    UNSUBSCRIBED,
    Event,
    Json,
    Kind,
    Unparseable,
)
from providers import Delivery, UnverifiedError, WebhookRequest
from providers._events import CACHED, Columns, make_columns, parse_json, pick, read_events, restore_item
from providers._fields import hash_canonical, read_text
from providers._smtp import classify_refusal, read_smtp
from providers._times import read_utc
from providers._verification import check_hmac, check_recent, decode_hex, read_header

NAME = "klaviyo"
WINDOW = timedelta(days=1)
TOPIC = "event:klaviyo."  # how the topics begin that are Klaviyo's own

# Their topic → our type.
TYPES = {
    "received_email": DELIVERED,
    "bounced_email": BOUNCED,
    "dropped_email": REJECTED,  # Klaviyo did not send it
    "opened_email": OPENED,
    "clicked_email": CLICKED,
    "marked_email_as_spam": COMPLAINED,
    "unsubscribed_from_email_marketing": UNSUBSCRIBED,
    "unsubscribed_from_list": UNSUBSCRIBED,
    "subscribed_to_email_marketing": SUBSCRIBED,
    "subscribed_to_list": SUBSCRIBED,
}
# `Bounce Type`, in lower case → kind of bounce, why.
BOUNCES = {"hard": (HARD, PREVIOUSLY_BOUNCED), "soft": (SOFT, OTHER), "block": (BLOCK, BLOCKED)}
MACHINE_OPEN = ("machine_open", "Apple Privacy Open")
ADDRESS = "Recipient Email Address"

PROPERTIES = ("item", "payload", "data", "attributes", "event_properties")
TAKEN = {
    "recipient": (*PROPERTIES, ADDRESS),
    "message_id": (*PROPERTIES, "$message"),
    "subject": (*PROPERTIES, "Subject"),
    "campaign": (*PROPERTIES, "Campaign Name"),
    "url": (*PROPERTIES, "URL"),
    "reason": (*PROPERTIES, "Bounce Reason"),
}


def verify(request: WebhookRequest, secrets: Sequence[str], now: datetime) -> None:
    """`Klaviyo-Signature` is the HMAC-SHA256, in hexadecimal, of the body and `Klaviyo-Timestamp`.

    The time is in seconds since 1970 or ISO 8601; without a zone it is UTC.
    """
    given = decode_hex(read_header(request, "klaviyo-signature"))
    time = read_header(request, "klaviyo-timestamp")
    try:
        signed_at = read_utc(time)
    except ValueError:
        raise UnverifiedError("malformed time") from None
    check_recent(signed_at, now, WINDOW)
    check_hmac(given, secrets, request.body + time.encode("utf-8", "surrogatepass"))


def parse(body: bytes, _delivery: Delivery) -> Iterator[Event | Unparseable]:
    """The events of `data`."""
    return read_events(lambda: _find_items(body), _read, TAKEN, body=body)


def restore(event: Event) -> Json:
    """The entry of `data`."""
    item: Json = restore_item(event, TAKEN)["item"]
    return item


def _find_items(body: bytes) -> list[Any]:
    found = parse_json(body)
    if type(found) is not dict or type(found.get("data")) is not list:
        raise ValueError("the body has no list data")
    envelope = {name: value for name, value in found.items() if name != "data"}
    return [{"item": item, "envelope": envelope} if type(item) is dict else item for item in found["data"]]


def _read(wrapped: Json) -> Columns:
    item = wrapped["item"]
    topic = item.get("topic")
    if type(topic) is not str or not topic:
        raise ValueError("the event has no topic")
    payload = item.get("payload")
    if type(payload) is not dict:
        raise ValueError("the event has no object payload")
    attributes = pick(payload, "data", "attributes")
    properties = pick(attributes, "event_properties")
    find: Any = properties.get if type(properties) is dict else {}.get
    reason, bounce = find("Bounce Reason"), find("Bounce Type")
    return make_columns(
        read_utc(pick(attributes, "datetime") or pick(attributes, "timestamp")),
        read_text(item.get("external_id")) or hash_canonical(item),
        find_kind(
            topic,
            bounce if type(bounce) is str else "",
            reason if type(reason) is str else "",
            machine=any(str(find(name)).lower() == "true" for name in MACHINE_OPEN),
        ),
        find(ADDRESS) or _find_profile(payload),
        message_id=find("$message"),
        subject=find("Subject"),
        campaign=find("Campaign Name"),
        url=find("URL"),
        reason=reason,
    )


def _find_profile(payload: Json) -> Any:
    """The address of the person among what is included."""
    included = payload.get("included")
    for entry in included if type(included) is list else ():
        if pick(entry, "type") == "profile":
            return pick(entry, "attributes", "email")
    return None


@lru_cache(CACHED)
def find_kind(topic: str, bounce: str, reason: str, *, machine: bool) -> Kind:
    """The kind of a topic and, each "" where there is none, of a bounce's type and its text."""
    event_type = TYPES.get(topic.removeprefix(TOPIC), UNKNOWN) if topic.startswith(TOPIC) else UNKNOWN
    if event_type == REJECTED:
        return Kind(NAME, topic, event_type, reject_reason=OTHER)
    if event_type != BOUNCED:
        return Kind(NAME, topic, event_type, machine_open=machine and event_type == OPENED)
    smtp_code, enhanced_status = read_smtp(reason)
    by_reply = classify_refusal(smtp_code, enhanced_status)
    bounce_kind, reject_reason = BOUNCES.get(bounce.lower(), by_reply)
    if bounce_kind == HARD and by_reply[0] in (HARD, SOFT):  # the reply says why, or that it may pass
        bounce_kind, reject_reason = by_reply
    return Kind(
        NAME,
        f"{topic}/{bounce}" if bounce else topic,
        event_type,
        bounce_kind=bounce_kind,
        reject_reason=reject_reason,
        smtp_code=smtp_code,
        enhanced_status=enhanced_status,
    )
