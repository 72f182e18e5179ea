import random
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ
from psycopg2.extensions import connection as Connection

from common.errors import ApiError
from maintain_partitions.partitions import maintain_partitions
from query_events import metrics, sizes
from query_events.metrics import RATES
from query_events.metrics_query import COUNTS, FILTERS, SECONDS, build_statement
from query_events.parameters import PARAMETERS
from query_events.routing import READ_EVENTS, Caller, Request
from s3_loader.loading import Loader
from summarise_hours.summaries import find_end, summarise_hours
from tests.integration.batches import LIMITS, make_batch, make_event
from tests.integration.conftest import NOW, Connect
from tests.integration.metrics import Row, count_by_hand, read_rows
from tests.integration.requests import REP, make_request
from tests.integration.test_loading import count, load, select
from tests.integration.test_single_use import receive

(ROUTE,) = metrics.ROUTES
GUEST = Caller("guest", frozenset({READ_EVENTS}))
BEGIN = NOW - timedelta(days=100)
HOUR, DAY = 3_600, 86_400

# What is asked, in each test, of whatever is stored.
QUESTIONS: Sequence[dict[str, str]] = (
    {},
    {"group_by": "campaign,day"},
    {"group_by": "day", "timezone": "America/New_York"},
    {"group_by": "day,provider", "timezone": "Asia/Kathmandu"},
    {"group_by": "hour,template", "timezone": "America/New_York"},
    {"group_by": "hour", "timezone": "Asia/Kathmandu"},
    {"group_by": "recipient_domain,campaign"},
    {"group_by": "recipient_domain", "from": "2026-10-31T17:21:09Z", "to": "2026-11-20T03:59:59.5Z"},
)

# Filters, and the stored events that they let through.
NARROWED: Sequence[tuple[dict[str, str], Callable[[Row], bool]]] = (
    ({"campaigns": "autumn"}, lambda row: row.campaign == "autumn sale"),
    ({"campaigns": "sale autumn"}, lambda _: False),
    ({"campaigns": "sale,ER"}, lambda row: row.campaign == "autumn sale"),
    ({"campaign_ids": "winter,summer", "group_by": "day"}, lambda row: row.campaign == "winter"),
    (
        {"templates": "one", "recipient_domains": "mail.example", "group_by": "campaign"},
        lambda row: row.template == "one" and row.domain == "mail.example.org",
    ),
    (
        {"template_ids": "two", "campaigns": "Autumn Sale", "group_by": "recipient_domain"},
        lambda row: row.template == "two" and row.campaign == "autumn sale",
    ),
    ({"providers": "sparkpost", "recipient_domains": "com"}, lambda row: row.domain == "example.com"),
    ({"providers": "mailgun", "timezone": "Asia/Kathmandu"}, lambda _: False),
)


def ask(connection: Connection, **given: str) -> dict[str, Any]:
    """The decoded answer."""
    return make_request(connection, ROUTE, {"limit": "10000"} | {n.strip("_"): v for n, v in given.items()})


def check_counts(
    connection: Connection,
    questions: Sequence[dict[str, str]] = QUESTIONS,
    narrowed: Sequence[tuple[dict[str, str], Callable[[Row], bool]]] = (),
) -> None:
    """Compares metrics with counts by hand over the events that are stored."""
    rows = read_rows(connection)
    everything: Callable[[Row], bool] = lambda _: True  # noqa: E731
    for question, fits in (*((question, everything) for question in questions), *narrowed):
        given = {"from": BEGIN.isoformat(), "to": NOW.isoformat()} | question
        begin, end = (datetime.fromisoformat(given[name]) for name in ("from", "to"))
        groups = question["group_by"].split(",") if "group_by" in question else []
        by_hand = count_by_hand(rows, begin, end, groups, given.get("timezone", "UTC"), fits)
        answer = ask(connection, **given)
        results = answer["results"] if groups else [answer["total"]]
        found = {tuple(result[name] for name in groups): keep_counts(result) for result in results}
        assert found == (by_hand or ({} if groups else {(): {}})), question
        whole = count_by_hand(rows, begin, end, [], "UTC", fits).get((), {})
        assert keep_counts(answer["total"]) == whole
        assert answer["total_count"] == len(answer["results"])


