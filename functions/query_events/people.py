"""`GET /api/v1/people/{person}`: what one person got and did, mails and activities together, the newest first.

Who is who the views activity_people and mail_people tell for each row (sql/migrations/0009_find_people.sql). Here it is
asked the other way round, by the indexes of identities and recipients: a test holds it against the views.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode

from psycopg2.extensions import cursor as DatabaseCursor

from common.activities import ADDRESS, ANONYMOUS, USER, Identity, make_content_key
from common.clock import format_instant
from common.errors import ApiError
from common.events import Json
from common.json_text import encode_json
from query_events.lookup_schemas import COUNT, EVENT, LINKS, NULLABLE, TEXT, TIME, describe, list_of, or_null
from query_events.masking import mask_result
from query_events.own_parameters import (
    BEGINNING,
    CURSOR,
    END,
    FROM,
    TO,
    OwnParameter,
    build_page_size,
    list_inputs,
    read_own,
    refuse_cursor,
)
from query_events.pages import decode_event_key, encode_event_key
from query_events.recipients import normalise_address
from query_events.routing import READ_EVENTS, READ_PII, Input, Request, Route
from query_events.sizes import LARGEST_RESULTS, fit, measure, shorten_event
from query_events.timelines import Position, read_lone_events, show_event
from query_events.values import SHOWN, Form, Reading, refuse
from query_events.walks import BY_RECIPIENT

PATH: Final = "/api/v1/people/{person}"
USUAL_PAGE: Final = 25
MOST_IDENTITIES: Final = 100  # that are shown
LEAST_KEY: Final = -(2**63)
TYPES: Final = (USER, ANONYMOUS, ADDRESS)


def _read_type(name: str, text: str, _reading: Reading) -> str:
    if text not in TYPES:
        raise refuse(name, f"can't be {text[:SHOWN]}: it is {', '.join(TYPES)}")
    return text


PARAMETERS: Final = (
    OwnParameter(
        "type",
        Form(_read_type, {"type": "string", "enum": ["", *TYPES]}),
        "what the path names: `user`, `anonymous` or `address`; the first of these that is known, if none",
    ),
    FROM._replace(meaning="what happened then or later"),
    TO._replace(meaning="what happened before"),
    build_page_size(USUAL_PAGE, 100),
    CURSOR,
)
FIND: Final = """
SELECT identity_type, person_id FROM identities
WHERE value = ANY (%(values)s) AND (identity_type, value) IN %(wanted)s
"""
IDENTITIES: Final = """
SELECT identity_id, content_key, identity_type, value FROM identities
WHERE person_id = %(person)s ORDER BY identity_type DESC, value
"""
# Each table's newest ones, by the indexes of who it is about whatever the statistics say.
FOUND: Final = """
(SELECT occurred_at, activity_key, true FROM activities
 WHERE identity_id = ANY (%(identities)s) AND occurred_at >= %(from)s AND occurred_at <= %(time)s
   AND (occurred_at, activity_key) < (%(time)s, %(key)s)
 ORDER BY occurred_at DESC, activity_key DESC LIMIT %(limit)s)
UNION ALL
(SELECT occurred_at, event_key, false FROM events
 WHERE (user_key = ANY (%(users)s) OR user_key IS NULL AND recipient = ANY (%(addresses)s))
   AND occurred_at >= %(from)s AND occurred_at <= %(time)s AND (occurred_at, event_key) < (%(time)s, %(key)s)
 ORDER BY occurred_at DESC, event_key DESC LIMIT %(limit)s)
ORDER BY 1 DESC, 2 DESC LIMIT %(limit)s
"""
ACTIVITIES: Final = """
SELECT a.occurred_at, a.activity_key, o.activity_type, o.source, o.name, o.method, o.route, o.status, o.api_version,
       u.value, c.value, g.user_agent, a.duration, coalesce(a.weight, 1), o.direction, a.properties
FROM activities a
JOIN operations o USING (operation_id)
LEFT JOIN identities u ON u.identity_id = a.identity_id
LEFT JOIN identities c ON c.identity_id = a.company_id
LEFT JOIN agents g USING (agent_id)
WHERE (a.occurred_at, a.activity_key) IN %(positions)s
  AND a.occurred_at >= %(earliest)s AND a.occurred_at <= %(latest)s
