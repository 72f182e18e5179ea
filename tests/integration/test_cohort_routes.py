"""What the API tells of cohorts: who is in, who was, since when, and why."""

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from psycopg2.extensions import connection as Connection

from cohort_evaluator import statements
from cohort_evaluator.evaluation import evaluate_cohorts
from cohort_evaluator.store import delete_cohort
from common.clock import format_instant
from common.errors import ApiError
from query_events import cohort_history, cohort_members, cohorts, originals
from query_events.cohorts import list_days
from query_events.routing import Route
from query_events.values import Reading, read_zone
from tests.integration.conftest import NOW, Connect
from tests.integration.lookups import BLIND, ask, walk
from tests.integration.test_cohorts import CALL, World
from tests.integration.test_loading import select

LIST, ONE = cohorts.ROUTES
MEMBERS, TRANSITIONS = cohort_members.ROUTES
OF_USER, OF_COMPANY = cohort_history.ROUTES
(ORIGINAL,) = originals.ROUTES
ALL = (LIST, ONE, MEMBERS, TRANSITIONS, OF_USER, OF_COMPANY)
ADDRESS = "ada@example.com"
MAIL = {"event": "mail", "where": {"type": "delivered"}}
CALLED = {"did": CALL, "count": {">=": 1}, "window": {"last": "10 minutes"}}
MAILED = {"did": MAIL, "count": {">=": 1}, "window": {"last": "10 minutes"}}


@pytest.fixture
def world(connect: Connect) -> World:
    """An empty one."""
    return World(connect)


@pytest.fixture
def query(connect: Connect) -> Connection:
    """A connection as the query function has it."""
    connection = connect("mailwake_query")
    connection.autocommit = True
    return connection


def at(age: float) -> str:
    """The instant so many seconds before NOW, as the API takes and gives it."""
    return format_instant(NOW - timedelta(seconds=age))


def name(entry: dict[str, Any]) -> str:
    """The first name of an entry's subject."""
    return str(entry["identities"][0]["value"])


def read_members(query: Connection, **given: str) -> list[str]:
    """Who the members are, over all pages."""
    return [name(entry) for page in walk(query, MEMBERS, "one", **given) for entry in page["results"]]


def test_members_at_an_instant_and_why(world: World, query: Connection) -> None:
    """From the first instant on and until before the last, with the events; a mail's key leads to the mail."""
    world.save({"any": [CALLED, MAILED]})
    world.tick(4000)
    world.mail(ADDRESS, 3000)
    world.call("bob", 2900)
    world.tick(2800)
    bob, ada = ask(query, MEMBERS, "one")["results"]
    assert [name(bob), name(ada)] == ["bob", ADDRESS]
    assert (ada["entered_at"], ada["exited_at"], ada["why_exited"]) == (at(3000), None, None)
    assert ada["identities"] == [{"type": "address", "value": ADDRESS}]
    called, mailed = ada["why"]["conditions"]
    assert (called["place"], called["holds"], called["events"]) == ("members.any[0]", False, [])
    assert (mailed["place"], mailed["holds"]) == ("members.any[1]", True)
    (event,) = mailed["events"]
    assert (event["kind"], event["occurred_at"]) == ("mail", at(3000))
    assert ask(query, ORIGINAL, event["event_key"])["results"]["event"]["rcpt_to"] == ADDRESS
    (event,) = bob["why"]["conditions"][0]["events"]
    assert event["kind"] == "call"
    keys = select(world.evaluator, "SELECT activity_key::text FROM activities")
    assert keys == [(event["event_key"],)]
    world.tick(1000)
    assert ask(query, MEMBERS, "one")["results"] == []
    for age, expected in ((3001, []), (3000, [ADDRESS]), (2900, ["bob", ADDRESS]), (2401, ["bob", ADDRESS])):
        assert read_members(query, at=at(age)) == expected
    assert read_members(query, at=at(2400)) == ["bob"]
    (bob,) = ask(query, MEMBERS, "one", at=at(2400))["results"]
    assert bob["exited_at"] == at(2300)
    assert [found["holds"] for found in bob["why_exited"]["conditions"]] == [False, False]


