"""`GET /api/v1/events/{event_key}`: one event as the provider sent it, in our words, and the batch that it came in."""

from typing import Any, Final

from pypika import PostgreSQLQuery as Query
from pypika import Table

from common.clock import format_instant
from common.errors import ApiError
from common.events import Event, Json, Kind
from common.json_text import decode_json, encode_json
from providers import find_provider
from query_events.conditions import bind, events
from query_events.lookup_schemas import ORIGINAL
from query_events.masking import mask_result
from query_events.own_parameters import read_own
from query_events.pages import decode_event_key
from query_events.routing import READ_EVENTS, READ_PII, Input, Request, Route
from query_events.rows import PAGE_COLUMNS, EventReader, select_whole_events
from query_events.sizes import LARGEST_RESULTS, measure, shorten, shorten_event
from query_events.timelines import show_event

PATH: Final = "/api/v1/events/{event_key}"
BATCH: Final = ("object_key", "provider_batch_id", "request_id", "received_at", "loaded_at")

batches = Table("batches")
_page = (
    Query.from_(events)
    .select(*(events.field(name) for name in (*PAGE_COLUMNS, "batch_id")))
    .where((events.occurred_at == bind("occurred_at")) & (events.event_key == bind("event_key")))
    .as_("page")
)
SELECT: Final = str(
    select_whole_events(_page)
    .left_join(batches)
    .on(batches.batch_id == _page.batch_id)
    .select(*(batches.field(name) for name in BATCH))
    .get_sql()
)

_reader = EventReader()


def answer_event(request: Request) -> bytes:
    """The JSON of `{"results": {"event_key", "event", "normalised", "original", "withheld", "batch"}}`.

    Raises `ApiError`. `original` is null for who may not see addresses, or where it is too large; `withheld` says so.
    """
    event_key = request.path_values["event_key"].strip()
    read_own(request.given, ())
    position = decode_event_key(event_key)
    rows: list[tuple[Any, ...]] = []
    found: list[Event] = []
    if position is not None and 1900 < position[0].year < 9999:
        with request.connect().cursor() as database:
            database.execute(SELECT, {"occurred_at": position[0], "event_key": position[1]})
            rows = database.fetchall()
            found = _reader.read(database, [row[: -len(BATCH)] for row in rows])
    if position is None or not rows:
        raise ApiError(404, "Not found", "There is no event of this key.", "1101")
    (row,), (event,) = rows, found
    results: Json = {"event": show_event(position, event), "normalised": normalise(event)}
    original, withheld = restore(event), None
    if not request.caller.may(READ_PII):
        results = mask_result(results)
        original, withheld = None, f"original needs the scope {READ_PII}"
    if measure(results) + measure(original) > LARGEST_RESULTS:
        results = {"event": shorten_event(results["event"]), "normalised": shorten(results["normalised"])}
        original, withheld = None, withheld or "original is larger than an answer may be; it is in the batch's object"
    batch = dict(zip(BATCH, row[-len(BATCH) :], strict=True))
    results |= {"event_key": event_key, "original": original, "withheld": withheld, "batch": show_batch(batch)}
    return encode_json({"results": results})


def show_batch(batch: Json) -> Json | None:
    """Where an event came from; None while its batch is unknown."""
    if batch["object_key"] is None:
        return None
    return {**batch, **{name: format_instant(batch[name]) for name in ("received_at", "loaded_at")}}


def restore(event: Event) -> object:
    """The event as its provider sent it; None where the provider is one that we no longer know."""
    provider = find_provider(event.kind.provider)
    return None if provider is None else provider.restore(event)


def normalise(event: Event) -> Json:
    """The event in our words: one flat object for all providers."""
    mailing, receiver, client = event.mailing, event.receiver, event.client
    return {
        "occurred_at": format_instant(event.occurred_at),
        "event_id": event.event_id,
        **{name: getattr(event.kind, name) for name in Kind._fields},
        "recipient": event.recipient,
        "message_id": event.message_id,
        "transmission_id": event.transmission_id,
        "campaign": mailing.campaign,
        "template": mailing.template,
        "subject": mailing.subject,
        "ab_test": mailing.ab_test,
        "ab_test_version": mailing.ab_test_version,
        "tags": list(mailing.tags),
        "sender": mailing.sender.address,
        "subaccount": mailing.sender.subaccount,
        "ip_pool": mailing.sender.ip_pool,
        "sending_ip": mailing.sender.sending_ip,
        **{f"recipient_{name}" if name == "domain" else name: value for name, value in receiver._asdict().items()},
        "reason": event.reason,
        "url": event.url,
        "ip_address": event.ip_address,
        "user_agent": client.user_agent if client else None,
        "metadata": None if event.metadata is None else decode_json(event.metadata),
    }


ROUTES = (
    Route(
        PATH,
        READ_EVENTS,
        answer_event,
        summary="One event as the provider sent it, in our words, and the batch that it came in",
        inputs=(Input("event_key", "the event's key in the answer of another look-up"),),
        result=ORIGINAL,
        refusals=(400, 404),
        etag=True,
    ),
)
