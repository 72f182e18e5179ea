"""Rows of the database as the events that they were made from."""

from typing import Any

from pypika import PostgreSQLQuery as Query
from pypika import Table
from pypika.functions import Cast
from pypika.queries import QueryBuilder, Selectable

from common.details import unpack_detail
from common.event_keys import read_event_id
from common.events import Client, Event, Kind, Mailing, Receiver, Sender

kinds = Table("kinds")
mailings = Table("mailings")
senders = Table("senders")
receivers = Table("receivers")
clients = Table("clients")

PAGE_COLUMNS = (
    "occurred_at",
    "event_key",
    "kind_key",
    "mailing_key",
    "receiver_key",
    "client_key",
    "recipient",
    "message_id",
    "transmission_id",
    "metadata",
    "reason",
    "url",
    "ip_address",
    "detail",
)
_EVENT_COLUMNS = ("recipient", "message_id", "transmission_id", "reason", "url", "ip_address")


def select_whole_events(page: Selectable) -> QueryBuilder:
    """The events of a page (a subquery with PAGE_COLUMNS) with what they share, as `read_event` takes them."""
    metadata = Cast(page.metadata, "text")  # type: ignore[no-untyped-call] # the JSON as it is, for whoever decodes it
    return (
        Query.from_(page)
        .join(kinds)
        .on(kinds.kind_key == page.kind_key)
        .left_join(mailings)
        .on(mailings.mailing_key == page.mailing_key)
        .left_join(senders)
        .on(senders.sender_key == mailings.sender_key)
        .left_join(receivers)
        .on(receivers.receiver_key == page.receiver_key)
        .left_join(clients)
        .on(clients.client_key == page.client_key)
        .select(page.occurred_at, page.event_key)
        .select(*(page.field(name) for name in _EVENT_COLUMNS), metadata, page.detail)
        .select(*(kinds.field(name) for name in Kind._fields))
        .select(*(mailings.field(name) for name in Mailing._fields[:-1]))
        .select(*(senders.field(name) for name in Sender._fields))
        .select(*(receivers.field(name) for name in Receiver._fields))
        .select(*(clients.field(name) for name in Client._fields))
    )


_KIND = 2 + len(_EVENT_COLUMNS) + 2
_MAILING = _KIND + len(Kind._fields)
_SENDER = _MAILING + len(Mailing._fields) - 1
_RECEIVER = _SENDER + len(Sender._fields)
_CLIENT = _RECEIVER + len(Receiver._fields)


def read_event(row: tuple[Any, ...]) -> Event:
    """The event of one row."""
    recipient, message_id, transmission_id, reason, url, ip_address, metadata = row[2 : _KIND - 1]
    kind = Kind(*row[_KIND:_MAILING])
    *mailing, tags = row[_MAILING:_SENDER]
    return Event(
        occurred_at=row[0],
        event_id=read_event_id(kind.provider, row[1]),
        kind=kind,
        # Tags are never null, but a mailing may be gone for an instant, while its last events are being dropped.
        mailing=Mailing() if tags is None else Mailing._make((*mailing, tuple(tags), Sender(*row[_SENDER:_RECEIVER]))),
        receiver=Receiver(*row[_RECEIVER:_CLIENT]),
        client=None if row[_CLIENT] is None else Client(*row[_CLIENT:]),
        recipient=recipient,
        message_id=message_id,
        transmission_id=transmission_id,
        metadata=None if metadata is None else metadata.encode(),
        reason=reason,
        url=url,
        ip_address=ip_address,
        position=0,
        detail=unpack_detail(bytes(row[_KIND - 1])),
    )