def keep_counts(result: dict[str, Any]) -> dict[str, int]:
    """The counts that are not 0, and the seconds that are known."""
    counted = {name: result[name] for name in COUNTS if result[name]}
    return counted | {name: result[name] for name in SECONDS if result[name] is not None}


def open_query(connect: Connect) -> Connection:
    """A connection as the query function has it: no transaction stays open."""
    query = connect("mailwake_query")
    query.autocommit = True
    return query


def run(migrator: Connection, instant: datetime = NOW) -> int:
    """A run of the summariser; how many hours it counted."""
    return summarise_hours(migrator, instant, lambda: True).counted


def tell(message: str | None, kind: str, age: float, **fields: Any) -> dict[str, Any]:
    """An event so many seconds before NOW; told again alike, it is the same event."""
    event_class = {"open": "track_event", "click": "track_event", "initial_open": "track_event"}.get(kind)
    event_class = event_class or ("unsubscribe_event" if kind == "list_unsubscribe" else "message_event")
    fields = fields | ({} if message is None else {"message_id": message})
    name = str(abs(hash((message, kind, age))) % 10**15)
    return make_event(name, event_class=event_class, age=age, type=kind, **fields)


KINDS = (
    "injection",
    "delivery",
    "bounce",
    "delay",
    "out_of_band",
    "open",
    "click",
    "spam_complaint",
    "policy_rejection",
)


def make_traffic(draw: random.Random, messages: int, oldest: float, youngest: float) -> list[dict[str, Any]]:
    """Events of some messages in no good order: without injections, with several opens, with ties, without ids."""
    events = []
    for _ in range(messages):
        message = f"message-{draw.randrange(10**9)}" if draw.random() < 0.9 else None
        at = draw.uniform(youngest, oldest)
        fields = {
            "campaign_id": draw.choice(["autumn sale", "winter", None]),
            "template_id": draw.choice(["one", "two"]),
            "rcpt_to": f"ada@{draw.choice(['example.com', 'mail.example.org'])}",
        }
        extra: dict[str, Any]
        for kind in draw.choices(KINDS, weights=(5, 5, 2, 1, 1, 6, 3, 1, 1), k=draw.randrange(1, 9)):
            extra = {"bounce_class": draw.choice(["10", "20", "50", "1"])} if "bounce" in kind or "out" in kind else {}
            if kind == "open" and draw.random() < 0.4:
                extra = {"user_agent": "proxy", "user_agent_parsed": {"is_prefetched": True}}
            age = max(youngest, at - draw.choice([0, 1, 90, 4_000, 30_000, 20 * DAY, 31 * DAY]) * draw.random())
            events.append(tell(message, kind, int(age), **fields, **extra))
    draw.shuffle(events)
    return events


def load_all(connection: Connection, items: Sequence[dict[str, Any]], name: str = "all", size: int = 60) -> None:
    """Loads events in batches."""
    loader = Loader()
    for begin in range(0, len(items), size):
        batch = make_batch(list(items[begin : begin + size]), key=f"raw/sparkpost/2026/11/21/12/{name}-{begin:06}")
        loader.load(connection, batch, LIMITS)


def test_nothing_is_counted_of_nothing(connect: Connect) -> None:
    """An empty database: no group, 0 of each, rates that are null."""
    run(connect("mailwake_migrator"))
    answer = ask(open_query(connect), group_by="day", _from="1990-01-01", to="9000-01-01")
    assert answer["results"] == []
    assert answer["total"] == {**dict.fromkeys(COUNTS, 0), **dict.fromkeys((*SECONDS, *RATES))}


