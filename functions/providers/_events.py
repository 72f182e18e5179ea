"""From a provider's item to an event and back, for providers whose items are JSON objects.

A provider says where in an item the value of each column is (its `TAKEN`). Such a value is not kept a second time in
the detail, if the column gives it back exactly as it was; all else of the item stays there. So nothing is lost, and
`restore_item` gives back the item whole.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from email.utils import parseaddr
from functools import lru_cache, partial
from operator import attrgetter
from typing import Any, NamedTuple, ParamSpec, cast

from common.events import Client, Event, Json, Kind, Mailing, Receiver, Sender, Unparseable
from common.json_text import decode_json, encode_json
from providers._fields import (
    LONGEST_INDEXED,
    NOTES,
    clean,
    may_be_unstorable,
    read_text,
)
from providers._taking import Path, Take, build_take

_P = ParamSpec("_P")
_Texts = tuple[str | None, ...]
CACHED = 10_000
TEXT = frozenset({str})

# Columns whose values are texts, and where in an event they are.
EVENT_TEXTS = ("recipient", "message_id", "transmission_id", "reason", "url", "ip_address")
MAILING_TEXTS = ("campaign", "template", "subject", "ab_test", "ab_test_version")
SENDER_TEXTS = ("address", "subaccount", "ip_pool", "sending_ip")
RECEIVER_TEXTS = ("routing_domain", "mailbox_provider", "mailbox_provider_region")


class _Columns(NamedTuple):
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


# All of them in their order. Every event needs them, and a plain tuple is made and taken apart in half the time.
Columns = tuple[Any, ...]


def _make_plain(_like: Callable[_P, _Columns]) -> Callable[_P, Columns]:
    return cast("Callable[_P, Columns]", partial(_Columns.__new__, tuple))


make_columns = _make_plain(_Columns)


def readdress(columns: Columns, recipient: str | None, event_id: str) -> Columns:
    """The columns of another event of the same item."""
    occurred_at, _, kind, _, *others = columns
    return occurred_at, event_id, kind, recipient, *others


VALUES = _Columns._fields[_Columns._fields.index("recipient") :]
OWN = VALUES[: VALUES.index("campaign")]  # those that events don't share

Read = Callable[[Json], Columns | Iterable[Columns] | None]


def parse_json(body: bytes) -> Any:
    """The body's value. Raises `ValueError` in words for a person."""
    try:
        return decode_json(body)
    except RecursionError:
        raise ValueError("the body is nested too deeply") from None
    except ValueError as failure:
        raise ValueError(f"the body is not JSON: {type(failure).__name__}") from None


def read_events(
    find_items: Callable[[], Iterable[Any]], read: Read, taken: Mapping[str, Path], *, body: bytes = b""
) -> Iterator[Event | Unparseable]:
    """The events of a body's items.

    `find_items` gives the body's items and raises `ValueError` if the body is wrong as a whole. `read` gives an item's
    columns: of one event, of several (a list, one for each recipient), or None for a ping; it raises `ValueError` with
    what is wrong. `body` tells whether characters may come that Postgres can't hold.
    """
    careful = may_be_unstorable(body)
    try:
        items = list(find_items())
    except ValueError as problem:
        yield Unparseable(None, str(problem), None)
        return
    take = _find_take(taken)
    for position, item in enumerate(items):
        try:
            if type(item) is not dict:
                raise ValueError("the event is not an object")  # noqa: TRY301 - told as the others are
            shown = clean(item) if careful else item
            note = encode_json({NOTES: {"whole": item}}) if careful and shown != item else None
            found = read(shown)
            if found is None:
                continue
            if isinstance(found, tuple):
                event = _make_event(shown, found, position, take)
                yield event if note is None else event._replace(detail=note)
                continue
            # Several events of one item: each keeps it, so none may take anything out of it for the others.
            for columns in found:
                event = _make_event(_copy(shown), columns, position, take)
                yield event if note is None else event._replace(detail=note)
        except ValueError as problem:
            yield Unparseable(position, str(problem), item)
        except RecursionError:
            yield Unparseable(position, "nested too deeply", None)


def _copy(value: Any) -> Any:
    return {name: _copy(entry) if type(entry) is dict else entry for name, entry in value.items()}


def make_event(item: Json, columns: Columns, position: int, taken: Mapping[str, Path]) -> Event:
    """The event of an item, out of which what the columns say is taken."""
    return _make_event(item, columns, position, _find_take(taken))


def _find_take(taken: Mapping[str, Path]) -> Take:
    """What takes out of an item; the same for the same object, which stays as long as that does."""
    known = _takes.get(id(taken))
    if known is None:
        if len(_takes) >= CACHED:
            _takes.clear()
        known = _takes[id(taken)] = taken, build_take(taken, OWN, (*MAILING_TEXTS, *SENDER_TEXTS), RECEIVER_TEXTS)
    return known[1]


_takes: dict[int, tuple[Mapping[str, Path], Take]] = {}


