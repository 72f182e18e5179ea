"""ZeptoMail: one JSON object a webhook, whose `event_name` and `event_message` are lists, of one each.

Source: the facts page, and ZeptoMail's documentation of webhooks from memory. Not verified, so nothing rests on it:
- the signature: how it joins time and body, and whether it comes in hexadecimal or base64. Each likely form is tried,
  none without the key and the body. Basic authentication or a secret in the path does as well: then the signature is
  not looked at;
- whether a webhook that is sent again is signed anew: the time that it signs may be a day old;
- an id of an event: the key is what the event says of itself and of its message.

An item is the body. Opens and clicks do not say whose they are: they become an event for each address of the mail.
"""

import hmac
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from common.events import (
    BOUNCED,
    CLICKED,
    COMPLAINED,
    DELIVERED,
    FAILED,
    HARD,
    INVALID,
    OPENED,
    OTHER,
    PREVIOUSLY_BOUNCED,
    SOFT,
    SPAM,
    UNKNOWN,
    UNSUBSCRIBED,
    Event,
    Json,
    Kind,
    Unparseable,
)
from providers import Delivery, UnverifiedError, WebhookRequest
from providers._events import (
    CACHED,
    Columns,
    make_columns,
    parse_json,
    pick,
    read_address,
    read_events,
    readdress,
    restore_item,
)
from providers._fields import hash_canonical, read_epoch
from providers._smtp import read_smtp
from providers._taking import Path
from providers._verification import check_equal, check_recent, check_shared_secret, decode_base64, decode_hex

NAME = "zeptomail"
SIGNATURE = "producer-signature"
ALGORITHM = "hmacsha256"
WINDOW = timedelta(days=1)
HEX_DIGITS = 64  # of a signature; in base64 it has fewer
LONGEST_TIME = 14  # digits
MILLISECONDS_DIGITS = 12  # a time in seconds has fewer

# Their word, in lower case → our type, and what of the kind it says.
TYPES: dict[str, tuple[str, Json]] = {
    "delivered": (DELIVERED, {}),
    "softbounce": (BOUNCED, {"bounce_kind": SOFT, "reject_reason": OTHER}),
    "hardbounce": (BOUNCED, {"bounce_kind": HARD, "reject_reason": PREVIOUSLY_BOUNCED}),
    "email_open": (OPENED, {}),
    "email_link_click": (CLICKED, {}),
    "feedback_loop": (COMPLAINED, {"reject_reason": SPAM}),
    "unsubscribe": (UNSUBSCRIBED, {}),
    "process_failed": (FAILED, {}),
}
NO_MAILBOX = "5.1."  # how the status begins of an address that does not exist

TAKEN: dict[str, Path] = {}  # what the columns say is within lists: it stays there too


def verify(request: WebhookRequest, secrets: Sequence[str], now: datetime) -> None:
    """A secret is the webhook's key, `user:password`, or the password in the path."""
    if request.path_secret or "authorization" in request.headers or SIGNATURE not in request.headers:
        check_shared_secret(request, secrets)
        return
    parts = dict(part.strip().partition("=")[::2] for part in request.headers[SIGNATURE].split(";"))
    time, given = parts.get("ts", ""), unquote(parts.get("s", ""))
    if parts.get("s-algorithm", ALGORITHM).lower() != ALGORITHM or not given:
        raise UnverifiedError("malformed producer-signature")
    check_recent(_read_time(time), now, WINDOW)
    signature = decode_hex(given) if len(given) == HEX_DIGITS else decode_base64(given)
    told = time.encode()
    forms = (told + request.body, told + b"." + request.body, request.body)
    check_equal(signature, [hmac.digest(secret.encode(), form, "sha256") for secret in secrets for form in forms])


def _read_time(text: str) -> datetime:
    """The time of seconds or milliseconds since 1970."""
    if not (text.isascii() and text.isdigit() and len(text) <= LONGEST_TIME):
        raise UnverifiedError("malformed time")
    return datetime.fromtimestamp(int(text) / (1000 if len(text) >= MILLISECONDS_DIGITS else 1), UTC)


