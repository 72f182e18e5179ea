"""Scaleway Transactional Email through its Topics and Events, which speak like Amazon SNS (providers/_sns.py).

Source: the facts page, and Scaleway's documentation from memory. Not verified: where its certificates are fetched from,
so none is: paste the certificate that signs (then the signature is checked), or give the endpoint's URL a user and
password, or a secret in its path. Nor the API's address where a subscription is confirmed: `HOSTS`; if that is wrong,
the answer is 503 and the subscription stays pending.

An item is the envelope with its `Message` decoded, without the envelope's signature and addresses.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from common.events import (
    BLOCK,
    BLOCKED,
    BOUNCED,
    DEFERRED,
    DELIVERED,
    HARD,
    INJECTED,
    INVALID,
    REJECTED,
    SOFT,
    SPAM,
    TIMED_OUT,
    UNDETERMINED,
    UNKNOWN,
    Event,
    Json,
    Kind,
    Unparseable,
)
from providers import Delivery
from providers._events import CACHED, Columns, make_columns, read_address, read_events, readdress, restore_item
from providers._fields import hash_canonical, read_epoch, read_text
from providers._mail_headers import read_mail_headers
from providers._smtp import read_smtp
from providers._sns import Sns, close_item, find_raw_id, open_body

NAME = "scaleway"

HOSTS = {"scw": "sns.mnq.{region}.scaleway.com"}

SNS = Sns(HOSTS)
verify = SNS.verify
handshake = SNS.handshake
find_batch_id = find_raw_id

# Their type → our type, and what of the kind it says.
TYPES: dict[str, tuple[str, Json]] = {
    "email_queued": (INJECTED, {}),
    "email_delivered": (DELIVERED, {}),
    "email_deferred": (DEFERRED, {"bounce_kind": SOFT}),
    "email_dropped": (BOUNCED, {"bounce_kind": UNDETERMINED}),  # the code says more: `find_kind`
    "email_spam": (REJECTED, {"reject_reason": SPAM}),  # by Scaleway's own filter
    "email_mailbox_not_found": (BOUNCED, {"bounce_kind": HARD, "reject_reason": INVALID}),
    "email_blocklisted": (REJECTED, {"reject_reason": BLOCKED}),
    "blocklist_created": (UNKNOWN, {}),  # of an address, not of a message
}
DROPPED = "email_dropped"
GAVE_UP = range(400, 500)  # codes of a trouble that may pass

TAKEN = {
    "recipient": ("Message", "email_to"),
    "message_id": ("Message", "email_id"),
    "subject": ("Message", "email_subject"),
    "subaccount": ("Message", "project_id"),
    "reason": ("Message", "email_response_message"),
}


def parse(body: bytes, delivery: Delivery) -> Iterator[Event | Unparseable]:
    """The body's one event."""
    return read_events(lambda: open_body(body, delivery.batch_id), _read, TAKEN, body=body)


def restore(event: Event) -> Json:
    """The envelope with its `Message` decoded; where it came raw, Scaleway's object alone."""
    return close_item(restore_item(event, TAKEN))


def _read(item: Json) -> list[Columns] | Columns:
    message: Any = item["Message"]
    word = message.get("type") if type(message) is dict else None
    if type(word) is not str or not word:
        raise ValueError("the event has no type: it is not of Scaleway's Transactional Email")
    get = message.get
    reason, code = get("email_response_message"), get("email_response_code")
    tags, metadata = read_mail_headers(get("email_headers"), "key")
    given = get("email_to")
    recipients = list(dict.fromkeys(map(read_address, given))) if type(given) is list else [read_address(given)]
    event_id = read_text(get("id")) or hash_canonical(message)
    columns = make_columns(
        read_epoch(get("created_at")),
        event_id,
        find_kind(word, code if type(code) is int else 0, reason if type(reason) is str else ""),
        recipients[0] if recipients else None,
        message_id=get("email_id"),
        metadata=metadata,
        tags=tags or None,
        reason=reason,
        subject=get("email_subject"),
        address=read_address(get("email_from")),
        subaccount=get("project_id"),
    )
    if len(recipients) < 2:
        return columns
    return [readdress(columns, address, f"{event_id}:{address}") for address in recipients]


@lru_cache(CACHED)
def find_kind(word: str, code: int, reason: str) -> Kind:
    """The kind of a type, the response's code (0: none) and its text."""
    event_type, attributes = TYPES.get(word, (UNKNOWN, {}))
    said, enhanced_status = read_smtp(reason)
    smtp_code = code if 200 <= code < 600 else said
    if word == DROPPED:
        status = enhanced_status or ""
        if smtp_code in GAVE_UP or status.startswith("4"):
            attributes = {"bounce_kind": SOFT, "reject_reason": TIMED_OUT}
        elif status.startswith("5.1."):
            attributes = {"bounce_kind": HARD, "reject_reason": INVALID}
        elif status.startswith("5.7."):
            attributes = {"bounce_kind": BLOCK, "reject_reason": BLOCKED}
    return Kind(NAME, word, event_type, smtp_code=smtp_code, enhanced_status=enhanced_status, **attributes)
