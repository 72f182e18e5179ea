"""Customer.io's reporting webhooks: one JSON object each, signed by HMAC-SHA256 over a version, a time and the body.

Source: the facts page, and Customer.io's documentation from memory. It tries for seven days, in order: a webhook that
is refused holds back all behind it, and whether a retry is signed with a new time is not known. So a signed time may be
as old as the retries last, and a day more for their pauses; what is let in again is the same event again.

Only items whose `object_type` is `email` are about mails. A customer's subscription is about all mail to her, and is
taken as such; push, SMS, in-app messages and others become unknown, whole, known by the person's address if it is
there: `data.recipient` is that of another channel then.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from common.events import (
    BOUNCED,
    CLICKED,
    COMPLAINED,
    DEFERRED,
    DELIVERED,
    FAILED,
    INJECTED,
    OPENED,
    OTHER,
    PREVIOUSLY_BOUNCED,
    PREVIOUSLY_UNSUBSCRIBED,
    REJECTED,
    SPAM,
    SUBSCRIBED,
    UNKNOWN,
    UNSUBSCRIBED,
    Event,
    Json,
    Kind,
    Unparseable,
)
from providers import Delivery, WebhookRequest
from providers._events import CACHED, Columns, make_columns, parse_json, pick, read_events, restore_item
from providers._fields import hash_canonical, read_epoch, read_text
from providers._smtp import classify_refusal, read_smtp
from providers._verification import check_hmac, check_recent, decode_hex, read_header, read_seconds

NAME = "customerio"
VERSION = b"v0"
WINDOW = timedelta(days=7 + 1)
EMAIL, CUSTOMER = "email", "customer"

# Their metric of a mail → our type.
TYPES = {
    "sent": INJECTED,
    "attempted": DEFERRED,  # could not be handed on; Customer.io tries again
    "delivered": DELIVERED,
    "deferred": DEFERRED,
    "bounced": BOUNCED,
    "dropped": REJECTED,  # the address is on a suppression list
    "undeliverable": REJECTED,  # a limit of messages, or not subscribed to the topic
    "failed": FAILED,
    "opened": OPENED,  # `human_opened` and `human_clicked` come beside these: unknown, so that nothing counts twice
    "clicked": CLICKED,
    "spammed": COMPLAINED,
    "unsubscribed": UNSUBSCRIBED,
    "drafted": UNKNOWN,  # no mail yet
    "converted": UNKNOWN,  # about the person, not the mail
}
# A customer's metric → our type.
SUBSCRIPTIONS = {"subscribed": SUBSCRIBED, "unsubscribed": UNSUBSCRIBED}
# What is in the text of a message that was not sent → the list that the address is on.
LISTS = {"unsub": PREVIOUSLY_UNSUBSCRIBED, "spam": SPAM, "complain": SPAM, "bounce": PREVIOUSLY_BOUNCED}

TAKEN = {
    "recipient": ("data", "recipient"),
    "message_id": ("data", "delivery_id"),
    "metadata": ("data", "identifiers"),
    "subject": ("data", "subject"),
    "url": ("data", "href"),
    "reason": ("data", "failure_message"),
}


def verify(request: WebhookRequest, secrets: Sequence[str], now: datetime) -> None:
    """`X-CIO-Signature` is the HMAC-SHA256, in hexadecimal, of `v0:`, `X-CIO-Timestamp`, `:` and the body.

    The separators are from memory; if they are others, nothing is let in.
    """
    given = decode_hex(read_header(request, "x-cio-signature"))
    time = read_header(request, "x-cio-timestamp")
    check_recent(read_seconds(time), now, WINDOW)
    check_hmac(given, secrets, b":".join((VERSION, time.encode(), request.body)))


def parse(body: bytes, _delivery: Delivery) -> Iterator[Event | Unparseable]:
    """The body's one event."""
    return read_events(lambda: [parse_json(body)], _read, TAKEN, body=body)


def restore(event: Event) -> Json:
    """The webhook's body."""
    return restore_item(event, TAKEN)


def _read(item: Json) -> Columns:
    get = item.get
    channel, metric, data = get("object_type"), get("metric"), get("data")
    if type(channel) is not str or type(metric) is not str or not channel or not metric:
        raise ValueError("the event has no object_type and metric")
    if type(data) is not dict:
        raise ValueError("the event has no object data")
    find: Any = data.get
    identifiers = find("identifiers")
    recipient = find("recipient") if channel == EMAIL else find("email_address") or pick(identifiers, "email")
    reason = find("failure_message")
    return make_columns(
        read_epoch(get("timestamp")),
        read_text(get("event_id")) or hash_canonical(item),
        find_kind(
            channel,
            metric,
            reason if type(reason) is str else "",
            machine=find("prefetched") is True or find("machine") is True,
        ),
        recipient,
        message_id=find("delivery_id"),
        metadata=identifiers,
        reason=reason,
        url=find("href"),
        campaign=find("campaign_id") or find("broadcast_id") or find("newsletter_id"),
        template=find("transactional_message_id") or find("action_id") or find("content_id"),
        subject=find("subject"),
    )


@lru_cache(CACHED)
def find_kind(channel: str, metric: str, reason: str, *, machine: bool) -> Kind:
    """The kind of an object's type and metric, and of the words of its failure ("")."""
    if channel != EMAIL:
        event_type = SUBSCRIPTIONS.get(metric, UNKNOWN) if channel == CUSTOMER else UNKNOWN
        return Kind(NAME, f"{channel}/{metric}", event_type)
    event_type = TYPES.get(metric, UNKNOWN)
    smtp_code, enhanced_status = read_smtp(reason)
    bounce_kind = reject_reason = None
    if event_type == BOUNCED:
        bounce_kind, reject_reason = classify_refusal(smtp_code, enhanced_status)
    elif event_type == REJECTED:
        text = reason.lower()
        reject_reason = next((why for word, why in LISTS.items() if word in text), OTHER)
    return Kind(
        NAME,
        metric,
        event_type,
        bounce_kind=bounce_kind,
        machine_open=machine and event_type == OPENED,
        reject_reason=reject_reason,
        smtp_code=smtp_code,
        enhanced_status=enhanced_status,
    )
