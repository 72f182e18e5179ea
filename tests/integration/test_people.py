"""Who is who, held against a plain model of it: in whatever order facts arrive, the same people and histories."""

import contextlib
from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, NamedTuple

import psycopg2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2.extensions import connection as Connection

from common.event_keys import make_event_key
from local.postgres import SUPERUSER, Postgres
from s3_loader.behaviour import BehaviourLoader
from s3_loader.loading import Loader
from tests.integration.batches import LIMITS, make_event
from tests.integration.batches import make_batch as make_mail_batch
from tests.integration.conftest import NOW, TABLES
from tests.integration.test_behaviour import load, make_batch
from tests.integration.test_loading import select

USERS = ("u1", "u2", "u3", "u4")
ANONYMOUS = ("a1", "a2", "u1")  # an anonymous id may look like a user's
ADDRESSES = ("x@example.com", "y@example.com", "z@example.com")
HISTORIES = """
SELECT person, array_agg(what ORDER BY what) FROM (
    SELECT person, 'activity ' || extract(epoch FROM occurred_at)::int AS what FROM activity_people
    UNION ALL SELECT person, 'mail ' || extract(epoch FROM occurred_at)::int FROM mail_people) AS everything
GROUP BY person
"""


class Happening(NamedTuple):
    """Something that came in; `age` (seconds before NOW) is unlike all others'."""

    age: int
    kind: str
    user: str = ""
    anonymous: str = ""
    address: str = ""
    previous: str = ""


def build_kinds() -> st.SearchStrategy[Happening]:
    """Every kind of happening, without its time."""
    user, anonymous = st.sampled_from(USERS), st.sampled_from(ANONYMOUS)
    address, no = st.sampled_from(ADDRESSES), st.just("")

    def build(kind: str, user: Any = no, anonymous: Any = no, address: Any = no, previous: Any = no) -> Any:
        return st.tuples(st.just(0), st.just(kind), user, anonymous, address, previous).map(Happening._make)

    return st.one_of(
        build("mail", user=user | no, address=address),
        build("call", user=user),
        build("track", user=user, anonymous=anonymous | no),
        build("track", anonymous=anonymous),
        build("identify", user=user, anonymous=anonymous | no, address=address | no),
        build("alias", user=user, previous=user | anonymous),
    )


happenings = st.lists(build_kinds(), min_size=2, max_size=14).map(
    lambda found: [one._replace(age=1000 + 10 * number) for number, one in enumerate(found)]
)


def tell(one: Happening) -> set[str]:
    """What a happening adds to a history."""
    epoch = int((NOW - timedelta(seconds=one.age)).timestamp())
    return (
        {f"{'mail' if one.kind == 'mail' else 'activity'} {epoch}"} if one.kind in ("mail", "call", "track") else set()
    )


def expect(found: list[Happening]) -> list[list[str]]:
    """The histories, by the words of docs/behaviour.md: people from all facts at once."""
    group = {user: {user} for user in (*USERS, *ANONYMOUS)}
    first: dict[str, tuple[int, str]] = {}
    last: dict[str, tuple[int, str]] = {}
    for one in sorted(found, reverse=True):  # from the earliest on
        if one.kind == "alias":
            merged = group[one.previous] | group[one.user]
            for user in merged:
                group[user] = merged
            first.setdefault(one.previous, (one.age, one.user))
        if one.anonymous and one.user:
            first.setdefault(one.anonymous, (one.age, one.user))
        if one.kind == "identify" and one.address:
            last[one.address] = (one.age, one.user)
    histories: dict[str, set[str]] = defaultdict(set)
    for one in found:
        if one.user:
            person = "user " + min(group[one.user])
        elif one.kind == "mail":
            person = "user " + min(group[last[one.address][1]]) if one.address in last else one.address
        elif one.anonymous in first:
            person = "user " + min(group[first[one.anonymous][1]])
        else:
            person = "anonymous " + one.anonymous
        histories[person] |= tell(one)
    return sorted(sorted(history) for history in histories.values() if history)


def send(connection: Connection, arrivals: list[list[Happening]], replayed: list[int]) -> None:
    """Loads happenings, each list as one batch of each source; some again, as replays."""
    loader, mail_loader = BehaviourLoader(), Loader()
    again = [index % len(arrivals) for index in replayed]
    for position, number in enumerate([*range(len(arrivals)), *again]):
        replay = position >= len(arrivals) or number in again  # a replay may come first
        batch = arrivals[number]
        mails = [build_mail(one) for one in batch if one.kind == "mail"]
        calls = [build_call(one) for one in batch if one.kind == "call"]
        messages = [build_message(one) for one in batch if one.kind not in ("mail", "call")]
        if mails:
            mail_batch = make_mail_batch(mails, key=f"raw/sparkpost/2026/11/21/12/{number}")
            mail_loader.load(connection, mail_batch, LIMITS, replay=replay)
        if calls:
            load(connection, make_batch("moesif", "events", calls, key=f"{number}"), replay=replay, loader=loader)
        if messages:
            body = {"batch": messages}
            load(connection, make_batch("segment", "batch", body, key=f"{number}"), replay=replay, loader=loader)