def test_each_event_counts_as_it_is_documented(connect: Connect) -> None:
    """One message with all that can happen to it, and one whose injection the provider did not tell."""
    load_all(
        connect("mailwake_loader"),
        [
            tell("m", "injection", 5 * DAY),
            tell("m", "delay", 5 * DAY - 1),
            tell("m", "delivery", 5 * DAY - 90),
            tell("m", "open", 4 * DAY),
            tell("m", "initial_open", 4 * DAY + 1),
            tell("m", "click", 3 * DAY),
            tell("m", "click", 3 * DAY - 1),
            tell("m", "spam_complaint", 2 * DAY),
            tell("m", "list_unsubscribe", 2 * DAY),
            tell("untold", "bounce", 2 * DAY, bounce_class="10"),
            tell("refused", "policy_rejection", 2 * DAY),
        ],
    )
    query = open_query(connect)
    total = ask(query)["total"]
    ones = ("delivered", "deferred", "bounced", "bounced_hard", "rejected", "unique_opened", "unique_opened_by_person")
    assert keep_counts(total) == {
        **dict.fromkeys((*ones, "unique_clicked", "complained", "unsubscribed"), 1),
        **dict.fromkeys(("accepted", "opened", "clicked"), 2),
        **dict.fromkeys(SECONDS, 90),
    }
    assert (total["bounce_rate_of_accepted"], total["open_rate_of_delivered"]) == (0.5, 1)
    run(connect("mailwake_migrator"))
    assert ask(query)["total"] == total


@pytest.mark.parametrize("seed", range(4))
def test_metrics_are_what_a_count_by_hand_gives(connect: Connect, seed: int) -> None:
    """Over random events: before any hour is counted, after, and after each kind of change that may follow."""
    draw = random.Random(seed)
    loader, migrator, query = connect("mailwake_loader"), connect("mailwake_migrator"), open_query(connect)
    events = make_traffic(draw, 60, 95 * DAY, 60)
    late = [events.pop(draw.randrange(len(events))) for _ in range(40)]
    load_all(loader, events)
    check_counts(query)
    assert run(migrator) > 2_000
    check_counts(query)
    load_all(loader, draw.sample(events, 50), "duplicates")  # in new batches
    assert count(migrator, "stale_hours") == 0
    load_all(loader, late, "late")
    check_counts(query)
    run(migrator)
    check_counts(query)
    assert run(migrator) == 0


def test_filtered_metrics_are_what_a_count_by_hand_gives(connect: Connect) -> None:
    """Over the events alone, over summaries, over both where hours changed; events that don't fit still tell."""
    draw = random.Random(9)
    loader, migrator, query = connect("mailwake_loader"), connect("mailwake_migrator"), open_query(connect)
    events = make_traffic(draw, 60, 95 * DAY, 60)
    late = [events.pop(draw.randrange(len(events))) for _ in range(40)]
    load_all(loader, events)
    check_counts(query, (), NARROWED)
    run(migrator)
    check_counts(query, (), NARROWED)
    load_all(loader, late, "late")
    assert count(migrator, "stale_hours") > 0
    check_counts(query, (), NARROWED)


def test_filters_are_those_of_the_search() -> None:
    """The same names ask the same, in the same words: also of words that only some index knows to use."""
    for row in metrics.PARAMETERS:
        if row.name in FILTERS:
            assert (row.form, row.meaning) == (PARAMETERS[row.name].form, PARAMETERS[row.name].meaning)
    statement = build_statement([], ["campaigns"], "accepted", descending=True)
    condition = PARAMETERS["campaigns"].filter
    assert condition is not None
    assert statement.count(str(condition.holds("campaigns"))) == 3  # twice of events, once of hours


def test_hours_that_are_counted_come_from_their_summaries(connect: Connect) -> None:
    """Else nothing here would test them: what a summary says is what metrics say."""
    load_all(connect("mailwake_loader"), [tell("m", "injection", 5 * DAY), tell("n", "injection", 60)])
    migrator = connect("mailwake_migrator")
    run(migrator)
    query = open_query(connect)
    with migrator, migrator.cursor() as cursor:
        cursor.execute("UPDATE summaries SET total_counts = '{40}', counts = '{50}' WHERE counts IS NOT NULL")
    assert ask(query)["total"]["accepted"] == 41
    assert ask(query, recipient_domains="example.com")["total"]["accepted"] == 51


