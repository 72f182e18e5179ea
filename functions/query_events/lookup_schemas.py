"""What the look-ups answer, in JSON Schema, for the OpenAPI document."""

from typing import Any

from common.events import BOUNCE_KINDS, EVENT_TYPES
from query_events.metrics_query import COUNTS, SECONDS
from query_events.states import STATES

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NULLABLE: Schema = {"type": ["string", "null"]}
COUNT: Schema = {"type": "integer", "minimum": 0}
TIME: Schema = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"}
NULLABLE_TIME: Schema = {**TIME, "type": ["string", "null"]}


def describe(**properties: Schema) -> Schema:
    """An object with all of these properties."""
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def list_of(items: Schema) -> Schema:
    """An array."""
    return {"type": "array", "items": items}


def or_null(schema: Schema) -> Schema:
    """The schema, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


EVENT: Schema = {
    "type": "object",
    "description": "As the search for events shows it; event_key leads to the original.",
    "properties": {"type": TEXT, "timestamp": TIME, "event_key": TEXT, "provider": TEXT, "event_type": TEXT},
    "required": ["type", "timestamp", "event_key", "provider", "event_type"],
}
_FACT: dict[str, Schema] = {
    "timestamp": TIME,
    "event_key": TEXT,
    "message_id": NULLABLE,
    "bounce_kind": {"enum": [*sorted(BOUNCE_KINDS), None]},
    "reason": NULLABLE,
}
CAUSE = or_null(describe(event_type={"enum": sorted(EVENT_TYPES)}, description=TEXT, **_FACT))
MESSAGE = describe(
    message_id=TEXT,
    recipient=NULLABLE,
    provider=TEXT,
    transmission_id=NULLABLE,
    campaign=NULLABLE,
    template=NULLABLE,
    subject=NULLABLE,
    sender=NULLABLE,
    began_at=TIME,
    state=describe(name={"enum": list(STATES)}, description=TEXT, **_FACT),
    event_count=COUNT,
    events=list_of(EVENT),
)
STANDING = describe(
    last_delivered=NULLABLE_TIME,
    last_opened=NULLABLE_TIME,
    last_clicked=NULLABLE_TIME,
    bounces=COUNT,
    hard_bounces=COUNT,
    last_bounce=CAUSE,
    last_hard_bounce=CAUSE,
    complaint=CAUSE,
    unsubscribed=CAUSE,
    suppressed={"type": "boolean"},
    suppression=CAUSE,
)
LINKS: Schema = {"type": "object", "properties": {"next": TEXT}, "additionalProperties": False}
BATCH: dict[str, Schema] = {
    "object_key": TEXT,
    "provider_batch_id": NULLABLE,
    "request_id": NULLABLE,
    "received_at": TIME,
    "loaded_at": TIME,
}

RECIPIENT = describe(
    results=describe(recipient=TEXT, standing=STANDING, messages=list_of(MESSAGE), other_events=list_of(EVENT)),
    links=LINKS,
)
MESSAGES = describe(results=describe(message_id=TEXT, recipient_count=COUNT, messages=list_of(MESSAGE)))
ORIGINAL = describe(
    results=describe(
        event_key=TEXT,
        event=EVENT,
        normalised={"type": "object"},
        original={"description": "As the provider sent it; null without pii:read."},
        withheld=NULLABLE,
        batch=or_null(describe(**BATCH)),
    )
)
_METRICS: dict[str, Schema] = {
    **dict.fromkeys(COUNTS, COUNT),
    **{name: {"type": ["integer", "null"], "minimum": 0} for name in SECONDS},
}
METRICS = describe(
    results=list_of({"type": "object", "properties": _METRICS, "required": [*_METRICS]}),
    total={"type": "object", "properties": _METRICS, "required": [*_METRICS]},
    **{"from": TIME, "to": TIME},
    timezone=TEXT,
    group_by=list_of(TEXT),
    total_count=COUNT,
    meanings={"type": "object", "additionalProperties": TEXT},
)
BATCHES = describe(
    results=list_of(
        describe(
            **BATCH,
            provider=TEXT,
            body_bytes=COUNT,
            event_count=COUNT,
            duplicate_count=COUNT,
            quarantine_count=COUNT,
            expired_count=COUNT,
        )
    ),
    links=LINKS,
)
QUARANTINE = describe(
    results=list_of(
        describe(
            received_at=TIME,
            object_key=TEXT,
            item_index={"type": ["integer", "null"]},
            provider=TEXT,
            reason=TEXT,
            item=NULLABLE,
            loaded_at=TIME,
        )
    ),
    links=LINKS,
)