def test_pages_stay_while_members_change(world: World, query: Connection) -> None:
    """Links keep to the instant of the first page: who was there comes once, whoever enters and leaves meanwhile."""
    world.save({"did": CALL, "count": {">=": 1}, "window": {"last": "1 hour"}})
    world.tick(4000)
    for number in range(7):
        world.call(f"user {number}", 3500 - number)
    world.tick(60)
    page = ask(query, MEMBERS, "one", per_page="2")
    seen = [name(entry) for entry in page["results"]]
    age = 50
    while link := page["links"].get("next"):
        given = dict(parse_qsl(urlsplit(link).query))
        assert given["at"] == NOW.isoformat()
        world.call(f"late {age}", age)
        world.tick(age - 5)
        page = ask(query, MEMBERS, "one", **given)
        seen += [name(entry) for entry in page["results"]]
        age -= 10
    assert [one for one in seen if one.startswith("user")] == [f"user {number}" for number in reversed(range(7))]
    assert len(seen) == len(set(seen))


def check_causes(query: Connection, entries: list[dict[str, Any]]) -> None:
    """Fails unless memberships have the causes of their own transitions."""
    changes = [entry for page in walk(query, TRANSITIONS, "one", per_page="200") for entry in page["results"]]
    causes = {(name(entry), entry["kind"], entry["at"]): entry["cause"] for entry in changes}
    for entry in entries:
        assert entry["why"] == causes[name(entry), "entered", entry["entered_at"]]
        assert entry["why_exited"] == causes.get((name(entry), "exited", entry["exited_at"]))


@pytest.mark.parametrize("seed", range(3))
def test_answers_agree_with_each_other(world: World, query: Connection, seed: int) -> None:
    """Members at every instant, transitions, days and each one's history are those of the same memberships."""
    random = Random(seed)
    world.save({"did": CALL, "count": {">=": 2}, "window": {"last": f"{random.randint(200, 500)} minutes"}})
    world.tick(200_001)
    ages = sorted((random.randint(100, 200_000) for _ in range(60)), reverse=True)
    for number, age in enumerate(ages):
        world.call(f"user {random.randint(0, 4)}", max(age - random.choice((0, 0, 3000)), 90))
        if number % 7 == 0:
            world.tick(max(age - 3000, 80))
    world.tick(10)
    known = world.read()
    assert len(known) > 10
    limits = sorted({limit for _, *both in known for limit in both if limit is not None})
    for limit in [*limits, *(limit + 1 for limit in limits)]:
        there = [one for one, begin, end in known if begin >= limit and (end is None or end < limit)]
        members = [
            entry for page in walk(query, MEMBERS, "one", at=at(limit), per_page="3") for entry in page["results"]
        ]
        assert sorted(name(entry) for entry in members) == sorted(there), limit
        check_causes(query, members)
    changes = [entry for page in walk(query, TRANSITIONS, "one", per_page="7") for entry in page["results"]]
    told = [(name(entry), entry["kind"], entry["at"]) for entry in changes]
    expected = [(one, "entered", at(begin)) for one, begin, _ in known]
    expected += [(one, "exited", at(end)) for one, _, end in known if end is not None]
    assert sorted(told) == sorted(expected)
    assert all(later["at"] >= earlier["at"] for later, earlier in pairwise(changes))
    for one in {one for one, *_ in known}:
        history = [entry for page in walk(query, OF_USER, one, per_page="2") for entry in page["results"]]
        found = [(entry["entered_at"], entry["exited_at"]) for entry in history]
        mine = [(at(begin), None if end is None else at(end)) for who, begin, end in known if who == one]
        assert found == sorted(mine, reverse=True)
        check_causes(query, [{"identities": [{"value": one}], **entry} for entry in history])
    answer = ask(query, ONE, "one", days="2", timezone="Asia/Kathmandu")
    zone = read_zone("timezone", "Asia/Kathmandu", Reading())
    begins = [begin.astimezone(UTC) for begin in list_days(NOW, 2, zone)]
    for day, begin, end in zip(answer["results"]["days"], begins, [*begins[1:], NOW], strict=True):
        first, last = (NOW - begin).total_seconds(), (NOW - end).total_seconds()
        assert day["day"] == begin.astimezone(zone).date().isoformat()
        assert day["entered"] == sum(1 for _, begin, _ in known if last < begin <= first)
        assert day["exited"] == sum(1 for *_, end in known if end is not None and last < end <= first)
        assert day["size"] == sum(1 for _, begin, end in known if begin > last and (end is None or end <= last))
    assert answer["results"]["size"] == answer["results"]["days"][-1]["size"]