def test_duplicates_and_replays_mark_nothing(connect: Connect) -> None:
    """What is there already changes no hour: a replay of everything leaves every summary as it is."""
    loader, migrator = connect("mailwake_loader"), connect("mailwake_migrator")
    events = make_traffic(random.Random(7), 30, 50 * DAY, DAY)
    load_all(loader, events)
    run(migrator)
    batch = make_batch(events[:60], key="raw/sparkpost/2026/11/21/12/all-000000")
    load(loader, batch, replay=True)
    load(loader, make_batch(events[30:90], key="raw/sparkpost/2026/11/21/12/again"))
    assert count(migrator, "stale_hours") == 0


def test_late_events_mark_their_hour_and_their_messages(connect: Connect) -> None:
    """A first open that is told late takes the uniqueness from a later one; recent events mark nothing."""
    loader, migrator, query = connect("mailwake_loader"), connect("mailwake_migrator"), open_query(connect)
    load_all(loader, [tell("m", "open", 3 * DAY), tell("other", "open", 3 * DAY)])
    run(migrator)
    load_all(loader, [tell("other", "click", 60)], "recent")
    load_all(
        loader, [tell("other", "click", 60), tell("third", "click", 61)], "again"
    )  # in the way that finds duplicates
    assert count(migrator, "stale_hours") == 0
    load_all(loader, [tell("m", "open", 5 * DAY)], "late")
    assert count(migrator, "stale_hours") == 2
    assert ask(query)["total"]["unique_opened"] == 2
    check_counts(query)
    assert run(migrator) == 48 + 1  # the hours before the one that was first, and the later open's
    check_counts(query)


def test_what_a_used_batch_id_takes_back_is_counted_again(connect: Connect) -> None:
    """The batch that came first is loaded last: the other one's events are gone from the counts too."""
    loader, migrator, query = connect("mailwake_loader"), connect("mailwake_migrator"), open_query(connect)
    genuine = receive("t", "ada@example.com", timestamp=(NOW - timedelta(days=3)).timestamp())
    forged = receive("t", "eve@example.org", after=9, timestamp=(NOW - timedelta(days=4)).timestamp())
    load(loader, forged)
    run(migrator)
    load(loader, genuine)
    found = ask(query, group_by="recipient_domain")["results"]
    assert [(result["recipient_domain"], result["delivered"]) for result in found] == [("example.com", 1)]
    run(migrator)
    check_counts(query)


def test_edges_of_the_range(connect: Connect) -> None:
    """An hour that the range cuts is counted as far as it is in it: `from` included, `to` not."""
    at = [NOW - timedelta(days=3, seconds=second) for second in (-1, 0, 1)]
    ages = [(NOW - instant).total_seconds() for instant in at]
    load_all(connect("mailwake_loader"), [tell(f"m{age}", "injection", age) for age in ages])
    query = open_query(connect)
    for _ in range(2):
        assert ask(query, _from=at[1].isoformat(), to=at[0].isoformat())["total"]["accepted"] == 1
        assert ask(query, _from=at[2].isoformat(), to=at[1].isoformat())["total"]["accepted"] == 1
        assert ask(query, _from=at[2].isoformat(), to=NOW.isoformat())["total"]["accepted"] == 3
        run(connect("mailwake_migrator"))


def test_first_means_within_30_days(connect: Connect) -> None:
    """After 30 days to the second an open still is none of the first, after one second more it is."""
    load_all(
        connect("mailwake_loader"),
        [
            *(tell("a", "open", age) for age in (40 * DAY, 10 * DAY)),
            *(tell("b", "open", age) for age in (40 * DAY + 1, 10 * DAY)),
        ],
    )
    query = open_query(connect)
    assert ask(query, _from="2026-01-01")["total"]["unique_opened"] == 3
    check_counts(query)
    run(connect("mailwake_migrator"))
    check_counts(query)


