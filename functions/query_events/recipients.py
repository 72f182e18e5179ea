"""`GET /api/v1/recipients/{address}`: which messages she got and what became of them, and how the address stands.

A message has its place where its first event has it: later opens and clicks don't move it, so that pages are stable.

The messages of a stretch of her events (walks.py) are looked up, and those that began in it are the page, which may
hold fewer than asked for.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from urllib.parse import quote, urlencode

from psycopg2.extensions import cursor as DatabaseCursor

from common.clock import format_instant
from common.events import Json
from common.json_text import encode_json
from query_events.lookup_schemas import RECIPIENT
from query_events.masking import mask_result
from query_events.own_parameters import (
    BEGINNING,
    CURSOR,
    END,
    FROM,
    TO,
    build_page_size,
    list_inputs,
    read_own,
    refuse_cursor,
)
from query_events.pages import decode_event_key, encode_event_key
from query_events.routing import READ_EVENTS, READ_PII, Input, Request, Route
from query_events.sizes import fit
from query_events.standings import Standing
from query_events.states import Fact, describe_bounce, get_position
from query_events.timelines import (
    OF_RECIPIENT,
    Message,
    Position,
    read_lone_events,
    read_messages,
    show_event,
    show_fact,
    show_message,
)
from query_events.walks import LEAST_KEY, Stretch, read_stretch, walk

PATH = "/api/v1/recipients/{address}"
USUAL_PAGE = 25
PARAMETERS = (
    FROM._replace(meaning="messages that began then or later"),
    TO._replace(meaning="messages that began before"),
    build_page_size(USUAL_PAGE, 100),
    CURSOR,
)
ROUNDS = 5  # stretches that are walked at most for one page


class Chosen(NamedTuple):
    """What a page may hold: messages and events without one, down to `end`; `more`: there may be others below."""

    messages: list[str]
    lone: list[Position]
    end: Position | None
    more: bool


def answer_recipient(request: Request) -> bytes:
    """The JSON of `{"results": {"recipient", "standing", "messages", "other_events"}, "links"}`. Raises `ApiError`."""
    address = normalise_address(request.path_values["address"])
    values = read_own(request.given, PARAMETERS)
    earliest: datetime = values.get("from", BEGINNING)
    before: Position = (values.get("to", END), LEAST_KEY)
    if values.get("cursor"):
        position = decode_event_key(values["cursor"])
        if position is None or not BEGINNING <= position[0] <= END:
            raise refuse_cursor()
        before = min(before, position)
    size = values.get("per_page", USUAL_PAGE)
    with request.connect().cursor() as database:
        standing, stretch = read_stretch(database, address, earliest, before, size)
        messages, chosen = find_page(database, address, earliest, stretch, size)
        lone = read_lone_events(database, chosen.lone) if chosen.lone else []
    entries = [(message.began, "messages", show_message(message)) for message in messages]
    entries += [(position, "other_events", show_event(position, event)) for position, event in lone]
    entries.sort(key=lambda entry: entry[0], reverse=True)
    about: Json = {"recipient": address, "standing": show_standing(standing)}
    shown = [entry for _, _, entry in entries]
    if not request.caller.may(READ_PII):
        about, shown = mask_result(about), [mask_result(entry) for entry in shown]
    lists: dict[str, list[Json]] = {"messages": [], "other_events": []}
    kept = fit(shown[:size])
    for (_, name, _), entry in zip(entries, kept, strict=False):
        lists[name].append(entry)
    links = {}
    if len(kept) < len(entries):
        links["next"] = build_next_link(address, request.given, entries[len(kept) - 1][0])
    elif chosen.more and chosen.end is not None:
        links["next"] = build_next_link(address, request.given, chosen.end)
    return encode_json({"results": {**about, **lists}, "links": links})


def normalise_address(text: str) -> str:
    """An address as events have it: lower case, no white space around it."""
    return text.strip().lower()


def choose(stretch: Stretch, size: int) -> Chosen:
    """The newest entries of a stretch: a message stands where the oldest of its events within the stretch does."""
    places: dict[str, Position] = {}
    entries: list[tuple[Position, str | None]] = []
    for fact in stretch.facts:
        if fact.message_id is None:
            entries.append((get_position(fact), None))
        else:
            places[fact.message_id] = get_position(fact)
    entries += [(position, message_id) for message_id, position in places.items()]
    entries.sort(key=lambda entry: entry[0], reverse=True)
    taken = entries[:size]
    return Chosen(
        messages=[message_id for _, message_id in taken if message_id is not None],
        lone=[position for position, message_id in taken if message_id is None],
        end=taken[-1][0] if taken else None,
        more=stretch.more or len(taken) < len(entries),
    )


def find_page(
    database: DatabaseCursor, address: str, earliest: datetime, stretch: Stretch, size: int
) -> tuple[list[Message], Chosen]:
    """The messages of a page, and what it was chosen from.

    A stretch may hold nothing but late events of messages that began before it: then the walk goes on without these.
    """
    found: list[Message] = []
    for last in (*[False] * (ROUNDS - 1), True):
        chosen = choose(stretch, size)
        found += find_messages(database, address, chosen.messages, stretch)
        if not chosen.more or chosen.end is None:
            return [message for message in found if message.began[0] >= earliest], chosen
        page = [message for message in found if message.began >= chosen.end]
        if page or chosen.lone or last:
            return page, chosen
        known = [message.events[0][1].message_id or "" for message in found]
        stretch = walk(database, address, earliest, chosen.end, size, known)
    raise AssertionError("unreachable")


def find_messages(database: DatabaseCursor, address: str, wanted: list[str], stretch: Stretch) -> list[Message]:
    """Messages to the address by their ids."""
    if not wanted:
        return []
    ids = set(wanted)
    times = [fact.occurred_at for fact in stretch.known if fact.message_id in ids] or [BEGINNING, END]
    values = {"messages": wanted, "recipient": address, "earliest": min(times), "latest": max(times)}
    return read_messages(database, OF_RECIPIENT, values)


def build_next_link(address: str, given: Mapping[str, str], end: Position) -> str:
    """The next page's path and query."""
    path = PATH.replace("{address}", quote(address, safe="@"))
    return f"{path}?{urlencode({**given, 'cursor': encode_event_key(*end)})}"


