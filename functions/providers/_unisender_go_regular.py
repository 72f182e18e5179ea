"""The quick way through a body of Unisender Go's: events that are as its documentation says.

Fields are decoded at once into structures. A body with anything else in it (an unknown field, a null, a number where
text should be) is refused as a whole, and a single odd event comes out as an item; both then take the way in
`unisender_go.py`, which takes any form and gives the same events under the same ids.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, cast

import msgspec
from msgspec import to_builtins

from common.events import Client, Event, Json, Mailing, Receiver, Sender
from common.json_text import encode_json
from providers._fields import LONGEST_INDEXED, hash_text, read_text
from providers.unisender_go import ENVELOPE, find_kind, read_time

STATUS = "transactional_email_status"
CACHED = 10_000
NO_INFO = None, None, None, None


def _define(name: str, **fields: Any) -> Any:
    """A structure of fields that may be absent, and not null.

    They are in the order of their names: written as it stands it is canonical, as `hash_canonical` has it.
    """
    rows = [(field, fields[field], None) for field in sorted(fields)]
    return msgspec.defstruct(name, rows, forbid_unknown_fields=True, omit_defaults=True, gc=False)


_Info = _define("Info", delivery_status=str, destination_response=str, ip=str, user_agent=str)
_Data = _define(
    "Data",
    **dict.fromkeys(("email", "event_time", "job_id", "status", "url"), str),
    **dict.fromkeys(("SMTP_blocks_count", "block_time", "block_type", "domain", "domain_status"), int | str),
    delivery_info=_Info,
    metadata=dict[str, Any],
)
_Item: Any = _define("Item", event_name=str, event_data=_Data)
_Items: Any = list[_Item]
_User: Any = _define("User", user_id=int | str, project_id=int | str, project_name=str, events=_Items)
_Users: Any = list[_User]
_Body = _define("Body", auth=str, events_by_user=_Users)

_decode = cast("Callable[[bytes], Any]", msgspec.json.Decoder(_Body).decode)
_encode = msgspec.json.Encoder(order="deterministic").encode
_new_event = tuple.__new__
_make_client = lru_cache(CACHED)(Client)
_make_receiver = lru_cache(CACHED)(Receiver)


class _Around(NamedTuple):
    """What is around a user's events."""

    mailing: Mailing
    hashed: bytes  # after the canonical `event_data`
    kept: bytes  # after that of the detail


def parse_regular(body: bytes) -> list[Event | Json] | None:
    """For each item of a body an event, or the item where it is odd; None where the body is not regular."""
    try:
        users = _decode(body).events_by_user
        if users is None or any(user.events is None for user in users):
            return None
        return _read_users(users)
    except (ValueError, OverflowError, RecursionError):
        return None


def _read_users(users: list[Any]) -> list[Event | Json]:
    found: list[Event | Json] = []
    for user in users:
        items, user.events = user.events, None
        envelope = to_builtins(user)
        around = _read_user(envelope)
        for position, item in enumerate(items, len(found)):
            event = _read_item(item, around, position)
            found.append(to_builtins(item) | {ENVELOPE: envelope} if event is None else event)
    return found


def _read_user(envelope: Json) -> _Around:
    user, project = envelope.get("user_id"), envelope.get("project_id")
    hashed = {"event_name": STATUS, "project": project, "user": user}
    return _Around(
        Mailing(sender=Sender(subaccount=read_text(project) or read_text(user))),
        b"," + encode_json(hashed, order="sorted")[1:],
        b',"event_name":"%s","%s":%s}' % (STATUS.encode(), ENVELOPE.encode(), encode_json(envelope)),
    )


def _read_item(item: Any, around: _Around, position: int) -> Event | None:
    """The event of one structure; None where a column would not give back its value letter by letter."""
    data = item.event_data
    if item.event_name != STATUS or data is None:
        return None
    recipient, message_id, status, url, metadata = data.email, data.job_id, data.status, data.url, data.metadata
    if not recipient or not message_id or not status or url == "" or "<" in recipient:
        return None
    if recipient != recipient.strip().lower() or len(recipient) > LONGEST_INDEXED or len(message_id) > LONGEST_INDEXED:
        return None
    _, at, domain = recipient.rpartition("@")
    if not at or not domain:
        return None
    try:
        occurred_at = read_time(data.event_time)
    except ValueError:
        return None
    event_id = hash_text(b'{"event_data":' + _encode(data) + around.hashed)
    meta = encode_json(metadata) if metadata else None
    info = data.delivery_info
    code, response, ip_address, user_agent = NO_INFO if info is None else _take_info(info)
    # The columns give these back.
    data.email = data.job_id = data.url = None
    if metadata:
        data.metadata = None
    return _new_event(
        Event,
        (
            occurred_at,
            event_id,
            find_kind(status, code, response),
            around.mailing,
            _make_receiver(domain),
            None if user_agent is None else _make_client(user_agent),
            recipient,
            message_id,
            None,
            meta,
            response,
            url,
            ip_address,
            position,
            b'{"event_data":' + _encode(data) + around.kept,
        ),
    )


def _take_info(info: Any) -> tuple[str | None, str | None, str | None, str | None]:
    """The status, and what columns give back; an empty text stays where it is."""
    response, ip_address, user_agent = info.destination_response or None, info.ip or None, info.user_agent or None
    if response is not None:
        info.destination_response = None
    if ip_address is not None:
        info.ip = None
    if user_agent is not None:
        info.user_agent = None
    return info.delivery_status, response, ip_address, user_agent
