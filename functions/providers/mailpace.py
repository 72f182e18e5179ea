"""MailPace: one JSON object a webhook, signed by Ed25519 over the body; one key for each of its domains.

Source: the facts page, and MailPace's documentation of webhooks from memory. It tries again only where no answer came
(a timeout, a failed TLS handshake), up to ten times; any HTTP error disables the webhook until a person switches it on.
So the answer is never an error where that would lose more:
- not stored: 200. No answer brings that event back; an error would lose all later ones too. The log has the error.
- not proven: 401. Without the right key every event is lost, whatever the answer. Whoever sets the key up sees it at
  MailPace, and must go there anyway. Somebody else's forgery is answered to them and disables nothing.
- another method than POST: 200. It brings no event.

There is no id of an event: message, word and time of the change are the key. A mail to several recipients comes as one
event with all of them, and becomes one for each; which of them bounced it doesn't say.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from email.utils import getaddresses
from functools import lru_cache
from typing import Any

from common.events import (
    BOUNCED,
    DEFERRED,
    DELIVERED,
    INJECTED,
    PREVIOUSLY_BOUNCED,
    REJECTED,
    SOFT,
    SPAM,
    UNDETERMINED,
    UNKNOWN,
    Event,
    Json,
    Unparseable,
)
from providers import Answers, Delivery, Reply, WebhookRequest
from providers._events import (
    CACHED,
    Columns,
    make_columns,
    make_kind,
    parse_json,
    read_address,
    read_events,
    readdress,
    restore_item,
)
from providers._fields import hash_canonical, read_epoch, read_text
from providers._signatures import check_ed25519
from providers._verification import decode_base64, read_header

NAME = "mailpace"
SIGNATURE = "x-mailpace-signature"
ANSWERS = Answers(unavailable=200, unauthorized=401)

# Their word → our type, and what of the kind it says.
TYPES: dict[str, tuple[str, Json]] = {
    "email.queued": (INJECTED, {}),
    "email.delivered": (DELIVERED, {}),
    "email.deferred": (DEFERRED, {"bounce_kind": SOFT}),
    "email.bounced": (BOUNCED, {"bounce_kind": UNDETERMINED, "reject_reason": PREVIOUSLY_BOUNCED}),
    "email.spam": (REJECTED, {"reject_reason": SPAM}),  # by MailPace's own filter: nobody complained
}

TAKEN = {
    "recipient": ("payload", "to"),
    "message_id": ("payload", "message_id"),
    "subject": ("payload", "subject"),
    "tags": ("payload", "tags"),
    "address": ("payload", "from"),
}


def verify(request: WebhookRequest, secrets: Sequence[str], _now: datetime) -> None:
    """`X-MailPace-Signature` is the Ed25519 signature of the body, in base64. A secret is a domain's public key."""
    check_ed25519(decode_base64(read_header(request, SIGNATURE)), secrets, request.body)


def handshake(request: WebhookRequest, _secrets: Sequence[str], _now: datetime) -> Reply | None:
    """Whether the URL answers: always."""
    return None if request.method == "POST" else Reply(200, "")


def parse(body: bytes, _delivery: Delivery) -> Iterator[Event | Unparseable]:
    """The body's one event, for each of its recipients."""
    return read_events(lambda: [parse_json(body)], _read, TAKEN, body=body)


def restore(event: Event) -> Json:
    """The webhook's body."""
    return restore_item(event, TAKEN)


def _read(item: Json) -> Columns | list[Columns]:
    word, payload = item.get("event"), item.get("payload")
    if word is None and ("raw" in item or "headers" in item):
        raise ValueError("a mail that MailPace received, not an event: give the domain's inbound endpoint another URL")
    if type(word) is not str or not word:
        raise ValueError("the webhook has no event")
    if type(payload) is not dict:
        raise ValueError("the event has no object payload")
    get = payload.get
    event_type, attributes = TYPES.get(word, (UNKNOWN, {}))
    time, number = get("updated_at"), read_text(get("id"))
    event_id = hash_canonical([number, word, time] if number else item)
    recipients = _list_recipients(get("to"))
    columns = make_columns(
        read_epoch(time),
        event_id,
        make_kind(NAME, word, event_type, **attributes),
        recipients[0] if recipients else None,
        message_id=get("message_id"),
        transmission_id=number,  # what the call that sends gave back, one for all recipients
        tags=get("tags"),
        subject=get("subject"),
        address=read_address(get("from")),
    )
    if len(recipients) < 2:
        return columns
    return [readdress(columns, address, f"{event_id}:{address}") for address in recipients]


def _list_recipients(given: Any) -> Sequence[str]:
    """The addresses of `a@x.com, Name <b@x.com>`, each once."""
    texts = given if type(given) is list else [given]
    return list(dict.fromkeys(address for text in texts if type(text) is str for address in _split_addresses(text)))


@lru_cache(CACHED)
def _split_addresses(text: str) -> tuple[str, ...]:
    if "," not in text:
        return tuple(filter(None, [read_address(text)]))
    found = [address for _, address in getaddresses([text])]
    if not all(found):  # not by the grammar
        found = text.split(",")
    addresses = [address for address in map(read_address, found) if address]
    return tuple(address for address in addresses if "@" in address) or tuple(addresses)