def test_days_are_the_zones() -> None:
    """Also where midnight is left out, as in Beirut, or comes twice, as in Havana."""
    beirut, havana = (read_zone("timezone", zone, Reading()) for zone in ("Asia/Beirut", "America/Havana"))
    days = list_days(datetime(2026, 3, 30, 12, tzinfo=UTC), 3, beirut)
    assert [begin.astimezone(UTC).isoformat()[:16] for begin in days] == [
        "2026-03-27T22:00", "2026-03-28T22:00", "2026-03-29T21:00",
    ]  # fmt: skip
    days = list_days(datetime(2026, 11, 2, 12, tzinfo=UTC), 2, havana)
    assert [begin.astimezone(UTC).isoformat()[:16] for begin in days] == ["2026-11-01T04:00", "2026-11-02T05:00"]


def test_list_tells_how_each_stands(world: World, query: Connection) -> None:
    """Waiting for its first evaluation, in force, changed, failed and deleted; page by page, by name."""
    world.save(CALLED, "b-in-force")
    world.save(CALLED, "c-changed", "company")
    world.save(CALLED, "e-deleted")
    world.tick(4000)
    world.call("ada", 3000)
    world.tick(2900)
    world.save(MAILED, "c-changed", "company")
    world.save(CALLED, "a-waiting")
    world.save({"cohort": "f-circle"}, "d-circle")
    world.save({"cohort": "d-circle"}, "f-circle")
    delete_cohort(world.evaluator, "e-deleted", NOW)
    pages = walk(query, LIST, per_page="4")
    found = {entry["name"]: entry for page in pages for entry in page["results"]}
    assert [len(page["results"]) for page in pages] == [4, 2]
    assert list(found) == ["a-waiting", "b-in-force", "c-changed", "d-circle", "e-deleted", "f-circle"]
    assert found["b-in-force"] == {
        "name": "b-in-force", "title": "One", "subject": "user", "version": 1, "wanted_version": 1,
        "switched_on_at": at(4000), "evaluated_at": at(2900), "error": None, "failed_at": None, "deleted_at": None,
        "size": 1,
    }  # fmt: skip
    waiting = found["a-waiting"]
    assert (waiting["version"], waiting["wanted_version"], waiting["switched_on_at"]) == (None, 1, None)
    changed = found["c-changed"]
    assert (changed["version"], changed["wanted_version"], changed["switched_on_at"]) == (1, 2, at(4000))
    assert found["e-deleted"]["deleted_at"] == at(0)
    evaluate_cohorts(world.evaluator, NOW - timedelta(seconds=2000))
    found = {entry["name"]: entry for entry in ask(query, LIST)["results"]}
    assert found["d-circle"]["error"].startswith("cohorts ask for each other: ")
    assert found["d-circle"]["failed_at"] == at(2000)
    assert found["c-changed"]["switched_on_at"] == at(2000)
    assert found["e-deleted"]["size"] == 0
    (gone, came) = ask(query, TRANSITIONS, "e-deleted")["results"]
    assert gone["cause"] == {"reason": "deleted", "conditions": []}
    assert (came["kind"], came["told_at"]) == ("entered", at(2900))


def test_one_has_its_definition_and_versions(world: World, query: Connection) -> None:
    """That in force, or the one that is asked for; all versions with who made them."""
    world.save(CALLED)
    world.tick(4000)
    world.save(MAILED)
    found = ask(query, ONE, "one")["results"]
    assert (found["definition"]["members"], found["definition_version"]) == (CALLED, 1)
    assert found["versions"] == [
        {"version": 2, "created_at": at(0), "created_by": "test", "switched_on_at": None},
        {"version": 1, "created_at": at(0), "created_by": "test", "switched_on_at": at(4000)},
    ]
    assert len(found["days"]) == 30
    assert ask(query, ONE, "one", version="2")["results"]["definition"]["members"] == MAILED
    world.call("ada", 3000)
    world.tick(2950)
    assert ask(query, ONE, "one")["results"]["definition"]["members"] == MAILED


