"""What changes cohorts, and who is told of them, as the OpenAPI document shows it.

functions/change_cohorts answers these; a test holds its table of routes against this one.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from query_events.lookup_schemas import COUNT, TEXT, Schema, describe, list_of, or_null
from query_events.routing import Input

WRITE: Final = "cohorts:write"
NAME: Final[Schema] = {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,99}$"}
TOPIC: Final[Schema] = {"type": "string", "pattern": "^([*]|[a-z0-9][a-z0-9-]{0,99})$"}
ADDRESS: Final[Schema] = {"type": "string", "minLength": 3, "maxLength": 320}
TRUTH: Final[Schema] = {"type": "boolean"}
OBJECT: Final[Schema] = {"type": "object"}
# What the other function takes at most.
MOST_ENTRIES: Final = 10_000
MOST_DAYS: Final = 90
MOST_RECIPIENTS: Final = 10


class Change(NamedTuple):
    """A route that changes something."""

    method: str
    path: str
    summary: str
    results: Schema  # of `{"results": …}`
    body: Schema | None = None
    example: Any = None  # of a body
    statuses: Sequence[int] = (200,)
    inputs: Sequence[Input] = ()  # query parameters
    refusals: Sequence[int] = ()  # beside 400, 401, 403, 413, 429, 500 and 503
    scope: str = WRITE

    @property
    def key(self) -> str:
        """As API Gateway names the route."""
        return f"{self.method} {self.path}"


def _take(*required: str, **properties: Schema) -> Schema:
    """An object that has these and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


COHORT: Final = _take(
    *("title", "subject", "members"),
    name=NAME,
    title={"type": "string", "minLength": 1, "maxLength": 500},
    subject={"enum": ["user", "company"]},
    members={**OBJECT, "description": "One condition: docs/cohorts.md."},
)
NOTIFICATION: Final[Schema] = {
    "type": "object",
    "description": "docs/notifications.md.",
    "required": ["cohort", "on", "channel"],
    "properties": {
        "name": NAME,
        "cohort": NAME,
        "on": {"type": "array", "items": {"enum": ["entered", "exited"]}, "minItems": 1},
        "channel": {"type": "object", "minProperties": 1, "maxProperties": 1},
        "period": TEXT,
        "fields": {"type": "array", "maxItems": 50},
        "limit": {"type": "integer", "minimum": 1, "maximum": 1_000},
        "brief": TRUTH,
    },
}
TEMPLATE: Final[Schema] = {
    "type": "object",
    "description": "docs/notifications.md, Templates.",
    "required": ["subject", "html", "text", "topic"],
    "properties": {
        "subject": {"type": "string", "minLength": 1, "maxLength": 500},
        "html": {"type": "string", "minLength": 1, "maxLength": 150_000},
        "text": {"type": "string", "minLength": 1, "maxLength": 150_000},
        "topic": NAME,
        "reply_to": TEXT,
        "mjml": TEXT,
        "aggregates": OBJECT,
    },
}
SUPPRESSION: Final = _take("address", address=ADDRESS, topic=TOPIC)
_ENTRY: Final = _take(
    "address",
    address=ADDRESS,
    topic=TOPIC,
    reason={"enum": ["bounced", "complained", "unsubscribed", "manual"]},
    event_at={"type": "string", "description": "Since when, with or without a time zone; now if none."},
)
_RECIPIENT: Final[Schema] = {
    "type": "object",
    "description": "As SparkPost's suppression list has it, with whatever else it has.",
    "required": ["recipient"],
    "properties": {
        "recipient": ADDRESS,
        "type": {"enum": ["transactional", "non_transactional"]},
        "created": TEXT,
        "updated": TEXT,
        "source": TEXT,
    },
}
LISTED: Final = {"type": "array", "minItems": 1, "maxItems": MOST_ENTRIES}
SUPPRESSIONS: Final[Schema] = {
    "oneOf": [
        SUPPRESSION,
        _take("entries", entries={**LISTED, "items": _ENTRY}),
        _take("recipients", recipients={**LISTED, "items": _RECIPIENT}),
    ]
}
SAVED: Final = describe(name=TEXT, version=COUNT, changed=TRUTH)
SAVED_TEMPLATE: Final = describe(name=TEXT, version=COUNT, changed=TRUTH, parts=list_of(TEXT))
DELETED: Final = describe(name=TEXT, deleted=TRUTH)
USER: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": 500, "description": "An id or an address."}
VERSION: Final[Schema] = {"type": "integer", "minimum": 1, "maximum": 2**31 - 1}
HELLO: Final = {"subject": "Hi", "html": "<p>Hi {{ user.id }}</p>", "text": "Hi {{ user.id }}", "topic": "news"}

