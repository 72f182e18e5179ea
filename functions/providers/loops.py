"""Loops: one JSON object a webhook, signed as Standard Webhooks; the id of the event is in the header `webhook-id`.

Source: the facts page, and Loops's documentation of webhooks from memory. The names of the headers are those of the
standard, or Svix's; under any other nothing is let in. Whether and how often a webhook is sent again is not known.
"""

from collections.abc import Iterator
from typing import Any

from common.events import (
    BOUNCED,
    CLICKED,
    COMPLAINED,
    DELIVERED,
    HARD,
    INJECTED,
    OPENED,
    OTHER,
    PREVIOUSLY_BOUNCED,
    SOFT,
    SPAM,
    SUBSCRIBED,
    UNKNOWN,
    UNSUBSCRIBED,
    Event,
    Json,
    Unparseable,
)
from providers import Delivery
from providers._events import Columns, make_columns, make_kind, parse_json, pick, read_events, restore_item
from providers._fields import hash_canonical, read_epoch
from providers._standard_webhooks import check_standard_webhook, find_message_id

NAME = "loops"

verify = check_standard_webhook
find_batch_id = find_message_id

# Their word → our type, and what of the kind it says.
TYPES: dict[str, tuple[str, Json]] = {
    "campaign.email.sent": (INJECTED, {}),
    "loop.email.sent": (INJECTED, {}),
    "transactional.email.sent": (INJECTED, {}),
    "email.delivered": (DELIVERED, {}),
    "email.softBounced": (BOUNCED, {"bounce_kind": SOFT, "reject_reason": OTHER}),
    "email.hardBounced": (BOUNCED, {"bounce_kind": HARD, "reject_reason": PREVIOUSLY_BOUNCED}),
    "email.opened": (OPENED, {}),
    "email.clicked": (CLICKED, {}),
    "email.unsubscribed": (UNSUBSCRIBED, {}),
    "email.resubscribed": (SUBSCRIBED, {}),
    "email.spamReported": (COMPLAINED, {"reject_reason": SPAM}),
    "contact.created": (UNKNOWN, {}),
    "contact.deleted": (UNKNOWN, {}),
    "contact.unsubscribed": (UNSUBSCRIBED, {}),  # of everything
    "contact.mailingList.subscribed": (SUBSCRIBED, {}),
    "contact.mailingList.unsubscribed": (UNSUBSCRIBED, {}),
}
TEST = "testing.testEvent"

TAKEN = {
    "recipient": ("contactIdentity", "email"),
    "message_id": ("email", "id"),
    "subject": ("email", "subject"),
    "transmission_id": ("campaignId",),
    "campaign": ("campaignName",),
    "template": ("transactionalId",),
}


def parse(body: bytes, delivery: Delivery) -> Iterator[Event | Unparseable]:
    """The body's one event; the one that tests a webhook is none."""
    return read_events(lambda: [parse_json(body)], lambda item: _read(item, delivery.batch_id), TAKEN, body=body)


def restore(event: Event) -> Json:
    """The webhook's body."""
    return restore_item(event, TAKEN)


def _read(item: Json, batch_id: str) -> Columns | None:
    get = item.get
    word = get("eventName")
    if type(word) is not str or not word:
        raise ValueError("the event has no eventName")
    if word == TEST:
        return None
    event_type, attributes = TYPES.get(word, (UNKNOWN, {}))
    email: Any = get("email")
    return make_columns(
        read_epoch(get("eventTime")),
        batch_id or hash_canonical(item),
        make_kind(NAME, word, event_type, **attributes),
        pick(item, "contactIdentity", "email"),
        message_id=pick(email, "id"),
        subject=pick(email, "subject"),
        transmission_id=get("campaignId") or get("loopId"),
        campaign=get("campaignName") or get("loopName") or get("transactionalName"),
        template=get("transactionalId"),
        url=get("link") or get("url"),
    )
