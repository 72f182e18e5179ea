"""`GET /api/v1/users/{person}/traits`: what was written to one person's traits, the newest write first.

WHERE (at, number) < (%(time)s, %(number)s) ORDER BY at DESC, number DESC LIMIT n + 1, where writes of one instant are
numbered by identity and path.
"""

from typing import Any, Final
from urllib.parse import quote, urlencode

from common.clock import format_instant
from common.errors import ApiError
from common.events import Json
from common.json_text import decode_json, encode_json
from query_events.lookup_schemas import LINKS, TEXT, TIME, describe, list_of
from query_events.own_parameters import CURSOR, END, FROM, build_page_size, list_inputs, read_own, refuse_cursor
from query_events.pages import decode_event_key, encode_event_key
from query_events.people import PARAMETERS as OF_PEOPLE
from query_events.people import TYPES, find_person
from query_events.routing import READ_PII, Input, Request, Route
from query_events.sizes import fit

PATH: Final = "/api/v1/users/{person}/traits"
USUAL_PAGE: Final = 100
PARAMETERS: Final = (
    next(row for row in OF_PEOPLE if row.name == "type"),
    FROM._replace(name="at", meaning="what was written by this instant; all if none"),
    build_page_size(USUAL_PAGE, 1000),
    CURSOR,
)
WRITES: Final = """
SELECT * FROM (
    SELECT at, row_number() OVER (PARTITION BY at ORDER BY identity_id, path) AS number,
           identity_type, i.value AS name, path, w.value
    FROM trait_writes w JOIN identities i USING (identity_id)
    WHERE identity_id = ANY (%(identities)s) AND at <= %(time)s) AS writes
WHERE (at, number) < (%(time)s, %(number)s)
ORDER BY at DESC, number DESC LIMIT %(limit)s
"""
MOST: Final = 2**62  # behind all writes of an instant


def answer_traits(request: Request) -> bytes:
    """`{"results": [{"identity", "path", "at", "value"}], "links"}`. Raises `ApiError`."""
    values = read_own(request.given, PARAMETERS)
    text = request.path_values["person"].strip()
    before = values.get("at", END), MOST
    if values.get("cursor"):
        position = decode_event_key(values["cursor"])
        if position is None or not 0 < position[1] <= MOST:
            raise refuse_cursor()
        before = min(before, position)
    size = values.get("per_page", USUAL_PAGE)
    with request.connect().cursor() as database:
        person = find_person(database, text, values.get("type"))
        if not person.identities:
            raise ApiError(404, "Not found", "Nothing is known of this person.", "1101")
        bound = {"identities": person.identities, "time": before[0], "number": before[1], "limit": size + 1}
        database.execute(WRITES, bound)
        rows = database.fetchall()
    kept = fit([_show(*row) for row in rows[:size]])
    links = {}
    if len(kept) < len(rows):
        path = PATH.replace("{person}", quote(text, safe="@"))
        cursor = encode_event_key(*rows[len(kept) - 1][:2])
        links["next"] = f"{path}?{urlencode({**request.given, 'cursor': cursor})}"
    return encode_json({"results": kept, "links": links})


def _show(at: Any, _number: int, kind: str, name: str, path: list[str], value: str) -> Json:
    identity = {"type": kind, "value": name}
    return {"identity": identity, "path": path, "at": format_instant(at), "value": decode_json(value.encode())}


ROUTES = (
    Route(
        PATH,
        READ_PII,
        answer_traits,
        summary="What was written to a person's traits, and when",
        inputs=(
            Input("person", "an id of the user, an anonymous id, or an address in any case"),
            *list_inputs(PARAMETERS),
        ),
        result=describe(
            results=list_of(
                describe(identity=describe(type={"enum": [*TYPES]}, value=TEXT), path=list_of(TEXT), at=TIME, value={})
            ),
            links=LINKS,
        ),
        refusals=(400, 404),
        slashes=True,
    ),
)
