import contextlib
import json
from collections.abc import Iterator
from random import Random
from urllib.parse import quote

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from common.activities import USER, Identity, make_content_key
from common.errors import ApiError
from local.postgres import Postgres
from query_events.people import ROUTES
from tests.integration.conftest import Connect
from tests.integration.lookups import BLIND, ask, make_loader, tell, walk
from tests.integration.test_behaviour import load, make_batch, make_call
from tests.integration.test_loading import select
from tests.integration.test_people import ADDRESSES, ANONYMOUS, USERS, Happening, empty, send

(PERSON,) = ROUTES
EVERYTHING = """
SELECT person, 'activity', occurred_at, activity_key FROM activity_people
UNION ALL SELECT person, 'mail', occurred_at, event_key FROM mail_people
ORDER BY 3 DESC, 4 DESC
"""
PEOPLE = "SELECT 'person ' || person_id FROM identities WHERE (identity_type, value) = (%s, %s)"
NAMES = [
    *(("user", value) for value in USERS),
    *(("anonymous", value) for value in ANONYMOUS),
    *(("address", value) for value in ADDRESSES),
]


@contextlib.contextmanager
def open_query(postgres: Postgres) -> Iterator[Connection]:
    """A connection as the query function has it."""
    dsn = postgres.dsn("mailwake_query", "mailwake")
    with contextlib.closing(psycopg2.connect(dsn, options="-c timezone=UTC")) as connection:
        connection.autocommit = True
        yield connection


def make_happenings(random: Random) -> list[Happening]:
    """Mails, calls, tracks, identities and merges in some order."""
    made = []
    for number in range(30):
        kind = random.choice(("mail", "mail", "call", "track", "identify", "alias"))
        user, previous, address = random.choice(USERS), random.choice(USERS), random.choice(ADDRESSES)
        made.append(
            Happening(
                1000 + 10 * number,
                kind,
                user=user if kind != "mail" or number % 3 == 0 else "",
                anonymous=random.choice(ANONYMOUS) if kind in ("track", "identify") else "",
                address=address if kind in ("mail", "identify") else "",
                previous=previous if kind == "alias" else "",
            )
        )
    return made


def find_person(connection: Connection, kind: str, value: str) -> str:
    """The text that the views have for who goes by a name."""
    with connection.cursor() as cursor:
        cursor.execute(PEOPLE, (kind, value))
        found = cursor.fetchall()
    if found:
        return str(found[0][0])
    return f"user {make_content_key(Identity(USER, value))}" if kind == "user" else f"{kind} {value}"


def read_all(connection: Connection, kind: str, value: str) -> list[tuple[str, str]]:
    """What all pages show, none of them longer than asked for; nothing of whom nothing is known."""
    try:
        pages = walk(connection, PERSON, value, type=kind, per_page="3")
    except ApiError as error:
        if error.status != 404:
            raise
        return []
    assert all(len(page["results"]["entries"]) == 3 for page in pages[:-1])
    return [(entry["kind"], entry["timestamp"][:19]) for page in pages for entry in page["results"]["entries"]]


@pytest.mark.parametrize("seed", range(6))
def test_answer_is_as_the_views_tell(migrated: Postgres, seed: int) -> None:
    """Under each name exactly what the views say is that person's, the newest first, page by page."""
    found = make_happenings(Random(seed))
    with empty(migrated) as loader:
        send(loader, [found[:10], found[10:]], [])
        with open_query(migrated) as connection:
            rows = select(connection, EVERYTHING)
            shown = {}
            for kind, value in NAMES:
                person = find_person(connection, kind, value)
                expected = [(what, f"{at:%Y-%m-%dT%H:%M:%S}") for who, what, at, _ in rows if who == person]
                shown[person] = read_all(connection, kind, value)
                assert shown[person] == expected, (kind, value)
    assert sum(map(len, shown.values())) == len(rows) > 10


def tell_of_ada(connect: Connect) -> Connection:
    """Ada's call, mail and address; a connection to ask for them."""
    loader = connect("mailwake_loader")
    make_loader(connect("mailwake_loader"))(tell(1, "m", "delivery", 90, rcpt_to="ada@example.com"))
    load(loader, make_batch("moesif", "events", [make_call(60, user_id="ada", company_id="acme")]))
    load(loader, make_batch("segment", "identify", {"userId": "ada", "traits": {"email": "Ada@example.com"}}, key="2"))
    connection = connect("mailwake_query")
    connection.autocommit = True
    return connection