"""
FIELDS: Final = (
    "activity_type",
    "source",
    "name",
    "method",
    "route",
    "status",
    "api_version",
    "user",
    "company",
    "client",
    "milliseconds",
    "weight",
    "direction",
    "metadata",
)


class Person(NamedTuple):
    """Whom a path names: what activities and mails are found by, and the names that are known."""

    identities: list[int]
    users: list[int]  # content keys, which mails have whose sender named the user
    addresses: list[str]
    names: list[Json]


def find_person(database: DatabaseCursor, text: str, wanted: str | None) -> Person:
    """Who is called that; somebody whom mails alone may know, if there is no such identity."""
    values = {USER: text, ANONYMOUS: text, ADDRESS: normalise_address(text)}
    pairs = tuple((kind, values[kind]) for kind in TYPES if wanted in (None, kind))
    database.execute(FIND, {"values": [value for _, value in pairs], "wanted": pairs})
    found = dict(database.fetchall())
    if not found:
        is_address = wanted == ADDRESS or (wanted is None and "@" in text)
        users = [] if is_address or wanted == ANONYMOUS else [make_content_key(Identity(USER, text))]
        return Person([], users, [values[ADDRESS]] if is_address else [], [])
    database.execute(IDENTITIES, {"person": next(found[kind] for kind in TYPES if kind in found)})
    rows = database.fetchall()
    return Person(
        [identity for identity, *_ in rows],
        [key for _, key, *_ in rows],
        [value for *_, kind, value in rows if kind == ADDRESS],
        [{"type": kind, "value": value} for *_, kind, value in rows],
    )


def answer_person(request: Request) -> bytes:
    """`{"results": {"identities", "identity_count", "entries"}, "links"}`. Raises `ApiError`."""
    values = read_own(request.given, PARAMETERS)
    text = request.path_values["person"].strip()
    before: Position = (values.get("to", END), LEAST_KEY)
    if values.get("cursor"):
        position = decode_event_key(values["cursor"])
        if position is None or not BEGINNING <= position[0] <= END:
            raise refuse_cursor()
        before = min(before, position)
    size = values.get("per_page", USUAL_PAGE)
    with request.connect().cursor() as database:
        person = find_person(database, text, values.get("type"))
        entries = read_entries(database, person, values.get("from", BEGINNING), before, size + 1)
    if not person.names and not entries and not values.get("cursor"):
        raise ApiError(404, "Not found", "Nothing is known of this person.", "1101")
    about: Json = {"identities": person.names[:MOST_IDENTITIES], "identity_count": len(person.names)}
    shown = [entry for _, entry in entries[:size]]
    if not request.caller.may(READ_PII):
        about, shown = mask_result(about), [mask_result(entry) for entry in shown]
    kept = fit(shown)
    links = {}
    if len(kept) < len(entries):
        path = PATH.replace("{person}", quote(text, safe="@"))
        cursor = encode_event_key(*entries[len(kept) - 1][0])
        links["next"] = f"{path}?{urlencode({**request.given, 'cursor': cursor})}"
    return encode_json({"results": {**about, "entries": kept}, "links": links})


def read_entries(
    database: DatabaseCursor, person: Person, earliest: datetime, before: Position, limit: int
) -> list[tuple[Position, Json]]:
    """What a person got and did before a position, the newest first, each behind its own position."""
    place = {"from": earliest, "time": before[0], "key": before[1], "limit": limit}
    database.execute(
        BY_RECIPIENT + FOUND,
        {"identities": person.identities, "users": person.users, "addresses": person.addresses, **place},
    )
    rows = database.fetchall()
    mails = [(at, key) for at, key, is_activity in rows if not is_activity]
    done = [(at, key) for at, key, is_activity in rows if is_activity]
    found: dict[tuple[Position, bool], Json] = {}
    if mails:
        for position, event in read_lone_events(database, mails):
            found[position, False] = {"event": _bound(show_event(position, event)), "activity": None}
    if done:
        times = [at for at, _ in done]
        limits: Mapping[str, object] = {"positions": tuple(done), "earliest": min(times), "latest": max(times)}
        database.execute(ACTIVITIES, limits)
        for at, key, *fields in database.fetchall():
            found[(at, key), True] = {"event": None, "activity": dict(zip(FIELDS, fields, strict=True))}
    return [((at, key), _show(at, found[(at, key), is_activity], is_activity)) for at, key, is_activity in rows]


def _bound(event: Json) -> Json:
    return shorten_event(event) if measure(event) > LARGEST_RESULTS // 2 else event


def _show(at: datetime, entry: Json, is_activity: object) -> Json:
    return {"timestamp": format_instant(at), "kind": "activity" if is_activity else "mail", **entry}


_OR_NULL: Final[dict[str, Any]] = {"type": ["integer", "null"]}
_NUMBERS: Final[Sequence[str]] = ("status", "milliseconds")
_ACTIVITY: Final = describe(
    **{name: NULLABLE for name in FIELDS if name not in _NUMBERS}
    | dict.fromkeys(_NUMBERS, _OR_NULL)
    | {"activity_type": {"enum": ["call", "action", "page", "screen"]}, "source": TEXT, "weight": COUNT}
    | {"metadata": {"type": ["object", "null"]}}
)

ROUTES = (
    Route(
        PATH,
        READ_EVENTS,
        answer_person,
        summary="One person: the mails she got and what she did, together",
        inputs=(
            Input("person", "an id of the user, an anonymous id, or an address in any case"),
            *list_inputs(PARAMETERS),
        ),
        result=describe(
            results=describe(
                identities=list_of(describe(type={"enum": [*TYPES]}, value=TEXT)),
                identity_count=COUNT,
                entries=list_of(
                    describe(
                        timestamp=TIME,
                        kind={"enum": ["mail", "activity"]},
                        event=or_null(EVENT),
                        activity=or_null(_ACTIVITY),
                    )
                ),
            ),
            links=LINKS,
        ),
        refusals=(400, 404),
        slashes=True,
    ),
)
