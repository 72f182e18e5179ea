"""`GET /api/v1/users/{person}/cohorts`, `/api/v1/companies/{company}/cohorts`: in which cohorts one is or was, and why.

A membership is here its transition's, which tells one from another where two began at the same instant. Whoever has
become part of a person has told memberships of that time under her own number: they are the person's.

WHERE (at, transition_id) < (%(time)s, %(key)s) ORDER BY at DESC, transition_id DESC LIMIT n + 1
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from psycopg2.extensions import cursor as DatabaseCursor

from common.activities import COMPANY
from common.errors import ApiError
from common.events import Json
from common.json_text import encode_json
from query_events.cohort_members import MEMBERSHIP, show_membership
from query_events.cohort_parts import LARGEST_PAGE, USUAL_PAGE, Page, fill_path, read_position, show_page
from query_events.lookup_schemas import LINKS, TEXT, describe, list_of
from query_events.own_parameters import (
    BEGINNING,
    CURSOR,
    END,
    FROM,
    build_page_size,
    list_inputs,
    read_own,
)
from query_events.people import LEAST_KEY, find_person, read_entries
from query_events.people import PARAMETERS as OF_PEOPLE
from query_events.routing import READ_EVENTS, Input, Request, Route
from query_events.timelines import Position

USER_PATH: Final = "/api/v1/users/{person}/cohorts"
COMPANY_PATH: Final = "/api/v1/companies/{company}/cohorts"
_PAGED: Final = (
    FROM._replace(name="at", meaning="those of this instant alone; all if none"),
    build_page_size(USUAL_PAGE, LARGEST_PAGE),
    CURSOR,
)
USER_PARAMETERS: Final = (next(row for row in OF_PEOPLE if row.name == "type"), *_PAGED)
FIND_COMPANY: Final = "SELECT identity_id FROM identities WHERE value = %(value)s AND identity_type = %(company)s"
MEMBERSHIPS: Final = """
SELECT m.at, m.transition_id, c.name, v.definition ->> 'title', m.version, m.cause, ended.at, ended.cause
FROM transitions m
JOIN cohorts c ON c.cohort_id = m.cohort_id
JOIN cohort_versions v ON v.cohort_id = c.cohort_id AND v.version = coalesce(c.version, c.wanted)
LEFT JOIN LATERAL (
    SELECT at, cause FROM transitions t
    WHERE t.subject_id = m.subject_id AND t.cohort_id = m.cohort_id AND t.kind = 'exited'
      AND t.transition_id > m.transition_id
    ORDER BY transition_id LIMIT 1) AS ended ON true
WHERE m.subject_id = ANY (%(subjects)s) AND m.kind = 'entered' AND (m.at, m.transition_id) < (%(time)s, %(key)s)
  AND (%(at)s::timestamptz IS NULL OR m.at <= %(at)s AND (ended.at IS NULL OR ended.at > %(at)s))
ORDER BY m.at DESC, m.transition_id DESC LIMIT %(limit)s
"""


def answer_user(request: Request) -> bytes:
    """`{"results": [{"cohort", "title", "entered_at", …}], "links"}`. Raises `ApiError`."""
    values = read_own(request.given, USER_PARAMETERS)
    text = request.path_values["person"].strip()
    with request.connect().cursor() as database:
        person = find_person(database, text, values.get("type"))
        if not person.identities and not read_entries(database, person, BEGINNING, (END, LEAST_KEY), 1):
            raise ApiError(404, "Not found", "Nothing is known of this person.", "1101")
        size, entries = _read_page(database, person.identities, values)
    return encode_json(show_page(Page(fill_path(USER_PATH, text), request.given, size, entries), request.caller))


def answer_company(request: Request) -> bytes:
    """The same of a company. Raises `ApiError`."""
    values = read_own(request.given, _PAGED)
    text = request.path_values["company"].strip()
    with request.connect().cursor() as database:
        database.execute(FIND_COMPANY, {"value": text, "company": COMPANY})
        found = [identity for (identity,) in database.fetchall()]
        if not found:
            raise ApiError(404, "Not found", "Nothing is known of this company.", "1101")
        size, entries = _read_page(database, found, values)
    return encode_json(show_page(Page(fill_path(COMPANY_PATH, text), request.given, size, entries), request.caller))


def _read_page(
    database: DatabaseCursor, subjects: Sequence[int], values: Mapping[str, Any]
) -> tuple[int, list[tuple[Position, Json]]]:
    """How many are asked for, and the memberships, one more if there is one."""
    (time, key), size = read_position(values), values.get("per_page", USUAL_PAGE)
    bound = {"subjects": [*subjects], "at": values.get("at"), "time": time, "key": key, "limit": size + 1}
    database.execute(MEMBERSHIPS, bound)
    return size, [
        (
            (entered_at, number),
            {"cohort": name, "title": title, **show_membership(entered_at, exited_at, version, why, why_exited)},
        )
        for entered_at, number, name, title, version, why, exited_at, why_exited in database.fetchall()
    ]


_RESULT: Final = describe(results=list_of(describe(cohort=TEXT, title=TEXT, **MEMBERSHIP)), links=LINKS)

ROUTES = (
    Route(
        USER_PATH,
        READ_EVENTS,
        answer_user,
        summary="In which cohorts a person is or was, since when, and why",
        inputs=(
            Input("person", "an id of the user, an anonymous id, or an address in any case"),
            *list_inputs(USER_PARAMETERS),
        ),
        result=_RESULT,
        refusals=(400, 404),
        slashes=True,
    ),
    Route(
        COMPANY_PATH,
        READ_EVENTS,
        answer_company,
        summary="In which cohorts a company is or was, since when, and why",
        inputs=(Input("company", "the company's id"), *list_inputs(_PAGED)),
        result=_RESULT,
        refusals=(400, 404),
        slashes=True,
    ),
)