def test_transitions_are_narrowed(world: World, query: Connection) -> None:
    """By kind and by when they happened, `to` exclusive; each with when it was told, the newest first."""
    world.save(CALLED)
    world.tick(4000)
    world.call("ada", 3000)
    world.tick(1000)
    entered, exited = (3000, "entered"), (2400, "exited")
    for given, expected in (
        ({}, [exited, entered]),
        ({"kind": "entered"}, [entered]),
        ({"from": at(2400)}, [exited]),
        ({"to": at(2400)}, [entered]),
        ({"from": at(2999), "to": at(2400)}, []),
    ):
        found = ask(query, TRANSITIONS, "one", **given)["results"]
        assert [(entry["at"], entry["kind"]) for entry in found] == [(at(age), kind) for age, kind in expected]
        assert {(entry["told_at"], entry["version"]) for entry in found} <= {(at(1000), 1)}


def test_history_is_found_by_every_name(world: World, query: Connection) -> None:
    """By user id, anonymous id and address in any case; with what was told of who became part of her."""
    world.save(CALLED)
    world.save(MAILED, "mailed")
    world.tick(5000)
    world.mail(ADDRESS, 4500)
    world.tick(4400)
    world.identify("identify", 4300, userId="ada", anonymousId="a1", traits={"email": ADDRESS})
    world.tick(4200)
    world.call("ada", 4000)
    world.tick(1000)
    answers = [ask(query, OF_USER, who) for who in ("ada", "a1", " ADA@example.com ")]
    assert answers[0]["results"] == answers[1]["results"] == answers[2]["results"]
    first, *rest = answers[0]["results"]
    assert (first["cohort"], first["title"], first["entered_at"], first["exited_at"]) == (
        "one", "One", at(4000), at(3400),
    )  # fmt: skip
    assert first["why"]["conditions"][0]["events"][0]["kind"] == "call"
    assert {entry["cohort"] for entry in rest} == {"mailed"}
    assert min(entry["entered_at"] for entry in rest) == at(4500)
    for age, expected in ((4001, ["mailed"]), (4000, ["one", "mailed"]), (3500, ["one"]), (3400, [])):
        assert [entry["cohort"] for entry in ask(query, OF_USER, "ada", at=at(age))["results"]] == expected
    with pytest.raises(ApiError) as raised:
        ask(query, OF_USER, "ada", type="address")
    assert raised.value.status == 404
    (member,) = ask(query, MEMBERS, "one", at=at(3500))["results"]
    assert [one["type"] for one in member["identities"]] == ["user", "anonymous", "address"]


def test_who_becomes_part_of_another_leaves_with_that_reason(world: World, query: Connection) -> None:
    """What was told of her is in the other's history, and says so."""
    world.save(CALLED)
    world.tick(5000)
    world.call("ada", 4500)
    world.call("lovelace", 4490)
    world.tick(4400)
    world.identify("alias", 4300, userId="ada", previousId="lovelace")
    world.tick(4200)
    history = ask(query, OF_USER, "lovelace")["results"]
    assert len(history) == 2
    (left,) = [entry for entry in history if entry["why_exited"]]
    assert left["why_exited"] == {"reason": "became_part_of_another", "conditions": []}
    assert history == ask(query, OF_USER, "ada")["results"]


def test_company_has_a_history(world: World, query: Connection) -> None:
    """By its id; a user of the same name is somebody else."""
    world.save(CALLED, subject="company")
    world.call("acme", 5000)
    world.tick(4000)
    world.call("ada", 3000, company_id="acme")
    world.tick(2900)
    (found,) = ask(query, OF_COMPANY, "acme")["results"]
    assert (found["cohort"], found["entered_at"], found["exited_at"]) == ("one", at(3000), None)
    assert ask(query, OF_USER, "acme")["results"] == []
    (member,) = ask(query, MEMBERS, "one")["results"]
    assert member["identities"] == [{"type": "company", "value": "acme"}]
    with pytest.raises(ApiError) as raised:
        ask(query, OF_COMPANY, "ada")
    assert raised.value.status == 404


def test_switching_on_is_a_reason(world: World, query: Connection) -> None:
    """Of those who were members from the beginning."""
    world.call("ada", 4100)
    world.save(CALLED)
    world.tick(4000)
    (member,) = ask(query, MEMBERS, "one")["results"]
    assert (member["entered_at"], member["why"]) == (at(4000), {"reason": "switched_on", "conditions": []})