def test_retention_takes_hours_away(connect: Connect) -> None:
    """With a month go its hours; what was no first open while that month was there is one after."""
    loader, migrator, query = connect("mailwake_loader"), connect("mailwake_migrator"), open_query(connect)
    load_all(loader, [tell("m", "injection", 86 * DAY), tell("m", "open", 85 * DAY), tell("m", "open", 65 * DAY)])
    load_all(loader, make_traffic(random.Random(3), 60, 95 * DAY, 60), "more")
    run(migrator)
    check_counts(query)
    dropped = maintain_partitions(migrator, NOW, premake_months=1, retention_months=2).dropped
    assert "events_p20260801" in dropped
    check_counts(query)
    run(migrator)
    check_counts(query)
    assert select(migrator, "SELECT min(hour) >= '2026-09-01Z' FROM summaries") == [(True,)]
    restore(migrator)


def restore(migrator: Connection) -> None:
    """Months that other tests may need are made by their loads."""
    maintain_partitions(migrator, NOW, premake_months=1, retention_months=12)


def test_days_of_25_and_23_hours(connect: Connect) -> None:
    """An hour that the clocks show twice is two hours; the days around are as long as they were."""
    ages = [int((NOW - datetime(2026, 11, 1, hour, 30, tzinfo=UTC)).total_seconds()) for hour in range(24)]
    load_all(connect("mailwake_loader"), [tell(f"m{age}", "injection", age) for age in ages])
    run(connect("mailwake_migrator"))
    query = open_query(connect)
    answer = ask(query, group_by="hour", timezone="America/New_York")
    assert [result["hour"] for result in answer["results"]][4:7] == [
        "2026-11-01T00:00:00-04:00",
        "2026-11-01T01:00:00-04:00",
        "2026-11-01T01:00:00-05:00",
    ]
    days = ask(query, group_by="day", timezone="America/New_York", _from="2026-11-01", to="2026-11-02")["results"]
    assert [(result["day"], result["accepted"]) for result in days] == [("2026-11-01", 20)]
    check_counts(query)


@pytest.mark.slow
def test_loaders_and_summariser_at_once(connect: Connect) -> None:
    """While loaders and summariser are at work, metrics are at each instant what a count of the same state gives."""
    draw = random.Random(5)
    traffic = [make_traffic(draw, 150, 20 * DAY, HOUR) for _ in range(2)]
    load_all(connect("mailwake_loader"), [tell("first", "injection", 21 * DAY)])
    failures: list[BaseException] = []
    over = threading.Event()

    def start(work: Callable[[], None]) -> threading.Thread:
        def guarded() -> None:
            try:
                work()
            except BaseException as failure:  # noqa: BLE001 (the test fails with it)
                failures.append(failure)

        thread = threading.Thread(target=guarded)
        thread.start()
        return thread

    def summarise(migrator: Connection) -> None:
        instant = NOW - timedelta(days=21)
        while not over.is_set():
            instant = min(NOW, instant + timedelta(hours=20))
            run(migrator, instant)

    loader_connections = [connect("mailwake_loader") for _ in traffic]
    loaders = [
        start(partial(load_all, connection, items, str(number), 4))
        for number, (connection, items) in enumerate(zip(loader_connections, traffic, strict=True))
    ]
    summariser = start(partial(summarise, connect("mailwake_migrator")))
    query = connect("mailwake_query")
    query.set_session(isolation_level=ISOLATION_LEVEL_REPEATABLE_READ)
    rounds = 0
    while any(thread.is_alive() for thread in loaders) and not failures:
        check_counts(query, QUESTIONS[1:2])
        query.rollback()
        rounds += 1
    over.set()
    for thread in (*loaders, summariser):
        thread.join()
    assert not failures
    assert rounds > 3
    check_counts(query)
    query.rollback()
    migrator = connect("mailwake_migrator")
    run(migrator)
    assert select(migrator, "SELECT count(*) FROM summaries WHERE NOT ready") == [(0,)]
    check_counts(query)