def build_mail(one: Happening) -> dict[str, Any]:
    """As SparkPost tells of it; the sender may have named the user."""
    named: dict[str, Any] = {"rcpt_meta": {"user_id": one.user}} if one.user else {}
    return make_event(f"{one.age}", age=one.age, rcpt_to=one.address, **named)


def show_time(one: Happening) -> str:
    """When it happened."""
    return (NOW - timedelta(seconds=one.age)).isoformat()


def build_call(one: Happening) -> dict[str, Any]:
    """As Moesif's clients send it."""
    return {"request": {"time": show_time(one), "uri": "/", "verb": "GET"}, "user_id": one.user}


def build_message(one: Happening) -> dict[str, Any]:
    """As Segment's clients send it."""
    given = {"userId": one.user, "anonymousId": one.anonymous, "previousId": one.previous}
    message: dict[str, Any] = {name: value for name, value in given.items() if value}
    traits = {"traits": {"email": one.address}} if one.address else {}
    return {"type": one.kind, "event": "x", "timestamp": show_time(one), **message, **traits}


@contextlib.contextmanager
def empty(postgres: Postgres) -> Iterator[Connection]:
    """A loader's connection to an empty database."""
    with contextlib.closing(psycopg2.connect(postgres.dsn(SUPERUSER, "mailwake"))) as owner, owner.cursor() as cursor:
        cursor.execute(f"TRUNCATE {TABLES}")
        owner.commit()
    dsn = postgres.dsn("mailwake_loader", "mailwake")
    with contextlib.closing(psycopg2.connect(dsn, options="-c timezone=UTC")) as connection:
        yield connection


def find_histories(postgres: Postgres) -> list[list[str]]:
    """The histories that the database tells."""
    dsn = postgres.dsn("mailwake_query", "mailwake")
    with contextlib.closing(psycopg2.connect(dsn, options="-c timezone=UTC")) as connection:
        return sorted(history for _, history in select(connection, HISTORIES))


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(found=happenings, data=st.data())
def test_same_people_with_the_same_histories(migrated: Postgres, found: list[Happening], data: st.DataObject) -> None:
    """Whatever the order, grouping and repetition in which mails, calls, identities and merges arrive."""
    order = data.draw(st.permutations(found))
    size = data.draw(st.integers(1, 5))
    arrivals = [order[start : start + size] for start in range(0, len(order), size)]
    replayed = data.draw(st.lists(st.integers(0, 20), max_size=2))
    with empty(migrated) as connection:
        send(connection, arrivals, replayed)
    assert find_histories(migrated) == expect(found)


def test_mail_is_anybodys_once(migrated: Postgres) -> None:
    """A mail to an address is that of who has it, one after the other; one that names a user stays theirs."""
    mail = Happening(900, "mail", address="x@example.com")
    named = Happening(890, "mail", address="x@example.com", user="u3")
    first = Happening(800, "identify", user="u1", address="x@example.com")
    second = Happening(700, "identify", user="u2", address="x@example.com")
    calls = [Happening(600 + number, "call", user=f"u{number}") for number in (1, 2, 3)]
    with empty(migrated) as connection:
        for arrived in ([mail], [named], [first], [second], calls):
            send(connection, [[*arrived]], [])
            connection.autocommit = True
            with connection.cursor() as cursor:  # the batches of one test have one name
                cursor.execute("UPDATE batches SET object_key = object_key || batch_id")
        histories = find_histories(migrated)
    assert histories == expect([mail, named, first, second, *calls])
    assert sum(len(history) for history in histories) == 5


def test_event_key_of_a_mail_is_its_own(migrated: Postgres) -> None:
    """The view of mails' people tells of each event exactly once, by the event's own key."""
    found = [Happening(1000 + number, "mail", user=user, address="x@example.com") for number, user in enumerate(USERS)]
    with empty(migrated) as connection:
        send(connection, [found], [])
        rows = select_people(migrated)
    assert sorted(rows) == sorted(make_event_key("sparkpost", str(one.age)) for one in found)


def select_people(postgres: Postgres) -> list[int]:
    """The keys of the events that have a person."""
    dsn = postgres.dsn("mailwake_query", "mailwake")
    with contextlib.closing(psycopg2.connect(dsn)) as connection:
        return [key for (key,) in select(connection, "SELECT event_key FROM mail_people WHERE person IS NOT NULL")]
