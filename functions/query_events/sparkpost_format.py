"""Events as SparkPost's search gives them: one flat object each, in the types of value of its two dialects.

Events of other providers get SparkPost's field names too. Beside SparkPost's words stand `provider`, `provider_type`,
`event_type`, `bounce_kind` and `machine_open`;
where they are known, `reject_reason`, `smtp_code` and `enhanced_status` too.
Source: SparkPost's "Events" and "Message Events" APIs and its guide for those who move from the latter to the former.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from math import isfinite

from common.clock import format_instant
from common.events import Event, Json, Kind, Mailing, Receiver
from common.json_text import decode_json, encode_json
from providers.sparkpost import MAILING_FIELDS, RECEIVER_FIELDS, SENDER_FIELDS, restore
from query_events.sparkpost_types import SPARKPOST, find_bounce_class, name_type

# Their field → where an event of another provider has it.
OWN_FIELDS = {
    "rcpt_to": "recipient",
    "raw_rcpt_to": "recipient",
    "message_id": "message_id",
    "transmission_id": "transmission_id",
    "reason": "reason",
    "raw_reason": "reason",
    "target_link_url": "url",
    "ip_address": "ip_address",
}
ACCOUNT_FIELDS = ("customer_id", "subaccount_id")
GEO_FIELDS = ("latitude", "longitude", "zip")
CACHED = 10_000  # kinds, mailings, receivers, sending domains: a page's events share most of them


def represent(event: Event) -> Json:
    """One result of `/events/message`: ids of accounts are integers, coordinates floats, times ISO 8601 with `Z`."""
    result = _flatten(event)
    result["timestamp"] = format_instant(event.occurred_at)
    result.pop("tdate", None)
    for name in ACCOUNT_FIELDS:
        value = result.get(name)
        if type(value) is str:
            result[name] = to_int(value)
    geo = result.get("geo_ip")
    if type(geo) is dict:
        result["geo_ip"] = {name: to_float(value) if name in GEO_FIELDS else value for name, value in geo.items()}
    injected_at = result.get("injection_time")
    if injected_at is not None and not (type(injected_at) is str and len(injected_at) == 24 and injected_at[-1] == "Z"):
        result["injection_time"] = to_instant(injected_at)
    return result


def represent_v1(event: Event) -> Json:
    """One result of `/message-events`: values are text as in webhooks, times ISO 8601 with `+00:00`, metadata text."""
    result = _flatten(event)
    instant = format_instant(event.occurred_at)
    result["timestamp"] = instant.removesuffix("Z") + "+00:00"
    result["tdate"] = instant
    for name in ACCOUNT_FIELDS:
        if type(result.get(name)) is int:
            result[name] = str(result[name])
    if "rcpt_meta" in result:
        result["rcpt_meta"] = to_text_metadata(result["rcpt_meta"], flat="bounce_class" in result)
    return result


def _flatten(event: Event) -> Json:
    """The fields that both dialects have in common."""
    kind = event.kind
    result: Json = next(iter(restore(event)["msys"].values())) if kind.provider == SPARKPOST else _build(event)
    event_id = result.get("event_id")
    if type(event_id) is not str:
        result["event_id"] = str(event_id) if type(event_id) is int else event.event_id
    if "recipient_domain" not in result and event.receiver.domain:
        result["recipient_domain"] = event.receiver.domain
    if "sending_domain" not in result and event.mailing.sender.address:
        domain = find_sending_domain(event.mailing.sender.address)
        if domain:
            result["sending_domain"] = domain
    result.update(_describe(kind))
    return result


def _build(event: Event) -> Json:
    """SparkPost's field names for what another provider said."""
    kind, client = event.kind, event.client
    result: Json = {"type": name_type(kind), "event_id": event.event_id}
    result |= _build_mailing(event.mailing)
    result |= _build_receiver(event.receiver)
    for theirs, ours in OWN_FIELDS.items():
        value = getattr(event, ours)
        if value is not None:
            result[theirs] = value
    result["rcpt_meta"] = {} if event.metadata is None else decode_json(event.metadata)
    result["rcpt_tags"] = list(event.mailing.tags)
    bounce_class = find_bounce_class(kind)
    if bounce_class is not None:
        result["bounce_class"] = str(bounce_class)
    if client is not None:
        result["user_agent"] = client.user_agent
        if client.parsed:
            result["user_agent_parsed"] = decode_json(client.parsed.encode())
    return result


@lru_cache(CACHED)
def _build_mailing(mailing: Mailing) -> Json:
    return _rename(SENDER_FIELDS, mailing.sender) | _rename(MAILING_FIELDS, mailing)


@lru_cache(CACHED)
def _build_receiver(receiver: Receiver) -> Json:
    return _rename(RECEIVER_FIELDS, receiver)


def _rename(fields: Mapping[str, str], source: object) -> Json:
    values = {theirs: getattr(source, ours) for theirs, ours in fields.items()}
    return {theirs: value for theirs, value in values.items() if value is not None}


@lru_cache(CACHED)
def _describe(kind: Kind) -> Json:
    """What stands beside SparkPost's words on every event."""
    why = {name: getattr(kind, name) for name in ("reject_reason", "smtp_code", "enhanced_status")}
    return {
        "provider": kind.provider,
        "provider_type": kind.provider_type,
        "event_type": kind.event_type,
        "bounce_kind": kind.bounce_kind,
        "machine_open": kind.machine_open,
        **{name: value for name, value in why.items() if value is not None},
    }


@lru_cache(CACHED)
def find_sending_domain(address: str) -> str | None:
    """The domain of a sender's address, `Name <ada@example.com>` included."""
    return address.rpartition("@")[2].rstrip("> ").lower() or None if "@" in address else None


def to_int(value: object) -> object:
    """The whole number that a text says; anything else as it is."""
    if isinstance(value, str) and value.removeprefix("-").isdigit() and value.isascii():
        return int(value) if len(value) < 19 else value
    return value


def to_float(value: object) -> object:
    """The number that a text or an integer says; anything else as it is."""
    if type(value) in (str, int):
        try:
            number = float(value)  # type: ignore[arg-type]
        except (ValueError, OverflowError):
            return value
        return number if isfinite(number) else value
    return value


def to_instant(value: object) -> object:
    """A time in the form of `timestamp`, made from ISO 8601 with a zone; anything else as it is."""
    try:
        return format_instant(datetime.fromisoformat(value)) if type(value) is str else value
    except (ValueError, OverflowError):
        return value


def to_text_metadata(metadata: object, *, flat: bool) -> object:
    """Metadata whose values are text: clients of message-events have typed them so.

    Arrays become objects with the keys "0", "1", ..., as they did there. Where `flat`, nested values are their JSON.
    """
    named = _name_entries(metadata)
    if type(named) is not dict:
        return {}
    return {name: _to_text(value, flat=flat) for name, value in named.items()}


def _to_text(value: object, *, flat: bool) -> object:
    if type(value) is str:
        return value
    if value is None:
        return ""
    return encode_json(value).decode() if flat or type(value) is not dict else value


def _name_entries(value: object) -> object:
    """The same JSON with objects for arrays."""
    if type(value) is list:
        return {str(number): _name_entries(entry) for number, entry in enumerate(value)}
    if type(value) is dict:
        return {name: _name_entries(entry) for name, entry in value.items()}
    return value
