"""Rows of the database as the events that they were made from."""

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from psycopg2.extensions import cursor as Cursor
from pypika import Parameter, Table
from pypika import PostgreSQLQuery as Query
from pypika.functions import Cast
from pypika.queries import QueryBuilder, Selectable

from common.details import unpack_detail
from common.event_keys import read_event_id
from common.events import Client, Event, Kind, Mailing, Receiver, Sender
from query_events.conditions import any_of

Row = TypeVar("Row")

mailings = Table("mailings")
senders = Table("senders")

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
_OWN_COLUMNS = ("recipient", "message_id", "transmission_id", "reason", "url", "ip_address")


def select_whole_events(page: Selectable) -> QueryBuilder:
    """The events of a page (a subquery with PAGE_COLUMNS) with their mailings, as `EventReader` takes them."""
    metadata = Cast(page.metadata, "text")  # type: ignore[no-untyped-call] # the JSON as it is, for whoever decodes it
    return (
        Query.from_(page)
        .left_join(mailings)
        .on(mailings.mailing_key == page.mailing_key)
        .left_join(senders)
        .on(senders.sender_key == mailings.sender_key)
        .select(page.occurred_at, page.event_key, page.kind_key, page.receiver_key, page.client_key)
        .select(*(page.field(name) for name in _OWN_COLUMNS), metadata, page.detail)
        .select(*(mailings.field(name) for name in Mailing._fields[:-1]))
        .select(*(senders.field(name) for name in Sender._fields))
    )


_OWN = 5
_MAILING = _OWN + len(_OWN_COLUMNS) + 2
_SENDER = _MAILING + len(Mailing._fields) - 1
_END = _SENDER + len(Sender._fields)


class SharedRows(Generic[Row]):
    """Rows of one dimension that were read before. Keys are made from the rows' content: none is ever out of date."""

    REMEMBERED = 20_000  # rows

    def __init__(self, name: str, key: str, fields: Iterable[str], make: Callable[..., Row]) -> None:
        table = Table(name)
        wanted = table.field(key) == any_of(Parameter("%s"))
        self._select = str(Query.from_(table).select(key, *fields).where(wanted).get_sql())
        self._make = make
        self._rows: dict[int, Row] = {}

    def read(self, cursor: Cursor, keys: set[int]) -> dict[int, Row]:
        """All rows that are known, those of these keys among them if they exist."""
        missing = keys - self._rows.keys()
        if missing:
            if len(self._rows) > self.REMEMBERED:
                self._rows = {key: self._rows[key] for key in keys - missing}
            cursor.execute(self._select, (list(missing),))
            self._rows |= {key: self._make(*row) for key, *row in cursor.fetchall()}
        return self._rows


class EventReader:
    """Makes events of rows; looks up what they share where it has not been met before."""

    def __init__(self) -> None:
        self._kinds = SharedRows("kinds", "kind_key", Kind._fields, Kind)
        self._receivers = SharedRows("receivers", "receiver_key", Receiver._fields, Receiver)
        self._clients = SharedRows("clients", "client_key", Client._fields, Client)

    def read(self, cursor: Cursor, rows: list[tuple[Any, ...]]) -> list[Event]:
        """The events of rows that begin with what `select_whole_events` gives, in their order."""
        kinds = self._kinds.read(cursor, {row[2] for row in rows})
        receivers = self._receivers.read(cursor, {row[3] for row in rows})
        clients = self._clients.read(cursor, {row[4] for row in rows if row[4] is not None})
        return [_make_event(row, kinds[row[2]], receivers[row[3]], clients.get(row[4])) for row in rows]


def _make_event(row: tuple[Any, ...], kind: Kind, receiver: Receiver, client: Client | None) -> Event:
    recipient, message_id, transmission_id, reason, url, ip_address, metadata, detail = row[_OWN:_MAILING]
    *mailing, tags = row[_MAILING:_SENDER]
    return Event(
        occurred_at=row[0],
        event_id=read_event_id(kind.provider, row[1]),
        kind=kind,
        # Tags are never null, but a mailing may be gone for an instant, while its last events are being dropped.
        mailing=Mailing() if tags is None else Mailing._make((*mailing, tuple(tags), Sender._make(row[_SENDER:_END]))),
        receiver=receiver,
        client=client,
        recipient=recipient,
        message_id=message_id,
        transmission_id=transmission_id,
        metadata=None if metadata is None else metadata.encode(),
        reason=reason,
        url=url,
        ip_address=ip_address,
        position=0,
        detail=unpack_detail(bytes(detail)),
    )