def parse(body: bytes, _delivery: Delivery) -> Iterator[Event | Unparseable]:
    """The body's events."""
    return read_events(lambda: [parse_json(body)], _read, TAKEN, body=body)


def restore(event: Event) -> Json:
    """The webhook's body."""
    return restore_item(event, TAKEN)


def _read(item: Json) -> Columns | list[Columns]:
    names, messages = _list(item.get("event_name")), _list(item.get("event_message"))
    if not names or len(names) != len(messages):
        raise ValueError("event_name and event_message are not lists with as many entries, one at least")
    found: list[Columns] = []
    for name, message in zip(names, messages, strict=True):
        found += _read_message(name, message, item.get("mailagent_key"))
    return found[0] if len(found) == 1 else list({columns[1]: columns for columns in found}.values())  # by their ids


def _read_message(word: Any, message: Any, agent: Any) -> Iterator[Columns]:
    """One for each detail of the message's events, and for each of its recipients."""
    if type(word) is not str or not word:
        raise ValueError("a name in event_name is not a text")
    if type(message) is not dict:
        raise ValueError("an entry of event_message is not an object")
    message_id = message.get("request_id")  # what the call that sends gave back
    mail = _get_object(message, "email_info")
    details = [detail for data in _list(message.get("event_data")) for detail in _list(pick(data, "details"))]
    for given in details or [None]:
        detail: Json = given if type(given) is dict else {}
        get = detail.get
        reason = get("diagnostic_message") or get("reason")
        reference = mail.get("client_reference")
        event_id = hash_canonical([word, message_id, mail.get("email_reference"), given or message])
        own = get("bounced_recipient") or get("recipient")
        recipients = _list_recipients([own] if own else _list_addresses(mail))
        columns = make_columns(
            read_epoch(get("time") or mail.get("processed_time")),
            event_id,
            find_kind(word, reason if type(reason) is str else ""),
            recipients[0] if recipients else None,
            message_id=message_id,
            metadata={"client_reference": reference} if reference else None,
            tags=mail.get("tag"),
            reason=reason,
            url=get("clicked_link"),
            ip_address=get("ip_address"),
            user_agent=get("user_agent"),
            subject=mail.get("subject"),
            address=_read_person(mail.get("from")),
            subaccount=agent,
        )
        if len(recipients) < 2:
            yield columns
        else:
            yield from (readdress(columns, to, f"{event_id}:{to}") for to in recipients)


def _get_object(item: Json, name: str) -> Json:
    value = item.get(name)
    return value if type(value) is dict else {}


def _list(value: Any) -> list[Any]:
    """A list, or the one thing that is not in a list."""
    if type(value) is list:
        return value
    return [] if value is None else [value]


def _list_addresses(mail: Json) -> list[Any]:
    """Whom the mail went to, as ZeptoMail writes addresses."""
    persons = _list(mail.get("to"))
    return persons + _list(mail.get("cc")) + _list(mail.get("bcc")) if "cc" in mail or "bcc" in mail else persons


def _list_recipients(persons: list[Any]) -> list[str]:
    return list(dict.fromkeys([address for address in map(_read_person, persons) if address]))


def _read_person(value: Any) -> str | None:
    """The address of a text, of `{"address": …, "name": …}`, or of either within `email_address`."""
    if type(value) is dict:
        value = value.get("email_address") or value.get("address")
        if type(value) is dict:
            value = value.get("address")
    return read_address(value)


@lru_cache(CACHED)
def find_kind(word: str, reason: str) -> Kind:
    """The kind of a word and of the receiving server's words."""
    event_type, attributes = TYPES.get(word.lower(), (UNKNOWN, {}))
    smtp_code, enhanced_status = read_smtp(reason)
    if attributes.get("bounce_kind") == HARD and (enhanced_status or "").startswith(NO_MAILBOX):
        attributes = attributes | {"reject_reason": INVALID}
    return Kind(NAME, word, event_type, smtp_code=smtp_code, enhanced_status=enhanced_status, **attributes)
