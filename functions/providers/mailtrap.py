"""Mailtrap: many events a webhook, as JSON or as JSON Lines, signed by HMAC-SHA256 over the body, an id for each event.

Sources: the facts page; Mailtrap's documentation, from memory. A soft bounce is tried again; a suspension is Mailtrap's
own delay. It tells of incoming mail too: kept as unknown, known by all but its `event_id`, which may change when it is
sent again, and with its time in milliseconds. Mailtrap tries 40 times, every 5 minutes; only 200 is success.
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
    DEFERRED,
    DELIVERED,
    HARD,
    OPENED,
    OTHER,
    PREVIOUSLY_BOUNCED,
    PREVIOUSLY_UNSUBSCRIBED,
    REJECTED,
    SPAM,
    UNKNOWN,
    UNSUBSCRIBED,
    Event,
    Json,
    Kind,
    Unparseable,
)
from providers import Delivery, WebhookRequest
from providers._events import CACHED, Columns, make_columns, parse_json, read_events, restore_item
from providers._fields import hash_canonical, read_epoch, read_text
from providers._smtp import read_smtp
from providers._verification import check_hmac, check_shared_secret, decode_hex, read_header

NAME = "mailtrap"
SIGNATURE = "mailtrap-signature"
CODES = range(200, 600)

# Their word, underscores as spaces → our type, why.
TYPES: dict[str, tuple[str, str | None]] = {
    "delivery": (DELIVERED, None),
    "soft bounce": (DEFERRED, OTHER),
    "bounce": (BOUNCED, PREVIOUSLY_BOUNCED),
    "suspension": (DEFERRED, OTHER),
    "reject": (REJECTED, BLOCKED),
    "open": (OPENED, None),
    "click": (CLICKED, None),
    "unsubscribe": (UNSUBSCRIBED, None),
    "spam": (COMPLAINED, None),
    "spam complaint": (COMPLAINED, None),
}
# What is in the reason of a reject, in lower case → why. Free text.
REJECTS = {"unsubscri": PREVIOUSLY_UNSUBSCRIBED, "spam": SPAM, "bounce": PREVIOUSLY_BOUNCED}

TAKEN = {
    "recipient": ("email",),
    "message_id": ("message_id",),
    "metadata": ("custom_variables",),
    "tags": ("category",),
    "reason": ("response",),
    "url": ("url",),
    "ip_address": ("ip",),
    "user_agent": ("user_agent",),
}


def verify(request: WebhookRequest, secrets: Sequence[str], _now: datetime) -> None:
    """`Mailtrap-Signature` is the HMAC-SHA256 of the body, in hexadecimal; no time is signed.

    Older webhooks are not signed: the secret then is that of basic authentication or of the path.
    """
    if SIGNATURE not in request.headers:
        check_shared_secret(request, secrets)
        return
    check_hmac(decode_hex(read_header(request, SIGNATURE)), secrets, request.body)


def parse(body: bytes, _delivery: Delivery) -> Iterator[Event | Unparseable]:
    """The events of the list, or of the lines."""
    return read_events(lambda: _find_items(body), _read, TAKEN, body=body)


def restore(event: Event) -> Json:
    """The object of the list, or of the line."""
    return restore_item(event, TAKEN)


def _find_items(body: bytes) -> list[Any]:
    """The form is told by the body: one JSON value, or one on each line."""
    try:
        found = parse_json(body)
    except ValueError:
        lines = [line for line in body.split(b"\n") if line.strip()]
        if len(lines) < 2:
            raise
        return [_read_line(line) for line in lines]
    if type(found) is dict and "events" in found:
        found = found["events"]
    elif type(found) is dict:
        return [found]
    if type(found) is not list:
        raise ValueError("the body has no list of events")
    return found


def _read_line(line: bytes) -> Any:
    try:
        return parse_json(line)
    except ValueError:
        return line.decode(errors="replace")  # set aside by itself


def _read(item: Json) -> Columns:
    get = item.get
    provider_type = get("event")
    if type(provider_type) is not str or not provider_type:
        raise ValueError("the event has no field event")
    time = get("timestamp")
    event_id = read_text(get("event_id"))
    if provider_type.startswith("inbound"):
        event_id = None
        time = time / 1000 if type(time) is int and abs(time) < 1 << 53 else time
    response, code = get("response"), get("response_code")
    why = get("reason")
    reason = response or why
    return make_columns(
        read_epoch(time),
        event_id or hash_canonical({name: value for name, value in item.items() if name != "event_id"}),
        find_kind(
            provider_type,
            code if type(code) is int else None,
            reason if reason is None or type(reason) is str else read_text(reason),
            why if type(why) is str else None,
        ),
        get("email"),
        get("message_id"),
        None,  # a transmission's
        get("custom_variables"),
        get("category"),
        reason,
        get("url"),
        get("ip"),
        get("user_agent"),
    )


@lru_cache(CACHED)
def find_kind(provider_type: str, code: int | None, said: str | None, why: str | None) -> Kind:
    """The kind of a type, of the code and the words of the receiving server's reply, and of Mailtrap's reason."""
    event_type, reject_reason = TYPES.get(provider_type.replace("_", " "), (UNKNOWN, None))
    smtp_code, enhanced_status = read_smtp(said)
    if event_type == REJECTED:
        text = (why or "").lower()
        reject_reason = next((known for word, known in REJECTS.items() if word in text), reject_reason)
    return Kind(
        NAME,
        provider_type,
        event_type,
        bounce_kind=HARD if event_type == BOUNCED else None,
        reject_reason=reject_reason,
        smtp_code=code if code in CODES else smtp_code,
        enhanced_status=enhanced_status,
    )