def test_addresses_are_masked(world: World, query: Connection) -> None:
    """Without pii:read no answer has one: not of a subject, a user's id that looks like one, or a definition."""
    members = {"any": [MAILED, CALLED, {"trait": "email", "is": "carl@example.com"}]}
    world.save(members)
    world.tick(4000)
    world.mail(ADDRESS, 3000)
    world.mail("nobody", 3000)
    world.call("bob@example.com", 3000)
    world.tick(2900)
    world.tick(100)
    asked = [(ONE, "one", {}), (MEMBERS, "one", {"at": at(2900)}), (TRANSITIONS, "one", {}), (OF_USER, ADDRESS, {})]
    text = "".join(json.dumps(ask(query, route, value, **given)) for route, value, given in asked)
    masked = "".join(json.dumps(ask(query, route, value, BLIND, **given)) for route, value, given in asked[:-1])
    masked += json.dumps(ask(query, OF_USER, ADDRESS, BLIND)["results"])
    for address in (ADDRESS, "bob@example.com", "carl@example.com", "nobody"):
        assert address in text
        assert address not in masked
    assert "a***@example.com" in masked


def test_many_names_are_bounded(world: World, query: Connection) -> None:
    """Ten are shown, the user's id first, and all are counted."""
    world.save(CALLED)
    world.tick(4000)
    for number in range(15):
        world.identify("identify", 3500 - number, userId="ada", anonymousId=f"a{number:02}")
    world.call("ada", 3000)
    world.tick(2900)
    (member,) = ask(query, MEMBERS, "one")["results"]
    assert member["identity_count"] == 16
    assert [one["value"] for one in member["identities"]] == ["ada", *(f"a{number:02}" for number in range(9))]


def test_error_holds_nothing_of_anybody(world: World, query: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database's own words may: of its errors only the kind is told."""
    world.save(CALLED)
    world.tick(4000)
    monkeypatch.setattr(statements, "FIND_CANDIDATES", f"SELECT '{ADDRESS}'::int")
    evaluate_cohorts(world.evaluator, NOW - timedelta(seconds=3000))
    (found,) = ask(query, LIST)["results"]
    assert found["error"] == "the database failed: InvalidTextRepresentation (22P02)"
    monkeypatch.setattr(statements, "FIND_CANDIDATES", "SET LOCAL statement_timeout = 1; SELECT pg_sleep(1)")
    evaluate_cohorts(world.evaluator, NOW - timedelta(seconds=2000))
    (found,) = ask(query, LIST)["results"]
    assert (found["error"], found["failed_at"]) == ("it took longer than 120 seconds", at(2000))
    assert found["evaluated_at"] == at(4000)


WRONG = (
    *({"colour": "red"}, {"cursor": "x"}, {"cursor": "AAAAAAAA"}, {"per_page": "0"}, {"per_page": "100000"}),
    *({"at": "now"}, {"from": "1"}, {"to": "9999-12-31T00:00:00Z"}, {"kind": "left"}, {"days": "367"}, {"days": "-1"}),
    *({"timezone": "Mars"}, {"version": "x"}, {"type": "company"}),
)
VALUES = ("", "one", "one", "one", "ada", "acme")


@pytest.mark.parametrize(
    ("route", "value"), [*zip(ALL, VALUES, strict=True)], ids=lambda each: getattr(each, "path", "")
)
def test_wrong_parameters_are_refused(world: World, query: Connection, route: Route, value: str) -> None:
    """Each is a 400 that names the parameter: those that a route takes, and those that it lacks."""
    world.save(CALLED)
    world.call("ada", 3000, company_id="acme")
    world.tick(2000)
    ask(query, route, value)
    for given in WRONG:
        with pytest.raises(ApiError) as raised:
            ask(query, route, value, **given)
        assert raised.value.status == 400
        assert next(iter(given)) in raised.value.description


@pytest.mark.parametrize("value", ["nobody", "%", "'; DROP TABLE cohorts; --", "ONE", "x" * 3000])
def test_unknown_ones_are_not_found(world: World, query: Connection, value: str) -> None:
    """Neither a cohort, nor a person, nor a company, nor a version."""
    world.save(CALLED)
    for route in ALL[1:]:
        with pytest.raises(ApiError) as raised:
            ask(query, route, value)
        assert raised.value.status == 404
    with pytest.raises(ApiError) as raised:
        ask(query, ONE, "one", version="2")
    assert raised.value.status == 404
