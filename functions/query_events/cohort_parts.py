"""What answers about cohorts share: which cohort is meant, whom a subject is, and why something changed.

A cause is what the evaluator wrote with a transition: of each condition that looks at data whether it held, and the
newest of the events that it found (functions/cohort_evaluator/parts.py).
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode

from psycopg2.extensions import cursor as DatabaseCursor

from common.activities import ADDRESS, ANONYMOUS, COMPANY, USER
from common.clock import format_instant
from common.errors import ApiError
from common.events import Json
from query_events.lookup_schemas import COUNT, TEXT, TIME, describe, list_of
from query_events.masking import mask_result
from query_events.own_parameters import BEGINNING, END, refuse_cursor
from query_events.pages import decode_event_key, encode_event_key
from query_events.routing import READ_PII, Caller, Input
from query_events.sizes import fit
from query_events.timelines import Position

USUAL_PAGE: Final = 50
LARGEST_PAGE: Final = 200
MOST_IDENTITIES: Final = 10  # that are shown of a subject
MAIL: Final = "mail"
GREATEST_KEY: Final = 2**63 - 1
CONDITIONS: Final = "conditions"
REASONS: Final = ("switched_on", "became_part_of_another", "deleted")  # that are no matter of conditions

FIND: Final = "SELECT cohort_id FROM cohorts WHERE name = %(name)s"
# Whoever has become part of another person goes by the names of that one.
IDENTITIES: Final = """
SELECT own.identity_id, named.identity_type, named.value, named.number
FROM identities own
CROSS JOIN LATERAL (
    SELECT identity_type, value, count(*) OVER () AS number FROM identities WHERE person_id = own.person_id
    ORDER BY identity_type DESC, value LIMIT %(most)s) AS named
WHERE own.identity_id = ANY (%(subjects)s)
"""
# The transition that began a membership `m`, and the one that ended it.
CAUSES: Final = """
LEFT JOIN LATERAL (
    SELECT transition_id, version, cause FROM transitions t
    WHERE t.subject_id = m.subject_id AND t.cohort_id = m.cohort_id AND t.kind = 'entered' AND t.at = m.entered_at
    ORDER BY transition_id DESC LIMIT 1) AS began ON true
LEFT JOIN LATERAL (
    SELECT cause FROM transitions t
    WHERE t.subject_id = m.subject_id AND t.cohort_id = m.cohort_id AND t.kind = 'exited'
      AND t.transition_id > began.transition_id AND m.exited_at IS NOT NULL
    ORDER BY transition_id LIMIT 1) AS ended ON true
"""


class Page(NamedTuple):
    """A page of entries, each behind its position; there may be one more than are shown."""

    path: str
    given: Mapping[str, str]  # what a link repeats
    size: int
    entries: Sequence[tuple[Position, Json]]


def find_cohort(database: DatabaseCursor, name: str) -> int:
    """The id of a cohort. Raises `ApiError`."""
    database.execute(FIND, {"name": name})
    found = database.fetchall()
    if not found:
        raise ApiError(404, "Not found", "There is no cohort of this name.", "1101")
    return int(found[0][0])


def read_position(values: Mapping[str, Any]) -> Position:
    """Before which position a page begins. Raises `ApiError`."""
    if not values.get("cursor"):
        return END, GREATEST_KEY
    position = decode_event_key(values["cursor"])
    if position is None or not BEGINNING <= position[0] <= END:
        raise refuse_cursor()
    return position


def show_page(page: Page, caller: Caller) -> Json:
    """`{"results", "links"}`, as the caller may see it."""
    shown = [entry for _, entry in page.entries[: page.size]]
    kept = fit(shown if caller.may(READ_PII) else [mask_result(entry) for entry in shown])
    links = {}
    if len(kept) < len(page.entries):
        cursor = encode_event_key(*page.entries[len(kept) - 1][0])
        links["next"] = f"{page.path}?{urlencode({**page.given, 'cursor': cursor})}"
    return {"results": kept, "links": links}


def fill_path(path: str, value: str) -> str:
    """A path with its one variable filled in."""
    begin, _, rest = path.partition("{")
    return begin + quote(value, safe="@") + rest.partition("}")[2]


def read_identities(database: DatabaseCursor, subjects: Collection[int], caller: Caller) -> dict[int, Json]:
    """Of each subject `{"identities", "identity_count"}`; a user's id comes before the other names."""
    database.execute(IDENTITIES, {"subjects": list(subjects), "most": MOST_IDENTITIES})
    found: dict[int, Json] = {subject: {"identities": [], "identity_count": 0} for subject in subjects}
    for subject, kind, value, number in database.fetchall():
        # An address without an at sign is masked as a recipient is.
        is_bare = kind == ADDRESS and not caller.may(READ_PII)
        shown = mask_result({"recipient": value})["recipient"] if is_bare else value
        found[subject]["identities"].append({"type": kind, "value": shown})
        found[subject]["identity_count"] = number
    return found


def show_cause(cause: Json) -> Json:
    """`{"reason", "conditions"}`; mails are named by the key that leads to the event."""
    reason = next((name for name in REASONS if name in cause), CONDITIONS)
    conditions = cause if reason == CONDITIONS else {}
    return {
        "reason": reason,
        "conditions": [
            {"place": place, "holds": found["holds"], "events": _show_events(found)}
            for place, found in sorted(conditions.items())
        ],
    }


def _show_events(found: Json) -> list[Json]:
    shown = []
    for event in found.get("events", ()):
        at = datetime.fromisoformat(event["occurred_at"])
        key = encode_event_key(at, int(event["event_key"])) if found["kind"] == MAIL else event["event_key"]
        shown.append({"kind": found["kind"], "event_key": key, "occurred_at": format_instant(at)})
    return shown


COHORT_INPUT: Final = Input("cohort", "the cohort's name")
IDENTIFIED: Final = {
    "identities": list_of(describe(type={"enum": [USER, ANONYMOUS, ADDRESS, COMPANY]}, value=TEXT)),
    "identity_count": COUNT,
}
EVENT_FOUND: Final = describe(
    kind={"enum": [MAIL, "call", "action", "page", "screen"]}, event_key=TEXT, occurred_at=TIME
)
CAUSE: Final = describe(
    reason={"enum": [CONDITIONS, *REASONS]},
    conditions=list_of(describe(place=TEXT, holds={"type": "boolean"}, events=list_of(EVENT_FOUND))),
)