# Half the time of calling the class: this is done for every event, and so is all that follows.
_new_event = tuple.__new__
_make_client = lru_cache(CACHED)(Client)
_mailings: dict[Any, tuple[_Texts, Mailing]] = {}
_receivers: dict[Any, tuple[_Texts, Receiver]] = {}


def _make_event(item: Json, columns: Columns, position: int, take: Take) -> Event:
    (
        occurred_at,
        event_id,
        kind,
        recipient,
        message_id,
        transmission_id,
        metadata,
        tags,
        reason,
        url,
        ip_address,
        user_agent,
        campaign,
        template,
        subject,
        ab_test,
        ab_test_version,
        address,
        subaccount,
        ip_pool,
        sending_ip,
        routing_domain,
        mailbox_provider,
        mailbox_provider_region,
    ) = columns
    # Nearly all are texts or absent: a call for each would take longer than decoding the item.
    if type(recipient) is str and "<" not in recipient and 0 < len(recipient) <= LONGEST_INDEXED:
        recipient = recipient.strip().lower() or None
    else:
        recipient = read_address(recipient)
    message_id = message_id if message_id is None or (type(message_id) is str and message_id) else read_text(message_id)
    if message_id is not None and len(message_id) > LONGEST_INDEXED:
        message_id = message_id[:LONGEST_INDEXED]
    if transmission_id is not None and not (type(transmission_id) is str and transmission_id):
        transmission_id = read_text(transmission_id)
    reason = reason if reason is None or (type(reason) is str and reason) else read_text(reason)
    url = url if url is None or (type(url) is str and url) else read_text(url)
    ip_address = ip_address if ip_address is None or (type(ip_address) is str and ip_address) else read_text(ip_address)
    user_agent = user_agent if user_agent is None or (type(user_agent) is str and user_agent) else read_text(user_agent)
    listed = None
    if tags is None:
        tags = ()
    elif type(tags) is list and len(tags) == 1 and type(tags[0]) is str and tags[0]:  # nearly all
        listed, tags = tags, (tags[0],)
    else:
        tags = read_tags(tags)
        listed = list(tags) or None
    if type(metadata) is not dict or not metadata:
        metadata = None
    domain = None
    if recipient is not None:
        _, at, domain = recipient.rpartition("@")
        domain = domain or None if at else None
    of_mailing = campaign, template, subject, ab_test, ab_test_version, address, subaccount, ip_pool, sending_ip
    of_receiver = routing_domain, mailbox_provider, mailbox_provider_region
    try:
        shared = _mailings.get((tags, of_mailing))
        receiving = _receivers.get((domain, of_receiver))
    except TypeError:  # a value that can't be looked up: a list, an object
        shared = receiving = None
    mailing_texts, mailing = shared or _make_mailing(tags, of_mailing)
    receiver_texts, receiver = receiving or _make_receiver(domain, of_receiver)
    if NOTES in item:
        detail = encode_json({NOTES: {"whole": item}})
    else:
        absent = take(
            item,
            recipient,
            message_id,
            transmission_id,
            metadata,
            listed,
            reason,
            url,
            ip_address,
            user_agent,
            mailing_texts,
            receiver_texts,
        )
        if absent:
            item[NOTES] = {"absent": absent}
        detail = encode_json(item)
    return _new_event(
        Event,
        (
            occurred_at,
            event_id,
            kind,
            mailing,
            receiver,
            None if user_agent is None else _make_client(user_agent),
            recipient,
            message_id,
            transmission_id,
            None if metadata is None else encode_json(metadata),
            reason,
            url,
            ip_address,
            position,
            detail,
        ),
    )


def _make_mailing(tags: tuple[str, ...], values: tuple[Any, ...]) -> tuple[_Texts, Mailing]:
    """What is said of a mailing and its sender as texts, and the mailing. The next of the same values finds them."""
    texts: Any = tuple(map(read_text, values))
    campaign, template, subject, ab_test, ab_test_version, *sender = texts
    made = texts, Mailing(campaign, template, subject, ab_test, ab_test_version, tags, Sender(*sender))
    if texts == values and len(_mailings) < CACHED:
        _mailings[tags, texts] = made
    return made


def _make_receiver(domain: str | None, values: tuple[Any, ...]) -> tuple[_Texts, Receiver]:
    """The same of a receiver."""
    texts = tuple(map(read_text, values))
    made = texts, Receiver(domain, *texts)
    if texts == values and len(_receivers) < CACHED:
        _receivers[domain, texts] = made
    return made


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
    if type(value) is not str:
        return None
    address = (_parse_address(value) if "<" in value else value).strip().lower()
    return (address if len(address) <= LONGEST_INDEXED else address[:LONGEST_INDEXED]) or None


@lru_cache(CACHED)
def _parse_address(text: str) -> str:
    return parseaddr(text)[1]


def read_tags(value: object) -> tuple[str, ...]:
    """Tags from a list or a single one; empty ones and those that are no text are left out."""
    if type(value) is str:
        return (value,) if value else ()
    if type(value) is list:
        if len(value) == 1 and type(value[0]) is str and value[0]:  # nearly all
            return (value[0],)
        if TEXT.issuperset(map(type, value)) and "" not in value:
            return tuple(value)
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