CHANGES: Final = (
    Change(
        "PUT",
        "/api/v1/cohorts/{cohort}",
        "Save a cohort's definition; the next tick switches it on",
        SAVED,
        COHORT,
        {
            "title": "Calls",
            "subject": "user",
            "members": {"did": {"event": "call"}, "count": {">=": 1}, "window": {"ever": True}},
        },
        statuses=(200, 201),
        refusals=(409,),
    ),
    Change(
        "DELETE",
        "/api/v1/cohorts/{cohort}",
        "Delete a cohort; the next tick lets everybody leave",
        DELETED,
        refusals=(404, 409),
    ),
    Change(
        "POST",
        "/api/v1/cohorts/dry-run",
        "Who would have entered and left in the last days, without saving anything",
        OBJECT,
        _take("definition", definition=OBJECT, days={"type": "integer", "minimum": 1, "maximum": MOST_DAYS}),
        {
            "definition": {
                "name": "calls",
                "title": "Calls",
                "subject": "user",
                "members": {"did": {"event": "call"}, "count": {">=": 1}, "window": {"ever": True}},
            },
            "days": 2,
        },
    ),
    Change(
        "PUT",
        "/api/v1/notifications/{notification}",
        "Save a notification; it tells of what happens from then on",
        describe(name=TEXT),
        NOTIFICATION,
        {
            "cohort": "got-mail",
            "on": ["entered"],
            "channel": {"webhook": {"url": "https://crm.example.com/hooks", "secret": "crm"}},
        },
    ),
    Change(
        "DELETE",
        "/api/v1/notifications/{notification}",
        "Delete a notification: nothing more is told",
        DELETED,
        refusals=(404,),
    ),
    Change(
        "POST",
        "/api/v1/notifications/{notification}/test",
        "Tell of the newest changes, marked as a test",
        describe(id=TEXT, body=OBJECT),
        statuses=(202,),
        refusals=(404,),
    ),
    Change(
        "POST",
        "/api/v1/notifications/{notification}/preview",
        "What would be sent now, without sending it; of mails to members, to a user",
        {
            "type": "object",
            "required": ["notification", "channel", "is_due", "message"],
            "properties": {"is_due": TRUTH, "is_member": TRUTH, "held_out": TRUTH, "message": OBJECT},
        },
        or_null(_take(user=USER)),
        {},
        refusals=(404,),
    ),
    Change(
        "PUT",
        "/api/v1/templates/{template}",
        "Save a template of mails as its next version",
        SAVED_TEMPLATE,
        TEMPLATE,
        HELLO,
    ),
    Change(
        "POST",
        "/api/v1/templates/{template}/dry-run",
        "What saving a template would change, without saving it",
        SAVED_TEMPLATE,
        TEMPLATE,
        HELLO,
    ),
    Change(
        "POST",
        "/api/v1/templates/{template}/preview",
        "A template, saved or not, with a user's data, without sending it",
        describe(name=TEXT, version={"type": ["integer", "null"]}, user=TEXT, subject=TEXT, html=TEXT, text=TEXT),
        _take("user", user=USER, template=TEMPLATE, version=VERSION),
        {"user": "ada", "template": HELLO},
        refusals=(404,),
    ),
    Change(
        "POST",
        "/api/v1/templates/{template}/test",
        "Mail a template with a user's data to colleagues, marked as a test",
        describe(ids=list_of(TEXT), subject=TEXT),
        _take(
            "user",
            "to",
            user=USER,
            to={"type": "array", "minItems": 1, "maxItems": MOST_RECIPIENTS, "items": ADDRESS},
            version=VERSION,
        ),
        {"user": "ada", "to": ["rep@example.com"]},
        statuses=(202,),
        refusals=(404,),
    ),
    Change(
        "POST",
        "/api/v1/suppressions",
        "Mail an address no more, of a topic or at all; or a list of them, SparkPost's or our own",
        {"oneOf": [describe(added=TRUTH), describe(given=COUNT, added=COUNT)]},
        SUPPRESSIONS,
        {"address": "ada@example.com", "topic": "news"},
        statuses=(200, 201),
    ),
    Change(
        "DELETE",
        "/api/v1/suppressions",
        "Mail an address again, until something newer forbids it",
        describe(removed=TRUTH),
        SUPPRESSION,
        {"address": "ada@example.com", "topic": "news"},
        refusals=(404,),
    ),
    Change(
        "PUT",
        "/api/v1/mail/pause",
        "Hand no mail to a member on any more",
        describe(paused=TRUTH, changed=TRUTH),
    ),
    Change(
        "DELETE",
        "/api/v1/mail/pause",
        "Let mails to members go again",
        describe(paused=TRUTH),
        refusals=(404,),
    ),
)
INPUTS: Final[Mapping[str, Input]] = {
    name: Input(name, f"the {name}'s name") for name in ("cohort", "notification", "template")
}
METHODS: Final[Mapping[str, tuple[str, ...]]] = {
    path: tuple(one.method for one in CHANGES if one.path == path) for path in {one.path for one in CHANGES}
}
