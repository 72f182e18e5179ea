import json
from datetime import datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as DatabaseCursor

from common.clock import format_instant
from common.errors import ApiError
from local.postgres import SUPERUSER
from query_events import sizes, walks
from query_events.own_parameters import BEGINNING, END
from query_events.recipients import ROUTES
from tests.integration.conftest import NOW, TABLES, Connect
from tests.integration.lookups import BLIND, Load, ask, make_loader, tell, walk

(ROUTE,) = ROUTES
ADA = "ada@example.com"
REASON = "550 5.1.1 <ada@example.com> unknown"


@pytest.fixture
def load(connect: Connect) -> Load:
    """Loads events."""
    return make_loader(connect("mailwake_loader"))


@pytest.fixture
def query(connect: Connect) -> Connection:
    """The query function's connection."""
    connection = connect("mailwake_query")
    connection.autocommit = True
    return connection


def list_messages(answers: list[dict[str, Any]]) -> list[str]:
    """The ids of the messages of some pages."""
    return [message["message_id"] for answer in answers for message in answer["results"]["messages"]]


def test_message_is_told(query: Connection, load: Load) -> None:
    """A message says what it was, what became of it with the event that tells it, and its events, the oldest first."""
    about = {"campaign_id": "june", "template_id": "plain", "subject": "Hello", "friendly_from": "shop@example.org"}
    load(tell(2, "m1", "bounce", 50, bounce_class="10", raw_reason="550 no such user", **about))
    load(tell(1, "m1", "injection", 60, transmission_id="t1", **about))
    (message,) = ask(query, ROUTE, ADA)["results"]["messages"]
    events = message.pop("events")
    assert [event["event_id"] for event in events] == ["1", "2"]
    assert message.pop("state") == {
        "name": "bounced",
        "description": "bounced hard: the recipient is invalid",
        "timestamp": "2026-11-21T11:59:10.000Z",
        "event_key": events[1]["event_key"],
        "message_id": "m1",
        "bounce_kind": "hard",
        "reason": "550 no such user",
    }
    assert message == {
        "message_id": "m1",
        "recipient": ADA,
        "provider": "sparkpost",
        "transmission_id": "t1",
        "campaign": "june",
        "template": "plain",
        "subject": "Hello",
        "sender": "shop@example.org",
        "began_at": "2026-11-21T11:59:00.000Z",
        "event_count": 2,
    }


def test_newest_message_comes_first(query: Connection, load: Load) -> None:
    """The message that was sent last comes first, even where an older one was opened later."""
    load(tell(1, "old", "injection", 900), tell(2, "new", "injection", 300), tell(3, "old", "open", 10))
    assert list_messages([ask(query, ROUTE, ADA)]) == ["new", "old"]


def test_order_of_arrival_does_not_matter(connect: Connect, query: Connection) -> None:
    """Events that arrive in whatever order, each in a batch of its own, come to the same answer."""
    life = [
        tell(1, "m", "injection", 90),
        tell(2, "m", "delay", 80),
        tell(3, "m", "delivery", 70),
        tell(4, "m", "open", 9),
    ]
    answers = []
    for order in permutations(life):
        with connect("postgres") as connection, connection.cursor() as cursor:
            cursor.execute(f"TRUNCATE {TABLES}")
        load = make_loader(connect("mailwake_loader"))
        for event in order:
            load(event)
        answers.append(ask(query, ROUTE, ADA))
    assert all(answer == answers[0] for answer in answers)
    assert answers[0]["results"]["messages"][0]["state"]["name"] == "opened"


@pytest.mark.parametrize("address", ["ADA@Example.COM", "  ada@example.com ", "ada@example.com\n"])
def test_case_and_white_space_do_not_matter(query: Connection, load: Load, address: str) -> None:
    """An address is found however it is written."""
    load(tell(1, "m1", "delivery", 60))
    answer = ask(query, ROUTE, address)["results"]
    assert answer["recipient"] == ADA
    assert len(answer["messages"]) == 1


@pytest.mark.parametrize("address", ["nobody@example.com", "no address", "%", "'; DROP TABLE events; --", "x" * 3000])
def test_unknown_address_has_an_answer(query: Connection, load: Load, address: str) -> None:
    """That she was never mailed is an answer too."""
    load(tell(1, "m1", "delivery", 60))
    results = ask(query, ROUTE, address)["results"]
    assert (results["messages"], results["other_events"]) == ([], [])
    standing = results["standing"]
    assert not any(standing.values())


def test_standing(query: Connection, load: Load) -> None:
    """The standing tells what happened last, counts bounces, and why the address must not be mailed."""
    load(tell(1, "a", "delivery", 900), tell(2, "a", "open", 800), tell(3, "b", "delivery", 700))
    load(
        tell(4, "c", "bounce", 600, bounce_class="22", raw_reason="452 full"),
        tell(5, "d", "bounce", 500, bounce_class="10"),
    )
    standing = ask(query, ROUTE, ADA)["results"]["standing"]
    assert standing["last_delivered"] == "2026-11-21T11:48:20.000Z"
    assert standing["last_opened"] == "2026-11-21T11:46:40.000Z"
    assert standing["last_clicked"] is None
    assert (standing["bounces"], standing["hard_bounces"], standing["suppressed"]) == (2, 1, True)
    assert standing["suppression"] == standing["last_hard_bounce"] == standing["last_bounce"]
    assert standing["suppression"]["description"] == "bounced hard: the recipient is invalid"
    assert standing["suppression"]["message_id"] == "d"
    assert standing["complaint"] is standing["unsubscribed"] is None


