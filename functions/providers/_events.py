"""From a provider's item to an event and back, for providers whose items are JSON objects.

A provider says where in an item the value of each column is (its `TAKEN`). Such a value is not kept a second time in
the detail, if the column gives it back exactly as it was; all else of the item stays there. So nothing is lost, and
`restore_item` gives back the item whole.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from email.utils import parseaddr
from functools import lru_cache
from operator import attrgetter
from typing import Any, NamedTuple

from common.events import Client, Event, Json, Kind, Mailing, Receiver, Sender, Unparseable
from common.json_text import decode_json, encode_json
from providers._fields import LONGEST_INDEXED, NOTES, clean, may_be_unstorable, read_text, split_domain

Path = tuple[str, ...]  # the names that lead to a value through nested objects
CACHED = 10_000

# Columns whose values are texts, and where in an event they are.
EVENT_TEXTS = ("recipient", "message_id", "transmission_id", "reason", "url", "ip_address")
MAILING_TEXTS = ("campaign", "template", "subject", "ab_test", "ab_test_version")
SENDER_TEXTS = ("address", "subaccount", "ip_pool", "sending_ip")
RECEIVER_TEXTS = ("routing_domain", "mailbox_provider", "mailbox_provider_region")


class Columns(NamedTuple):
    """What a provider reads from an item. Any JSON value may stand for a text: what is not one becomes None."""

    occurred_at: datetime
    event_id: str
    kind: Kind
    recipient: Any = None  # an address, also as `Name <address>`
    message_id: Any = None
    transmission_id: Any = None
    metadata: Any = None  # an object
    tags: Any = None  # a list of texts, or one
    reason: Any = None
    url: Any = None
    ip_address: Any = None
    user_agent: Any = None
    campaign: Any = None
    template: Any = None
    subject: Any = None
    ab_test: Any = None
    ab_test_version: Any = None
    address: Any = None  # of the sender
    subaccount: Any = None
    ip_pool: Any = None
    sending_ip: Any = None
    routing_domain: Any = None
    mailbox_provider: Any = None
    mailbox_provider_region: Any = None


FIRST_TEXT = Columns._fields.index("recipient")
# Where a column is in what begins there.
PLACES = {name: place for place, name in enumerate(Columns._fields[FIRST_TEXT:])}
RECIPIENT, METADATA, TAGS = PLACES["recipient"], PLACES["metadata"], PLACES["tags"]
FIRST_OF_MAILING, FIRST_OF_RECEIVER = PLACES["campaign"], PLACES["routing_domain"]

Read = Callable[[Json], Columns | Iterable[Columns] | None]


def parse_json(body: bytes) -> Any:
    """The body's value. Raises `ValueError` in words for a person."""
    try:
        return decode_json(body)
    except (ValueError, RecursionError) as failure:
        raise ValueError(f"the body is not JSON: {type(failure).__name__}") from None


def read_events(
    find_items: Callable[[], Iterable[Any]], read: Read, taken: Mapping[str, Path], *, body: bytes = b""
) -> Iterator[Event | Unparseable]:
    """The events of a body's items.

    `find_items` gives the body's items and raises `ValueError` if the body is wrong as a whole. `read` gives an item's
    columns: of one event, of several (one for each recipient), or None for a ping; it raises `ValueError` with what is
    wrong. `body` tells whether characters may come that Postgres can't hold.
    """
    careful = may_be_unstorable(body)
    try:
        items = list(find_items())
    except ValueError as problem:
        yield Unparseable(None, str(problem), None)
        return
    for position, item in enumerate(items):
        try:
            yield from _read_item(item, position, read, taken, careful=careful)
        except ValueError as problem:
            yield Unparseable(position, str(problem), item)
        except RecursionError:
            yield Unparseable(position, "nested too deeply", None)


def _read_item(item: Any, position: int, read: Read, taken: Mapping[str, Path], *, careful: bool) -> Iterator[Event]:
    if type(item) is not dict:
        raise ValueError("the event is not an object")
    shown = clean(item) if careful else item
    whole = careful and shown != item
    found = read(shown)
    if found is None:
        return
    if isinstance(found, Columns):
        event = make_event(shown, found, position, taken)
        yield event._replace(detail=encode_json({NOTES: {"whole": item}})) if whole else event
        return
    # Several events of one item: each keeps it, so none may take anything out of it for the others.
    for columns in found:
        event = make_event(_copy(shown), columns, position, taken)
        yield event._replace(detail=encode_json({NOTES: {"whole": item}})) if whole else event


def _copy(value: Any) -> Any:
    return {name: _copy(entry) if type(entry) is dict else entry for name, entry in value.items()}


