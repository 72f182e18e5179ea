"""Messages with their events, as the look-ups by recipient and by message show them.

Where a message has thousands of events (a link that was shared), those are shown that matter: the first, the latest of
each kind, which make its state, and the newest ones. `event_count` tells how many there are.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple

from psycopg2.extensions import cursor as DatabaseCursor
from pypika import Order, analytics
from pypika import PostgreSQLQuery as Query
from pypika.queries import QueryBuilder
from pypika.terms import Criterion, Term, Tuple

from common.clock import format_instant
from common.events import Event, Json, Kind
from query_events.conditions import any_of, bind, events
from query_events.own_parameters import BEGINNING, END
from query_events.pages import encode_event_key
from query_events.rows import PAGE_COLUMNS, EventReader, SharedRows, select_whole_events
from query_events.sparkpost_format import represent
from query_events.states import Fact, find_state

NEWEST = 50  # events of one message that are shown in any case
MOST_RECIPIENTS = 100  # of one message
SHARED = ("campaign", "template", "subject")

Position = tuple[datetime, int]  # an event's time and key

an: Any = analytics  # pypika's functions have no types

_reader = EventReader()
_kinds = SharedRows("kinds", "kind_key", Kind._fields, Kind)


class Message(NamedTuple):
    """A message to one recipient; `events` are the oldest first, each behind its position."""

    began: Position  # its first event
    event_count: int
    events: list[tuple[Position, Event]]


def read_kinds(database: DatabaseCursor, keys: set[int]) -> Mapping[int, Kind]:
    """The kinds of these keys."""
    return _kinds.read(database, keys)


def read_all_kinds(database: DatabaseCursor) -> Mapping[int, Kind]:
    """All kinds that there are, by their keys; some dozens."""
    database.execute("SELECT kind_key FROM kinds")
    keys = {key for (key,) in database.fetchall()}
    known = _kinds.read(database, keys)
    return {key: known[key] for key in keys}


def _over(function: Any, *columns: Term, order: Order | None) -> Any:
    window = function.over(*columns)
    return window.orderby(events.occurred_at, events.event_key, order=order) if order else window


def _build_query(*conditions: Criterion) -> str:
    """The events to show of each message to each recipient, the oldest first; chosen before they are read whole."""
    whose = (events.message_id, events.recipient)
    numbered = Query.from_(events).select(
        events.occurred_at,
        events.event_key,
        _over(an.RowNumber(), *whose, order=Order.asc).as_("from_first"),
        _over(an.RowNumber(), *whose, order=Order.desc).as_("from_last"),
        _over(an.RowNumber(), *whose, events.kind_key, order=Order.desc).as_("of_kind"),
        _over(an.Count(events.occurred_at), *whose, order=None).as_("event_count"),
        an.DenseRank().orderby(*whose).as_("number"),
    )
    for condition in conditions:
        numbered = numbered.where(condition)
    chosen = numbered.as_("chosen")
    page = (
        Query.from_(chosen)
        .join(events)
        .on((events.occurred_at == chosen.occurred_at) & (events.event_key == chosen.event_key))
        .select(*(events.field(name) for name in PAGE_COLUMNS), chosen.event_count, chosen.number)
        .where((chosen.from_first == 1) | (chosen.from_last <= NEWEST) | (chosen.of_kind == 1))
        .where(chosen.number <= bind("most"))
        .where(_IN_TIME)
        .as_("page")
    )
    whole: QueryBuilder = (
        select_whole_events(page)
        .select(page.event_count, page.number)
        .orderby(page.number, page.occurred_at, page.event_key)
    )
    return str(whole.get_sql())


_IN_TIME = (events.occurred_at >= bind("earliest")) & (events.occurred_at <= bind("latest"))
_HAS_ID = events.message_id == any_of(bind("messages"))
OF_RECIPIENT = _build_query(_HAS_ID, events.recipient == bind("recipient"), _IN_TIME)
OF_MESSAGE = _build_query(events.message_id == bind("message"))
LONE_EVENTS = str(
    select_whole_events(
        page := Query.from_(events)
        .select(*(events.field(name) for name in PAGE_COLUMNS))
        .where(_IN_TIME & (Tuple(events.occurred_at, events.event_key).isin(bind("positions"))))
        .as_("page")
    )
    .orderby(page.occurred_at, page.event_key, order=Order.desc)
    .get_sql()
)
COUNT_RECIPIENTS = "SELECT count(DISTINCT recipient) FROM events WHERE message_id = %(message)s"


def read_messages(database: DatabaseCursor, query: str, values: Mapping[str, object]) -> list[Message]:
    """The messages of OF_RECIPIENT or OF_MESSAGE, in no particular order."""
    database.execute(query, {"most": 2**31, "earliest": BEGINNING, "latest": END, **values})
    rows = database.fetchall()
    found = _reader.read(database, [row[:-2] for row in rows])
    messages = []
    for _, group in groupby(zip(rows, found, strict=True), key=lambda pair: pair[0][-1]):
        pairs = list(group)
        shown = [((row[0], row[1]), event) for row, event in pairs]
        messages.append(Message(shown[0][0], pairs[0][0][-2], shown))
    return messages


def read_lone_events(database: DatabaseCursor, positions: Iterable[Position]) -> list[tuple[Position, Event]]:
    """Events by their positions, newest first."""
    wanted = tuple(positions)
    times = [occurred_at for occurred_at, _ in wanted]
    database.execute(LONE_EVENTS, {"positions": wanted, "earliest": min(times), "latest": max(times)})
    rows = database.fetchall()
    return [((row[0], row[1]), event) for row, event in zip(rows, _reader.read(database, rows), strict=True)]


def show_event(position: Position, event: Event) -> Json:
    """One event: what the search gives of it, and the id by which its original can be had."""
    return {**represent(event), "event_key": encode_event_key(*position)}


def show_fact(fact: Fact) -> Json:
    """The event that tells a state or a standing."""
    return {
        "timestamp": format_instant(fact.occurred_at),
        "event_key": encode_event_key(fact.occurred_at, fact.event_key),
        "message_id": fact.message_id,
        "bounce_kind": fact.kind.bounce_kind,
        "reason": fact.reason,
    }


def make_facts(shown: Iterable[tuple[Position, Event]]) -> list[Fact]:
    """What a state depends on."""
    return [Fact(*position, event.kind, event.reason, event.message_id) for position, event in shown]


def show_message(message: Message) -> Json:
    """What a message was, what became of it, and its events, the oldest first.

    Late events lack what their message was: each field is the first that any event has.
    """
    known = [event for _, event in message.events]
    state = find_state(make_facts(message.events))
    return {
        "message_id": known[0].message_id,
        "recipient": known[0].recipient,
        "provider": known[0].kind.provider,
        "transmission_id": next((event.transmission_id for event in known if event.transmission_id), None),
        **{name: next(filter(None, (getattr(event.mailing, name) for event in known)), None) for name in SHARED},
        "sender": next((event.mailing.sender.address for event in known if event.mailing.sender.address), None),
        "began_at": format_instant(message.began[0]),
        "state": {"name": state.name, "description": state.description, **show_fact(state.fact)},
        "event_count": message.event_count,
        "events": [show_event(position, event) for position, event in message.events],
    }
