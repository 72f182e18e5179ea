"""Templates of mails to members: `GET /api/v1/templates`, `/templates/{template}`."""

from typing import Any, Final

from common.clock import format_instant
from common.errors import ApiError
from common.events import Json
from common.json_text import encode_json
from query_events.lookup_schemas import COUNT, NULLABLE, TEXT, TIME, describe, list_of
from query_events.masking import mask_result
from query_events.own_parameters import OwnParameter, list_inputs, read_own
from query_events.routing import READ_EVENTS, READ_PII, Input, Request, Route
from query_events.values import Form, read_number

PATH: Final = "/api/v1/templates"
ONE_PATH: Final = "/api/v1/templates/{template}"
MOST: Final = 1_000  # templates, and versions, that are shown
_VERSION: Final = Form(read_number(999_999_999), {"type": "integer", "minimum": 1, "maximum": 999_999_999})
ONE_PARAMETERS: Final = (OwnParameter("version", _VERSION, "the one that is shown; the newest if none"),)
# A list of all of them has not their parts: these are long.
SELECT: Final = """
SELECT DISTINCT ON (t.name) t.name, t.version,
       CASE WHEN %(name)s::text IS NULL THEN t.template - ARRAY['html', 'text', 'mjml'] ELSE t.template END,
       t.created_at, t.created_by,
       ARRAY(SELECT n.name FROM notifications n
             WHERE n.deleted_at IS NULL AND n.definition #>> '{channel,mail,template}' = t.name ORDER BY 1)
FROM email_templates t
WHERE t.deleted_at IS NULL AND (%(name)s::text IS NULL OR t.name = %(name)s)
  AND (%(version)s::int IS NULL OR t.version = %(version)s)
ORDER BY t.name, t.version DESC LIMIT %(limit)s
"""
VERSIONS: Final = """
SELECT version, template ->> 'subject', created_at, created_by FROM email_templates
WHERE name = %(name)s AND deleted_at IS NULL ORDER BY version DESC LIMIT %(limit)s
"""


def answer_templates(request: Request) -> bytes:
    """`{"results": [{"name", "version", "subject", "topic", "notifications", …}]}`, by name. Raises `ApiError`."""
    read_own(request.given, ())
    with request.connect().cursor() as database:
        database.execute(SELECT, {"name": None, "version": None, "limit": MOST})
        shown = [_show(*row) for row in database.fetchall()]
    return encode_json({"results": [_mask(request, one) for one in shown]})


def answer_template(request: Request) -> bytes:
    """`{"results": {…, "html", "text", "mjml", "aggregates", "versions"}}`. Raises `ApiError`."""
    values = read_own(request.given, ONE_PARAMETERS)
    asked = {"name": request.path_values["template"], "version": values.get("version"), "limit": MOST}
    with request.connect().cursor() as database:
        database.execute(SELECT, asked)
        rows = database.fetchall()
        if not rows:
            what = "template of this name" if asked["version"] is None else "such version of a template of this name"
            raise ApiError(404, "Not found", f"There is no {what}.", "1101")
        database.execute(VERSIONS, asked)
        versions = database.fetchall()
    template = rows[0][2]
    result = {
        **_show(*rows[0]),
        **{part: template.get(part) for part in ("html", "text", "mjml")},
        "aggregates": template.get("aggregates", {}),
        "versions": [
            {
                "version": version,
                "subject": subject,
                "created_at": format_instant(created_at),
                "created_by": created_by,
            }
            for version, subject, created_at, created_by in versions
        ],
    }
    return encode_json({"results": _mask(request, result)})


def _show(name: str, version: int, template: Json, created_at: Any, created_by: str, notifications: list[str]) -> Json:
    return {
        "name": name,
        "version": version,
        "subject": template["subject"],
        "topic": template["topic"],
        "reply_to": template.get("reply_to"),
        "notifications": notifications,
        "created_at": format_instant(created_at),
        "created_by": created_by,
    }


def _mask(request: Request, shown: Json) -> Json:
    return shown if request.caller.may(READ_PII) else mask_result(shown)


_TEMPLATE: Final = {
    "name": TEXT,
    "version": COUNT,
    "subject": TEXT,
    "topic": TEXT,
    "reply_to": NULLABLE,
    "notifications": list_of(TEXT),
    "created_at": TIME,
    "created_by": TEXT,
}
_VERSIONS: Final = list_of(describe(version=COUNT, subject=TEXT, created_at=TIME, created_by=TEXT))

ROUTES = (
    Route(
        PATH,
        READ_EVENTS,
        answer_templates,
        summary="Templates of mails to members by name, the newest version of each",
        result=describe(results=list_of(describe(**_TEMPLATE))),
        refusals=(400,),
    ),
    Route(
        ONE_PATH,
        READ_EVENTS,
        answer_template,
        summary="One template: its parts, the figures that it declares, and its versions",
        inputs=(Input("template", "its name"), *list_inputs(ONE_PARAMETERS)),
        result=describe(
            results=describe(
                **_TEMPLATE, html=TEXT, text=TEXT, mjml=NULLABLE, aggregates={"type": "object"}, versions=_VERSIONS
            )
        ),
        refusals=(400, 404),
    ),
)
