"""`GET /api/v1/export`: what the search finds as one NDJSON or CSV; a large one as a file, made by `export_events`."""

import math
from datetime import datetime
from functools import cache
from typing import Any, Final, cast

from common.clock import format_instant
from common.errors import ApiError
from common.events import Json
from common.json_text import encode_json
from common.objects import Bucket
from common.settings import read_number, read_text
from query_events.answers import Answer, answer_error
from query_events.export_files import (
    DONE,
    FAILED,
    LIFE,
    LINK_SECONDS,
    ExportFiles,
    ExportRequest,
    Status,
    make_id,
)
from query_events.export_text import FORMATS, show_page
from query_events.given import read_parameters, recognise
from query_events.lookup_schemas import COUNT, TEXT, TIME, describe
from query_events.masking import check_filters
from query_events.pages import Cursor
from query_events.parameters import Dialect
from query_events.routing import READ_EVENTS, READ_PII, Input, Request, Route
from query_events.search import complete_range, search_events
from query_events.search_inputs import list_search_inputs
from query_events.sizes import LARGEST_RESULTS, measure_text
from query_events.values import refuse

PATH: Final = "/api/v1/export"
PAGE: Final = 2_000  # events that are read at once
RETRY_SECONDS: Final = 5
OF_PAGES: Final = ("per_page", "page", "cursor")  # mean nothing here
LEAST_KEY: Final = -(2**63)


@cache
def _files() -> ExportFiles:
    return ExportFiles(Bucket(read_text("EXPORT_BUCKET")))


def answer_export(request: Request) -> Answer:
    """The lines themselves, how far their file is (202), or where it is. Raises `ApiError`."""
    given = {name: text for name, text in request.given.items() if name not in ("format", *OF_PAGES) and text.strip()}
    format_name = read_format(request.given.get("format", "").strip() or "ndjson")
    values = read_parameters(given)
    check_filters(values, request.caller)
    masked = not request.caller.may(READ_PII)
    filters = {name: value for name, value in values.items() if (asked := recognise(name)) and asked.row.filter}
    export_id = make_id(format_name, filters, masked=masked)
    files = _files()
    status = files.read_status(export_id)
    if status is None or not status.holds(request.instant):
        complete_range(values, request.instant.replace(microsecond=0))
        if (lines := read_lines(request, values, format_name, masked=masked)) is not None:
            return Answer(200, lines, {"content-type": FORMATS[format_name].content_type})
        most = read_number("EXPORTS_PER_HOUR", 0)
        if most and not files.may_begin(request.caller.name, most, request.instant):
            return refuse_export(most, request.instant)
        begin, end = (format_instant(cast("datetime", values[name])) for name in ("from", "to"))
        wanted = ExportRequest(format_name, given, begin, end, masked)
        status = files.begin(export_id, wanted, request.instant)
    if status.state == FAILED:
        raise ApiError(503, "Export failed", status.problem or "Ask again in some minutes, or for a shorter range.")
    shown = show_status(status, export_id)
    if status.state != DONE:
        return Answer(202, encode_json(shown), {"retry-after": str(RETRY_SECONDS)})
    link = {"url": files.link(export_id, format_name), "url_seconds": LINK_SECONDS, "bytes": status.size}
    return Answer(200, encode_json(shown | link))


def refuse_export(most: int, instant: datetime) -> Answer:
    """The 429 until the next hour begins."""
    seconds = math.ceil(3_600 - instant.timestamp() % 3_600)
    advice = (
        f"{most} an hour are let through; ask again in {-(-seconds // 60)} minutes, or for one that is made already."
    )
    return answer_error(ApiError(429, "Too many large exports", advice))._replace(headers={"retry-after": str(seconds)})


def read_format(text: str) -> str:
    """The name of a format. Raises `ApiError`."""
    if text not in FORMATS:
        raise refuse("format", f"must be {' or '.join(FORMATS)}")
    return text


def read_lines(request: Request, values: dict[str, object], format_name: str, *, masked: bool) -> bytes | None:
    """All lines, None if they are more than an answer can hold."""
    lines = FORMATS[format_name]
    chunks = [lines.heading]
    room = LARGEST_RESULTS
    cursor = Cursor(cast("datetime", values["to"]), LEAST_KEY, 0)  # behind it nothing needs to be counted
    while True:
        page = search_events(request.connect(), {**values, "per_page": PAGE}, cursor)
        chunk = lines.encode(show_page(page, masked=masked))
        chunks.append(chunk)
        room -= measure_text(chunk)
        if room < 0:
            return None
        if not page.more:
            return b"".join(chunks)
        cursor = Cursor(*page.keys[-1], 0)


def show_status(status: Status, export_id: str) -> Json:
    """How far an export is."""
    return {
        "id": export_id,
        "state": status.state,
        "events": status.events,
        "progress": status.progress,
        "from": status.begin,
        "to": status.end,
        "began_at": status.began_at,
        "expires_at": format_instant(datetime.fromisoformat(status.began_at) + LIFE),
    }


_STATUS: Final[dict[str, Any]] = {
    "id": TEXT,
    "state": TEXT,
    "events": COUNT,
    "progress": {"type": "number", "minimum": 0, "maximum": 1},
    **dict.fromkeys(("from", "to", "began_at", "expires_at"), TIME),
}
ROUTES = (
    Route(
        PATH,
        READ_EVENTS,
        answer_export,
        summary="What the search finds, as NDJSON or CSV; a large one as a file",
        inputs=(
            Input("format", "`ndjson` or `csv`", {"type": "string", "enum": ["", *FORMATS], "default": "ndjson"}),
            *(item for item in list_search_inputs(Dialect.EVENTS) if item.name not in OF_PAGES),
        ),
        result=describe(**_STATUS, url=TEXT, url_seconds=COUNT, bytes=COUNT),
        refusals=(400,),
        contents={
            200: {"application/x-ndjson": TEXT, "text/csv": TEXT},
            202: {"application/json": describe(**_STATUS)},
        },
    ),
)