@pytest.mark.parametrize("name", ["ada", "ada@example.com", " ADA@example.com "])
def test_mails_and_calls_come_together(connect: Connect, name: str) -> None:
    """By the user's id and by the address, in any case: names, the call with its columns, and the mail's event."""
    answer = ask(tell_of_ada(connect), PERSON, name)
    assert answer["links"] == {}
    results = answer["results"]
    assert results["identities"] == [
        {"type": "user", "value": "ada"},
        {"type": "address", "value": "ada@example.com"},
    ]
    assert results["identity_count"] == 2
    call, mail = results["entries"]
    assert (call["kind"], call["timestamp"], call["event"]) == ("activity", "2026-11-21T11:59:00.000Z", None)
    wanted = {"activity_type": "call", "source": "moesif", "user": "ada", "company": "acme"}
    assert {name: call["activity"][name] for name in wanted} == wanted
    assert (mail["kind"], mail["activity"]) == ("mail", None)
    assert (mail["event"]["rcpt_to"], mail["event"]["type"]) == ("ada@example.com", "delivery")


def test_addresses_are_masked(connect: Connect) -> None:
    """A key without pii:read sees no address, neither among the names nor in mails and calls."""
    connection = tell_of_ada(connect)
    call = make_call(30, user_id="ada", company_id="bob@example.com")
    load(connect("mailwake_loader"), make_batch("moesif", "events", [call], key="3"))
    text = json.dumps(ask(connection, PERSON, "ada"))
    masked = json.dumps(ask(connection, PERSON, "ada", BLIND))
    for address in ("ada@example.com", "bob@example.com"):
        assert address in text
        assert address not in masked
        assert quote(address) not in masked
    assert "a***@example.com" in masked


def test_range_and_type_narrow(connect: Connect) -> None:
    """`to` is exclusive, `from` inclusive; a name of another type is nobody's."""
    connection = tell_of_ada(connect)
    at = "2026-11-21T11:59:00Z"
    kinds = [
        [entry["kind"] for entry in ask(connection, PERSON, "ada", **{name: at})["results"]["entries"]]
        for name in ("from", "to")
    ]
    assert kinds == [["activity"], ["mail"]]
    with pytest.raises(ApiError) as raised:
        ask(connection, PERSON, "ada", type="anonymous")
    assert raised.value.status == 404


@pytest.mark.parametrize("given", [{"type": "company"}, {"per_page": "0"}, {"cursor": "x"}, {"colour": "red"}])
def test_wrong_parameters_are_refused(connect: Connect, given: dict[str, str]) -> None:
    """Each is a 400 that names the parameter."""
    with pytest.raises(ApiError) as raised:
        ask(tell_of_ada(connect), PERSON, "ada", **given)
    assert raised.value.status == 400
    assert next(iter(given)) in raised.value.description


def test_company_is_nobody(connect: Connect) -> None:
    """A company's id is not a person's."""
    with pytest.raises(ApiError) as raised:
        ask(tell_of_ada(connect), PERSON, "acme")
    assert raised.value.status == 404


def test_activity_shows_what_conditions_may_ask_for(migrated: Postgres) -> None:
    """A call's metadata and direction are shown; who may not see addresses sees no value of the metadata."""
    with empty(migrated) as connection:
        call = make_call(10, user_id="u", direction="Outgoing", metadata={"n": 1, "m": {"x": "a"}})
        load(connection, make_batch("moesif", "events", [call]))
    with open_query(migrated) as connection:
        (seen,) = ask(connection, PERSON, "u")["results"]["entries"]
        (masked,) = ask(connection, PERSON, "u", BLIND)["results"]["entries"]
    assert (seen["activity"]["direction"], seen["activity"]["metadata"]) == ("Outgoing", {"n": 1, "m": {"x": "a"}})
    assert masked["activity"]["metadata"] == {"n": "***", "m": {"x": "***"}}