def test_a_load_that_began_before_is_waited_for(connect: Connect) -> None:
    """A loader that does not know yet that an hour is announced must end before that hour is counted."""
    loader, migrator = connect("mailwake_loader"), connect("mailwake_migrator")
    load_all(loader, [tell("m", "injection", 5 * DAY)])
    open_load = connect("mailwake_loader")
    with open_load.cursor() as cursor:
        cursor.execute("LOCK TABLE ONLY events IN ROW EXCLUSIVE MODE; SELECT max(hour) FROM summaries")
    thread = threading.Thread(target=run, args=(migrator,))
    thread.start()
    thread.join(0.5)
    query = open_query(connect)
    assert thread.is_alive()
    assert select(query, "SELECT count(*) FROM summaries WHERE ready") == [(0,)]
    assert select(query, "SELECT count(*) > 100 FROM summaries") == [(True,)]
    open_load.rollback()
    thread.join()
    assert select(query, "SELECT count(*) FROM summaries WHERE NOT ready") == [(0,)]


def test_one_summariser_at_a_time(connect: Connect) -> None:
    """Another run that is at work is left alone."""
    load_all(connect("mailwake_loader"), [tell("m", "injection", DAY)])
    other, migrator = connect("mailwake_migrator"), connect("mailwake_migrator")
    with other, other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(hashtext('summaries'))")
    assert run(migrator) == 0
    with other, other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock(hashtext('summaries'))")
    assert run(migrator) > 0


def test_a_run_without_time_leaves_the_rest_to_the_next(connect: Connect) -> None:
    """Days that it counted stay; the answers are right meanwhile."""
    load_all(connect("mailwake_loader"), make_traffic(random.Random(2), 20, 5 * DAY, HOUR))
    migrator, query = connect("mailwake_migrator"), open_query(connect)
    turns = iter([True, True, False])
    assert not summarise_hours(migrator, NOW, lambda: next(turns)).finished
    check_counts(query)
    assert run(migrator) > 0
    check_counts(query)


def test_hours_are_left_alone_until_they_are_quiet() -> None:
    """The last hour that is counted ended two hours ago at least, and one more for what comes out of order."""
    assert find_end(datetime(2026, 11, 21, 12, 59, tzinfo=UTC)) == datetime(2026, 11, 21, 9, tzinfo=UTC)


FILTERED = [
    ({"campaigns": "autumn"}, 2),
    ({"campaigns": "mn"}, 0),
    ({"campaign_ids": "autumn sale,x"}, 2),
    ({"templates": "one"}, 1),
    ({"template_ids": "two"}, 2),
    ({"recipient_domains": "mail"}, 1),
    ({"recipient_domains": "com", "campaigns": "sale"}, 1),
    ({"providers": "sparkpost"}, 3),
    ({"providers": "mailgun"}, 0),
]


@pytest.mark.parametrize(("given", "expected"), FILTERED)
def test_filters(connect: Connect, given: dict[str, str], expected: int) -> None:
    """Filters find the same of hours that are counted and of hours that are not."""
    load_all(
        connect("mailwake_loader"),
        [
            tell("a", "injection", 2 * DAY, campaign_id="autumn sale", template_id="one", rcpt_to="a@example.com"),
            tell("b", "injection", 3 * DAY, campaign_id="autumn sale", template_id="two", rcpt_to="a@mail.example.org"),
            tell("c", "injection", 4 * DAY, campaign_id="winter", template_id="two", rcpt_to="a@example.com"),
        ],
    )
    query = open_query(connect)
    assert ask(query, **given)["total"]["accepted"] == expected
    run(connect("mailwake_migrator"))
    assert ask(query, **given)["total"]["accepted"] == expected


def test_order_and_limit(connect: Connect) -> None:
    """The groups that are shown are the first in the order; the total is that of all."""
    items = [tell(f"m{n}", "injection", DAY + n, campaign_id=name) for n, name in enumerate("aaabbc")]
    load_all(connect("mailwake_loader"), items)
    query = open_query(connect)

    def names(**given: str) -> list[str]:
        return [result["campaign"] for result in ask(query, group_by="campaign", **given)["results"]]

    assert names() == ["a", "b", "c"]
    assert names(order="accepted") == ["c", "b", "a"]
    assert names(order="-campaign", limit="2") == ["c", "b"]
    answer = ask(query, group_by="campaign", limit="1")
    assert (len(answer["results"]), answer["total_count"], answer["total"]["accepted"]) == (1, 3, 6)


