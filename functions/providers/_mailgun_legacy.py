"""Mailgun's legacy webhooks: forms, whose fields share their names with the variables of the user.

A form has no time of the event but the one that is signed: an event that is sent again is signed again, and so becomes
another one. Source: the facts page.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from common.events import (
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
    TIMED_OUT,
    UNKNOWN,
    UNSUBSCRIBED,
    Event,
    Json,
    Kind,
    Unparseable,
)
from providers._events import Columns, make_columns, read_events
from providers._fields import hash_canonical, read_epoch
from providers._forms import decode_text, read_fields
from providers._taking import Path

TYPES = {
    "delivered": DELIVERED,
    "dropped": REJECTED,  # given up, or on a suppression list
    "bounced": BOUNCED,
    "complained": COMPLAINED,
    "unsubscribed": UNSUBSCRIBED,
    "opened": OPENED,
    "clicked": CLICKED,
}
# Mailgun's own fields, lower case; any other is a variable of the user's.
FIELDS = frozenset(
    {
        *("event", "recipient", "domain", "timestamp", "token", "signature", "message-id", "message-headers"),
        *("x-mailgun-sid", "x-mailgun-tag", "tag", "campaign-id", "campaign-name", "mailing-list", "url", "ip"),
        *("country", "region", "city", "user-agent", "device-type", "client-type", "client-name", "client-os"),
        *("code", "error", "notification", "reason", "description", "body-plain", "attachment-count"),
    }
)
SIGNED = ("token", "signature")  # new with each POST
OF_A_MAIL = frozenset({"sender", "body-plain", "body-mime", "stripped-text"})  # what a route forwards


def parse_form(body: bytes, content_type: str, taken: Mapping[str, Path]) -> Iterator[Event | Unparseable]:
    """The form's event. Always looked through for what Postgres can't hold, which may be percent-encoded."""
    return read_events(lambda: [_read_form(body, content_type)], _read, taken, body=b"\0")


def _read_form(body: bytes, content_type: str) -> Json:
    item: Json = {}
    for name, value in read_fields(body, content_type):
        item.setdefault(decode_text(name), []).append(decode_text(value))
    return {name: values[0] if len(values) == 1 else values for name, values in item.items()}


def _read(item: Json) -> Columns:
    first = {name.lower(): value[0] if type(value) is list else value for name, value in reversed(item.items())}
    timestamp = item.get("timestamp")
    provider_type = first.get("event")
    if not provider_type:
        if not OF_A_MAIL.isdisjoint(first):
            raise ValueError("a mail that came in, not what became of one sent: give Mailgun's routes another URL")
        raise ValueError("the form has no field event")
    delivered = provider_type == "delivered"
    reason = None if delivered else first.get("error") or first.get("description") or first.get("reason")
    tags = [value for name, value in _list_all(item) if name.lower() in ("x-mailgun-tag", "tag")]
    message_id = first.get("message-id")
    return make_columns(
        read_epoch(timestamp[-1] if type(timestamp) is list else timestamp),
        hash_canonical({name: value for name, value in item.items() if name not in SIGNED}),
        _find_kind(provider_type, first, reason or ""),
        recipient=first.get("recipient"),
        message_id=None if message_id is None else message_id.strip("<>"),
        metadata={name: value for name, value in item.items() if not is_own(name.lower())},
        tags=list(dict.fromkeys(tags)),
        reason=reason,
        url=first.get("url"),
        ip_address=first.get("ip"),
        user_agent=first.get("user-agent"),
        campaign=first.get("campaign-name") or first.get("campaign-id"),
    )


def is_own(name: str) -> bool:
    """Whether a field of this name, in lower case, is Mailgun's."""
    return name in FIELDS or name.removeprefix("attachment-").isdigit()


def _list_all(item: Json) -> Iterator[tuple[str, Any]]:
    for name, value in item.items():
        for entry in value if type(value) is list else [value]:
            yield name, entry


def _find_kind(provider_type: str, first: Mapping[str, str], diagnostic: str) -> Kind:
    from providers.mailgun import CODES, NAME, read_codes

    event_type = TYPES.get(provider_type, UNKNOWN)
    smtp_code, enhanced_status, number = read_codes(first.get("code", ""), "", diagnostic)
    bounce_kind = reject_reason = None
    if event_type == REJECTED and first.get("reason") == "old":
        event_type, bounce_kind, reject_reason = BOUNCED, SOFT, TIMED_OUT
    elif event_type == BOUNCED:
        bounce_kind = SOFT if str(smtp_code or enhanced_status).startswith("4") else HARD
        reject_reason = CODES.get(number, PREVIOUSLY_BOUNCED)
    elif event_type == REJECTED:
        reject_reason = CODES.get(number, OTHER)
    return Kind(
        NAME,
        provider_type,
        event_type,
        bounce_kind=bounce_kind,
        reject_reason=reject_reason,
        smtp_code=smtp_code,
        enhanced_status=enhanced_status,
    )