def show_standing(standing: Standing) -> Json:
    """The standing in words."""
    return {
        "last_delivered": show_time(standing.last_delivered),
        "last_opened": show_time(standing.last_opened),
        "last_clicked": show_time(standing.last_clicked),
        "bounces": standing.bounces,
        "hard_bounces": standing.hard_bounces,
        "last_bounce": show_cause(standing.last_bounce),
        "last_hard_bounce": show_cause(standing.last_hard_bounce),
        "complaint": show_cause(standing.complaint),
        "unsubscribed": show_cause(standing.unsubscribed),
        "suppressed": standing.suppression is not None,
        "suppression": show_cause(standing.suppression),
    }


def show_time(fact: Fact | None) -> str | None:
    """When it happened, if it did."""
    return None if fact is None else format_instant(fact.occurred_at)


def show_cause(fact: Fact | None) -> Json | None:
    """An event that bears on the standing, in words."""
    if fact is None:
        return None
    words = {"complained": "reported as spam", "unsubscribed": "unsubscribed"}
    description = words.get(fact.kind.event_type) or describe_bounce(fact.kind)
    return {"event_type": fact.kind.event_type, "description": description, **show_fact(fact)}


ROUTES = (
    Route(
        PATH,
        READ_EVENTS,
        answer_recipient,
        summary="One recipient: messages with what became of them, and how the address stands",
        inputs=(Input("address", "the recipient's address, in any case"), *list_inputs(PARAMETERS)),
        result=RECIPIENT,
        refusals=(400,),
        slashes=True,
    ),
)