def test_groups_that_no_answer_holds_are_left_out(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first in the order stay, and how many there are is told; CSV, which is shorter, has all."""
    items = [tell(f"m{n}", "injection", DAY + n, campaign_id=f"campaign {n}") for n in range(60)]
    load_all(connect("mailwake_loader"), items)
    query = open_query(connect)
    monkeypatch.setattr(metrics, "fit", lambda results: sizes.fit(results, 30_000))
    answer = ask(query, group_by="campaign", order="campaign")
    names = [result["campaign"] for result in answer["results"]]
    assert 20 < len(names) < 60
    assert names == sorted(f"campaign {n}" for n in range(60))[: len(names)]
    assert (answer["total_count"], answer["total"]["accepted"]) == (60, 60)
    given = {"group_by": "campaign", "format": "csv"}
    whole: Any = ROUTE.answer(Request(lambda: query, NOW, REP, metrics.PATH, {}, given))
    assert whole.body.count(b"\r\n") == 61


def test_names_with_commas_are_found_by_another_delimiter(connect: Connect) -> None:
    """It separates the values of filters; groups have their comma."""
    names = ["Autumn, red", "Autumn", "red", "green, blue"]
    load_all(connect("mailwake_loader"), [tell(f"m{n}", "injection", DAY, campaign_id=n) for n in names])
    given = {"delimiter": "\x1f", "campaign_ids": "Autumn, red\x1fgreen, blue", "group_by": "campaign,day"}
    found = ask(open_query(connect), **given)["results"]
    assert {result["campaign"] for result in found} == {"Autumn, red", "green, blue"}


REFUSED = [
    {"group_by": "day,hour"},
    {"group_by": "subject"},
    {"order": "campaign"},
    {"order": "subject"},
    {"timezone": "Mars/Olympus"},
    {"limit": "0"},
    {"format": "xml"},
    {"recipients": "ada@example.com"},
]


@pytest.mark.parametrize("given", REFUSED, ids=str)
def test_what_cannot_be_answered_is_refused(connect: Connect, given: dict[str, str]) -> None:
    """400 with the parameter's name."""
    with pytest.raises(ApiError, match="Invalid parameters") as caught:
        ask(open_query(connect), **given)
    assert next(iter(given)) in caught.value.description


def test_csv(connect: Connect) -> None:
    """As CSV, by `format` or by the header; what looks like a formula is text."""
    load_all(connect("mailwake_loader"), [tell("m", "injection", DAY, campaign_id='=cmd|"x",y')])
    query = open_query(connect)
    given = {"group_by": "campaign", "format": "csv"}
    answer: Any = ROUTE.answer(Request(lambda: query, NOW, REP, metrics.PATH, {}, given))
    heading, line, end = answer.body.decode().split("\r\n")
    assert (heading.split(",")[:3], line.split(",1,")[0], end) == (
        ["campaign", "accepted", "delivered"],
        '"\'=cmd|""x"",y"',
        "",
    )
    given.pop("format")
    by_header = Request(lambda: query, NOW, REP, metrics.PATH, {}, given, {"accept": "text/csv"})
    assert ROUTE.answer(by_header) == answer


def test_addresses_in_names_are_masked(connect: Connect) -> None:
    """Without pii:read, as JSON and as CSV: some name a campaign after whom it is for."""
    load_all(connect("mailwake_loader"), [tell("m", "injection", DAY, campaign_id="for ada@example.com")])
    query = open_query(connect)
    given = {"group_by": "campaign"}
    (shown,) = make_request(query, ROUTE, given)["results"]
    assert shown["campaign"] == "for ada@example.com"
    (shown,) = make_request(query, ROUTE, given, GUEST)["results"]
    assert shown["campaign"] == "for a***@example.com"
    answer: Any = ROUTE.answer(Request(lambda: query, NOW, GUEST, metrics.PATH, {}, given | {"format": "csv"}))
    assert b"for a***@example.com,1," in answer.body
