"""The quick way through a body of SparkPost's: events that are as its documentation says.

Nearly all are, so their fields are decoded at once into a structure made from the tables in `sparkpost.py`: what has a
column as text, everything else as the JSON that it came in. A body with anything else in it (an unknown field, a number
where text should be, a null) is refused as a whole, and a single odd event is told apart; both then take the way in
`sparkpost.py`, which takes any form and gives the same result.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, cast

import msgspec
from msgspec import Raw
from msgspec.structs import astuple

from common.event_keys import is_numeric
from common.events import Client, Event, Mailing, Receiver, Sender
from providers._fields import LONGEST_INDEXED
from providers.sparkpost import (
    EVENT_FIELDS,
    MAILING_FIELDS,
    RECEIVER_FIELDS,
    SENDER_FIELDS,
    SHARED_FIELDS,
    TYPES,
    build_shared,
    find_kind,
    read_reply,
)

# Fields without a column, kept as they came. One that is missing here costs speed, nothing else.
OTHER_FIELDS = (
    *("ab_test", "amp_enabled_at", "delv_method", "device_token", "display_name", "dr_latency", "error_code", "fbtype"),
    *("geo_ip", "injection_time", "mailfrom", "msg_size", "num_retries", "origination", "outbound_tls", "pathway"),
    *("pathway_group", "queue_time", "rcpt_hash", "rcpt_subs", "rcpt_type", "reason", "recv_method", "relay_id"),
    *("remote_addr", "report_by", "report_to", "scheduled_time", "sms_coding", "sms_dst", "sms_dst_npi", "sms_dst_ton"),
    *("sms_remoteids", "sms_segments", "sms_src", "sms_src_npi", "sms_src_ton", "sms_text", "stat_state", "stat_type"),
    *("target_link_name", "user_str"),
)
CLASSES = ("message_event", "track_event", "gen_event", "unsubscribe_event", "relay_event")

_TEXT: Any = (str, None)
_HEAD = {
    "type": (str, ...),
    "timestamp": (str, ...),
    "event_id": _TEXT,
    "rcpt_to": _TEXT,
    "raw_rcpt_to": _TEXT,
    "bounce_class": _TEXT,
    "rcpt_meta": (Raw, None),
    "rcpt_tags": (list[str], None),
    "user_agent": _TEXT,
    "user_agent_parsed": (Raw, None),
}


def _define(name: str, fields: dict[str, Any]) -> Any:
    """A structure; fields with a default of `...` are required."""
    rows = [(field, kind) if default is ... else (field, kind, default) for field, (kind, default) in fields.items()]
    return msgspec.defstruct(name, rows, forbid_unknown_fields=True, omit_defaults=True, gc=False)


_names = (*EVENT_FIELDS, *SENDER_FIELDS)
_Fields = _define(
    "Fields",
    _HEAD
    | dict.fromkeys(_names, _TEXT)
    | dict.fromkeys(SHARED_FIELDS, (str | bool, None))
    | dict.fromkeys((*MAILING_FIELDS, *RECEIVER_FIELDS), _TEXT)
    | dict.fromkeys(OTHER_FIELDS, (Raw, None)),
)
FIELDS: tuple[str, ...] = _Fields.__struct_fields__  # all of them, in the order that layers/postgres/regular.c knows
_Detail = _define(
    "Detail",
    dict.fromkeys(OTHER_FIELDS, (Raw, None)) | {"raw_rcpt_to": _TEXT, "rcpt_tags": (list[str], None)},
)
_Msys = _define("Msys", dict.fromkeys(CLASSES, (_Fields, None)))
_Item = _define("Item", {"msys": (_Msys, ...)})

# Where each group of fields begins in a structure's tuple.
_EVENT = len(_HEAD)
_SENDER = _EVENT + len(EVENT_FIELDS)
_MAILING = _SENDER + len(SENDER_FIELDS) + len(SHARED_FIELDS)
_RECEIVER = _MAILING + len(MAILING_FIELDS)
_OTHER = _RECEIVER + len(RECEIVER_FIELDS)
_REASON = _OTHER + OTHER_FIELDS.index("reason")
_ERROR_CODE = _OTHER + OTHER_FIELDS.index("error_code")

_decode: Callable[[bytes], list[Any]] = msgspec.json.Decoder(cast("Any", list)[_Item]).decode
_encode = msgspec.json.Encoder().encode
_fromtimestamp = datetime.fromtimestamp
_make_mailing = Mailing._make
_make_receiver = Receiver._make
_senders: dict[tuple[Any, ...], Sender] = {}
CACHED = 10_000  # senders

# An event, or None for a ping; ODD where the other way must be taken.
ODD = object()


def parse_regular(body: bytes) -> Iterator[Event | object | None] | None:
    """For each item of a body an event, None for a ping, or ODD; None where the body is not regular."""
    try:
        items = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    empties = b'""' in body
    return (_read_item(astuple(item.msys), position, empties) for position, item in enumerate(items))


def _read_item(classes: tuple[Any, ...], position: int, empties: bool) -> Event | object | None:  # noqa: FBT001 - the hot path
    absent = classes.count(None)
    if absent != len(CLASSES) - 1:
        return None if absent == len(CLASSES) else ODD
    for event_class, fields in zip(CLASSES, classes, strict=True):
        if fields is not None:
            known = TYPES.get(fields.type)
            return (
                _read_fields(astuple(fields), position, empties)
                if known is not None and known[0] == event_class
                else ODD
            )
    return ODD


def _read_fields(values: tuple[Any, ...], position: int, empties: bool) -> Event | object:  # noqa: FBT001
    """The event of one structure. What a column would not give back letter by letter makes it odd."""
    provider_type, timestamp, event_id, recipient, raw_recipient, bounce_class, metadata, tags, user_agent, parsed = (
        values[:_EVENT]
    )
    message_id, transmission_id, reason, url, ip_address = values[_EVENT:_SENDER]
    if (
        not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 12 and timestamp[0] != "0")
        or event_id is None
        or not is_numeric(event_id)
        or not recipient
        or recipient != recipient.strip().lower()
        or len(recipient) > LONGEST_INDEXED
        or raw_recipient is None
        or values[_RECEIVER] is None
        or (message_id is not None and len(message_id) > LONGEST_INDEXED)
        or (reason is None and values[_REASON] is not None)
        or (user_agent is None and parsed is not None)
        or (empties and "" in values)
    ):
        return ODD
    client = None
    prefetched = False
    if user_agent is not None:
        reading = "" if parsed is None else bytes(parsed).decode()
        if reading and reading[0] != "{":
            return ODD
        client = Client(user_agent, reading)
        prefetched = "is_prefetched" in reading and msgspec.json.decode(reading).get("is_prefetched") is True
    meta = None
    if metadata is not None:
        meta = bytes(metadata)
        if len(meta) < 5 or meta[0] != 123:  # not an object, or an empty one
            return ODD
    error_code = values[_ERROR_CODE]
    if reason is None and error_code is None:
        kind = find_kind(provider_type, bounce_class, prefetched)
    else:
        code = None if error_code is None else msgspec.json.decode(error_code)
        kind = find_kind(provider_type, bounce_class, prefetched, *read_reply(code, reason))
    if bounce_class is not None and kind.bounce_class is None:
        return ODD
    group = values[_SENDER:_MAILING]
    sender = _senders.get(group)
    if sender is None:
        names = len(SENDER_FIELDS)
        sender = Sender._make((*group[:names], build_shared(group[names:])))
        if len(_senders) < CACHED:
            _senders[group] = sender
    return Event(
        _fromtimestamp(int(timestamp), UTC),
        event_id,
        kind,
        _make_mailing((*values[_MAILING:_RECEIVER], tuple(tags) if tags else (), sender)),
        _make_receiver(values[_RECEIVER:_OTHER]),
        client,
        recipient,
        message_id,
        transmission_id,
        meta,
        reason,
        url,
        ip_address,
        position,
        _encode(
            _Detail(
                *values[_OTHER:], None if raw_recipient == recipient else raw_recipient, tags if tags == [] else None
            )
        ),
    )
