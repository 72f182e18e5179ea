"""JSON Schemas of what the search answers, made from the description of events."""

from common.events import BOUNCE_KINDS, EVENT_TYPES, REJECT_REASONS, Json
from query_events.descriptions import FIELDS, OURS, describe

_TEXT: Json = {"type": "string"}
_TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}"
# What every event has, of whichever provider; all else is as its provider sent it, and may have any type.
_TYPED: Json = {
    "type": _TEXT,
    "event_id": _TEXT,
    "event_key": _TEXT,
    "provider": _TEXT,
    "provider_type": _TEXT,
    "event_type": {"enum": sorted(EVENT_TYPES)},
    "bounce_kind": {"enum": [*sorted(BOUNCE_KINDS), None]},
    "machine_open": {"type": "boolean"},
}
# What an event has where it is known.
_KNOWN: Json = {
    "reject_reason": {"enum": sorted(REJECT_REASONS)},
    "smtp_code": {"type": "integer", "minimum": 200, "maximum": 599},
    "enhanced_status": _TEXT,
}


def build_event_schema(zone: str, **more: Json) -> Json:
    """An event whose `timestamp` ends with this zone."""
    typed: Json = _TYPED | {"timestamp": {"type": "string", "pattern": _TIME + zone + "$"}} | more
    names = [name for name in (*FIELDS, *OURS) if name != "tdate" or name in more]
    properties = {name: {"description": describe(name), **(typed | _KNOWN).get(name, {})} for name in names}
    return {"type": "object", "required": [*typed], "properties": properties}


def build_page_schema(event: Json, links: Json) -> Json:
    """A page of the search."""
    properties = {
        "results": {"type": "array", "items": event},
        "total_count": {
            "type": ["integer", "null"],
            "minimum": 0,
            "description": "How many match; null: not counted",
        },
        "links": links,
    }
    return {"type": "object", "required": [*properties], "properties": properties, "additionalProperties": False}


LINK: Json = {"type": "string", "description": "The path and query of another page"}
EVENT = build_event_schema("Z")
EVENT_V1 = build_event_schema(r"\+00:00", tdate={"type": "string", "pattern": _TIME + "Z$"})
PAGE = build_page_schema(EVENT, {"type": "object", "properties": {"next": LINK}, "additionalProperties": False})
PAGE_V1 = build_page_schema(
    EVENT_V1,
    {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["href", "rel"],
            "properties": {"href": LINK, "rel": {"enum": ["first", "previous", "next", "last"]}},
        },
    },
)