def test_range_selects_messages_but_not_the_standing(query: Connection, load: Load) -> None:
    """`from` and `to` select by when a message began; it keeps all its events, and the standing looks at everything."""
    load(tell(1, "a", "delivery", 900), tell(2, "a", "click", 100), tell(3, "b", "delivery", 500))
    results = ask(query, ROUTE, ADA, to=format_instant(NOW - timedelta(seconds=600)))["results"]
    assert [message["message_id"] for message in results["messages"]] == ["a"]
    assert results["messages"][0]["state"]["name"] == "clicked"
    assert results["standing"]["last_clicked"] is not None
    assert list_messages([ask(query, ROUTE, ADA, **{"from": format_instant(NOW - timedelta(seconds=600))})]) == ["b"]


def test_events_without_a_message_are_listed_apart(query: Connection, load: Load) -> None:
    """An unsubscribe that names no message stands in a list of its own, and counts for the standing."""
    load(tell(1, "a", "delivery", 900), tell(2, None, "list_unsubscribe", 100))
    results = ask(query, ROUTE, ADA)["results"]
    assert [event["event_id"] for event in results["other_events"]] == ["2"]
    assert [message["event_count"] for message in results["messages"]] == [1]
    assert results["standing"]["suppression"]["description"] == "unsubscribed"


lives = st.lists(
    st.tuples(
        st.sampled_from(["m1", "m2", "m3", "m4", "m5", None]),
        st.sampled_from(["injection", "delivery", "open", "bounce", "spam_complaint"]),
        st.integers(0, 12),
    ),
    min_size=1,
    max_size=30,
)