def make_event(item: Json, columns: Columns, position: int, taken: Mapping[str, Path]) -> Event:
    """The event of an item, out of which what the columns say is taken."""
    # Most values are texts or absent; a call for each would take longer than decoding the item.
    values: list[Any] = [
        value if value is None or (type(value) is str and value) else read_text(value) for value in columns[FIRST_TEXT:]
    ]
    values[RECIPIENT] = recipient = read_address(columns.recipient)
    metadata = columns.metadata if type(columns.metadata) is dict and columns.metadata else None
    tags = () if columns.tags is None else read_tags(columns.tags)
    message_id, transmission_id, _, _, reason, url, ip_address, user_agent = values[RECIPIENT + 1 : FIRST_OF_MAILING]
    if message_id is not None:
        values[RECIPIENT + 1] = message_id = message_id[:LONGEST_INDEXED]
    values[METADATA] = metadata
    values[TAGS] = list(tags) or None
    if NOTES in item:
        detail = encode_json({NOTES: {"whole": item}})
    elif absent := _take(item, values, taken):
        detail = encode_json(item | {NOTES: {"absent": absent}})
    else:
        detail = encode_json(item)
    return Event(
        columns.occurred_at,
        columns.event_id,
        columns.kind,
        _make_mailing(tags, *values[FIRST_OF_MAILING:FIRST_OF_RECEIVER]),
        _make_receiver(split_domain(recipient), *values[FIRST_OF_RECEIVER:]),
        None if user_agent is None else Client(user_agent),
        recipient,
        message_id,
        transmission_id,
        None if metadata is None else encode_json(metadata),
        reason,
        url,
        ip_address,
        position,
        detail,
    )


@lru_cache(CACHED)
def _make_mailing(tags: tuple[str, ...], *values: Any) -> Mailing:
    """A mailing from its values and its sender's; the same one for the same values."""
    campaign, template, subject, ab_test, ab_test_version, *sender = values
    return Mailing(campaign, template, subject, ab_test, ab_test_version, tags, Sender(*sender))


@lru_cache(CACHED)
def _make_receiver(*values: str | None) -> Receiver:
    """A receiver; the same one for the same values."""
    return Receiver._make(values)


def _get_metadata(event: Event) -> Any:
    return None if event.metadata is None else decode_json(event.metadata)


def _get_tags(event: Event) -> list[str] | None:
    return list(event.mailing.tags) or None


def _get_user_agent(event: Event) -> str | None:
    return None if event.client is None else event.client.user_agent


# What each column that an item may be without gives back.
_GETTERS: dict[str, Callable[[Event], Any]] = {
    **{name: attrgetter(name) for name in EVENT_TEXTS},
    **{name: attrgetter(f"mailing.{name}") for name in MAILING_TEXTS},
    **{name: attrgetter(f"mailing.sender.{name}") for name in SENDER_TEXTS},
    **{name: attrgetter(f"receiver.{name}") for name in RECEIVER_TEXTS},
    "metadata": _get_metadata,
    "tags": _get_tags,
    "user_agent": _get_user_agent,
}


def _take(item: Json, values: Sequence[Any], taken: Mapping[str, Path]) -> list[str]:
    """Takes out of the item what the columns give back; the names of those that would give back too much."""
    absent = []
    for column, path in taken.items():
        value = values[PLACES[column]]
        if value is None:
            continue
        parent: Any = item
        name = path[-1]
        if len(path) > 1:
            for step in path[:-1]:
                parent = parent.get(step) if type(parent) is dict else None
        if type(parent) is not dict or name not in parent:
            absent.append(column)
            continue
        given = parent[name]
        if given is value or (type(given) is type(value) and given == value):
            del parent[name]
    return absent


def restore_item(event: Event, taken: Mapping[str, Path]) -> Json:
    """The item that an event was made from."""
    item: Json = decode_json(event.detail)
    notes = item.pop(NOTES, None) or {}
    if "whole" in notes:
        whole: Json = notes["whole"]
        return whole
    absent = notes.get("absent", ())
    for column, path in taken.items():
        value = _GETTERS[column](event)
        if value is None or column in absent:
            continue
        parent = item
        for name in path[:-1]:
            parent = parent[name]
        parent.setdefault(path[-1], value)
    return item


def read_address(value: object) -> str | None:
    """The bare address of `a@x.com` or `Name <a@x.com>`, lower case; None of what is no text."""
    return _read_address(value) if type(value) is str and value else None


@lru_cache(CACHED)
def _read_address(text: str) -> str | None:
    address = parseaddr(text)[1] if "<" in text else text
    return address.strip().lower()[:LONGEST_INDEXED] or None


def read_tags(value: object) -> tuple[str, ...]:
    """Tags from a list or a single one; empty ones and those that are no text are left out."""
    if type(value) is list:
        return tuple([text for text in map(read_text, value) if text is not None])
    text = read_text(value)
    return () if text is None else (text,)


def pick(item: Any, *path: str) -> Any:
    """The value at the end of a path through nested objects, None where there is none."""
    for name in path:
        if type(item) is not dict:
            return None
        item = item.get(name)
    return item


@lru_cache(CACHED)
def make_kind(provider: str, provider_type: str, event_type: str, **attributes: Any) -> Kind:
    """A kind; the same one for the same words, so that it is made once."""
    return Kind(provider, provider_type, event_type, **attributes)
