"""What events look like, for people and programs: documentation and samples of each type, in all three dialects.

The samples of the search are the webhooks' own, parsed and shown as real events are.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from common.errors import ApiError
from common.event_keys import make_event_key, read_event_id
from common.events import Event, Json
from common.json_text import encode_json
from providers import sparkpost
from query_events.descriptions import CLASSES, TYPES, build_item, describe
from query_events.pages import encode_event_key
from query_events.routing import READ_EVENTS, Input, Request, Route
from query_events.sparkpost_format import represent, represent_v1

Show = Callable[[Event], Json]

TEXT = {"type": "string"}
FIELD = {"type": "object", "properties": {"description": TEXT, "sampleValue": {}}, "required": ["description"]}
FIELDS = {"type": "object", "additionalProperties": FIELD}
NAMED = {"display_name": TEXT, "description": TEXT}


def _named(**properties: object) -> Json:
    return {"type": "object", "properties": NAMED | properties, "required": [*NAMED, *properties]}


CLASS = _named(events={"type": "object", "additionalProperties": _named(event=FIELDS)})


def build_event(event_type: str) -> Event:
    """The sample of this type as an event that came out of the database."""
    (event,) = sparkpost.parse(encode_json([build_item(event_type)]))
    if not isinstance(event, Event):
        raise TypeError(event.reason)
    return event._replace(event_id=read_event_id(sparkpost.NAME, make_event_key(sparkpost.NAME, event.event_id)))


def build_result(event_type: str, show: Show) -> Json:
    """The sample of this type as the search would show it."""
    event = build_event(event_type)
    key = make_event_key(sparkpost.NAME, event.event_id)
    return show(event) | {"event_key": encode_event_key(event.occurred_at, key)}


def document_fields(fields: Mapping[str, object]) -> Json:
    """For each field what it says, and an example."""
    return {name: {"description": describe(name), "sampleValue": value} for name, value in fields.items()}


@cache
def document_search(show: Show) -> bytes:
    """For each type its fields; its name and what happened stand among them, as they did at SparkPost."""
    results = []
    for event_type, words in TYPES.items():
        pseudo = zip(("display_name", "event_description"), words, strict=True)
        named = {name: {"description": text, "sampleValue": text} for name, text in pseudo}
        results.append(document_fields(build_result(event_type, show)) | named)
    return encode_json({"results": results})


@cache
def document_webhooks() -> bytes:
    """By class, then by type."""
    results: Json = {
        name: {"display_name": title, "description": about, "events": {}} for name, (title, about) in CLASSES.items()
    }
    for event_type, (title, about) in TYPES.items():
        ((event_class, fields),) = build_item(event_type)["msys"].items()
        event = document_fields(fields)
        results[event_class]["events"][event_type] = {"display_name": title, "description": about, "event": event}
    return encode_json({"results": results})


def read_types(text: str) -> list[str]:
    """The types that are listed, all if none. Raises `ApiError`."""
    given = [name for name in (part.strip() for part in text.split(",")) if name]
    for name in given:
        if name not in TYPES:
            problem = f"events: there is no type {name[:50]}; there are {', '.join(TYPES)}"
            raise ApiError(400, "Invalid parameters", problem, "1200")
    return [name for name in TYPES if not given or name in given]


def make_samples(sample: Callable[[str], Any]) -> Callable[[Request], bytes]:
    """What answers with the samples of the types that are asked for."""
    return lambda request: encode_json(
        {"results": [sample(name) for name in read_types(request.given.get("events", ""))]}
    )


def make_routes(path: str, document: Callable[[], bytes], result: object, sample: Callable[[str], Any]) -> list[Route]:
    """The two routes below a path."""
    asked = Input("events", "types, separated by commas; all if none", {"type": "string"})
    samples = {"type": "array", "items": {"type": "object"}}
    return [
        Route(
            f"{path}/documentation",
            READ_EVENTS,
            lambda _request: document(),
            summary="What each type's fields say",
            result={"type": "object", "properties": {"results": result}, "required": ["results"]},
            etag=True,
        ),
        Route(
            f"{path}/samples",
            READ_EVENTS,
            make_samples(sample),
            summary="A made-up event of each type",
            inputs=(asked,),
            result={"type": "object", "properties": {"results": samples}, "required": ["results"]},
            refusals=(400,),
            etag=True,
        ),
    ]


def _make_search_routes(path: str, show: Show) -> list[Route]:
    result = {"type": "array", "items": FIELDS}
    return make_routes(path, lambda: document_search(show), result, lambda name: build_result(name, show))


ROUTES = (
    *_make_search_routes("/api/v1/events/message", represent),
    *_make_search_routes("/api/v1/message-events/events", represent_v1),
    *make_routes(
        "/api/v1/webhooks/events",
        document_webhooks,
        {"type": "object", "additionalProperties": CLASS},
        build_item,
    ),
)