@pytest.mark.parametrize("few", [10_000, 0])
def test_pages_hold_everything_once(connect: Connect, monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    """Walking the pages yields each message and each lone event once, in order; for an address of any size the same."""
    monkeypatch.setattr(walks, "STRETCH", 1)
    monkeypatch.setattr(walks, "STRETCH_LEAST", 1)
    query = connect("mailwake_query")
    query.autocommit = True
    loader, master = connect("mailwake_loader"), connect("postgres")
    master.autocommit = True

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(lives, st.integers(1, 4))
    def check(life: list[tuple[str | None, str, int]], size: int) -> None:
        with master.cursor() as cursor:
            cursor.execute(f"TRUNCATE {TABLES}")
        make_loader(loader)(*(tell(n, message, kind, age) for n, (message, kind, age) in enumerate(life, 1)))
        monkeypatch.setattr(walks, "FEW", 10_000)
        whole = ask(query, ROUTE, ADA, per_page="100")["results"]
        monkeypatch.setattr(walks, "FEW", few)
        pages = walk(query, ROUTE, ADA, per_page=str(size))
        assert [entry for page in pages for entry in page["results"]["messages"]] == whole["messages"]
        assert [entry for page in pages for entry in page["results"]["other_events"]] == whole["other_events"]
        assert all(page["results"]["standing"] == whole["standing"] for page in pages)
        assert len(whole["messages"]) == len({message for message, _, _ in life if message})
        began = [message["began_at"] for message in whole["messages"]]
        assert began == sorted(began, reverse=True)

    check()


def test_late_events_do_not_fill_pages(query: Connection, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many late opens of one message hide neither it nor older messages behind pages without anything."""
    for name, value in {"FEW": 0, "STRETCH": 1, "STRETCH_LEAST": 9}.items():
        monkeypatch.setattr(walks, name, value)
    load(tell(1, "old", "injection", 9000), tell(2, "new", "injection", 8000))
    load(*(tell(number, "new", "open", 5000 - number) for number in range(10, 90)))
    pages = walk(query, ROUTE, ADA, per_page="1")
    assert [list_messages([page]) for page in pages][:2] == [["new"], ["old"]]
    assert pages[0]["results"]["messages"][0]["event_count"] == 81


OTHERS = """
INSERT INTO events (occurred_at, event_key, kind_key, mailing_key, receiver_key, batch_id, recipient, detail)
SELECT timestamptz '2026-11-01' + n * interval '80 seconds', -n, 1, 1, 1, 1, 'r' || n % 5000 || '@example.com', ''
FROM generate_series(1, 20000) n
"""


@pytest.mark.parametrize(("since", "until"), [(BEGINNING, END), (NOW - timedelta(days=20), NOW)])  # also of one month
def test_walk_reads_no_others_events(
    connect: Connect, query: Connection, load: Load, monkeypatch: pytest.MonkeyPatch, since: datetime, until: datetime
) -> None:
    """An address with many events, all of them old and none a click, costs no more for others' mail since then."""
    monkeypatch.setattr(walks, "FEW", 99)
    load(*(tell(number, f"m{number // 2}", "open", 1_700_000 - number) for number in range(2, 4002)))
    with connect(SUPERUSER) as connection, connection.cursor() as cursor:
        cursor.execute(OTHERS)
        cursor.execute("ANALYZE events")
    read: list[float] = []

    def explain(database: DatabaseCursor, statement: str, values: dict[str, object]) -> None:
        """Adds up what a statement reads of events."""
        before, _, select = statement.rpartition("; ")
        database.execute(f"{before}; EXPLAIN (ANALYZE, FORMAT JSON) {select}", values)
        nodes = list_nodes(database.fetchall()[0][0][0]["Plan"])
        scans = [node for node in nodes if node.get("Relation Name", "").startswith("events")]
        read.extend(node["Actual Rows"] + node.get("Rows Removed by Filter", 0) for node in scans)

    answer = ask(query, ROUTE, ADA, per_page="1")
    assert answer["results"]["messages"][0]["message_id"] == "m2000"
    values = {"recipient": ADA, "from": since, "time": until, "key": 0, "known": [], "limit": 108}
    with query.cursor() as cursor:
        explain(cursor, walks.WALK, values)
        explain(cursor, walks.BY_RECIPIENT + walks.TALLY, {"recipient": ADA, "kinds": list(range(100))})
    assert sum(read) <= 8000


def list_nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """A plan's nodes."""
    return [plan, *(node for part in plan.get("Plans", []) for node in list_nodes(part))]


def test_pages_are_stable_while_events_arrive(query: Connection, load: Load) -> None:
    """What arrives while pages are walked moves no message to another page."""
    load(*(tell(number, f"m{number}", "injection", number * 60) for number in range(1, 8)))
    first = ask(query, ROUTE, ADA, per_page="3")
    load(tell(100, "m7", "open", 1), tell(101, "m2", "open", 1), tell(102, "m8", "injection", 1))
    rest = walk(query, ROUTE, ADA, per_page="3", cursor=first["links"]["next"].rpartition("cursor=")[2])
    assert list_messages([first, *rest]) == [f"m{number}" for number in range(1, 8)]


def test_message_with_many_events_is_cut(query: Connection, load: Load) -> None:
    """Of a message with many events the first, the newest and the latest of each kind are shown; all are counted."""
    load(tell(1, "m", "open", 9500), tell(2, "m", "injection", 9000), tell(3, "m", "spam_complaint", 8000))
    load(*(tell(number, "m", "open", 5000 - number) for number in range(10, 110)))
    (message,) = ask(query, ROUTE, ADA)["results"]["messages"]
    assert message["event_count"] == 103
    assert [event["event_id"] for event in message["events"]] == ["1", "2", "3", *map(str, range(60, 110))]
    assert message["state"]["name"] == "complained"


def test_answer_stays_small_enough(query: Connection, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page ends before its answer is larger than a Lambda can give; what is too large alone loses old events."""
    load(*(tell(number, f"m{number // 4}", "open", number, note="x" * 1000) for number in range(40)))
    monkeypatch.setattr(sizes.fit, "__defaults__", (9_000,))
    pages = walk(query, ROUTE, ADA)
    assert len(list_messages(pages)) == len(set(list_messages(pages))) == 10
    assert len(pages) > 5
    monkeypatch.setattr(sizes.fit, "__defaults__", (3_500,))
    pages = walk(query, ROUTE, ADA)
    assert len(list_messages(pages)) == 10
    assert all(len(json.dumps(page)) < 5_000 for page in pages)
    assert [event["event_id"] for event in pages[0]["results"]["messages"][0]["events"]] == ["1", "0"]


def test_addresses_are_masked_without_the_scope(query: Connection, load: Load) -> None:
    """Without pii:read no address and no metadata are told, but states are."""
    load(tell(1, "m", "bounce", 60, bounce_class="10", raw_reason=REASON, rcpt_meta={"id": "secret"}))
    load(tell(2, None, "list_unsubscribe", 50, raw_rcpt_to="Ada@Example.com"))
    answer = ask(query, ROUTE, ADA, BLIND)
    text = json.dumps(answer["results"]).lower()
    assert "ada@" not in text
    assert "secret" not in text
    assert answer["results"]["messages"][0]["state"]["name"] == "bounced"


@pytest.mark.parametrize(
    "given_",
    [{"per_page": "0"}, {"per_page": "101"}, {"cursor": "x"}, {"from": "soon"}, {"to": "1"}, {"recipients": "a@b.c"}],
)
def test_bad_parameters_are_refused(query: Connection, given_: dict[str, str]) -> None:
    """A value that can't be read, or a parameter that is none here, is a 400 that names it."""
    with pytest.raises(ApiError) as caught:
        ask(query, ROUTE, ADA, **given_)
    assert (caught.value.status, caught.value.code) == (400, "1200")
    assert caught.value.description.startswith(next(iter(given_)))
