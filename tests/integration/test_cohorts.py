"""Cohorts over a real database: who is in at which instant, whatever comes when."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cohort_evaluator import evaluation, notifying, statements, told
from cohort_evaluator.definitions import read_cohort
from cohort_evaluator.evaluation import Ticked, evaluate_cohorts
from cohort_evaluator.rehearsal import rehearse
from cohort_evaluator.store import save_cohort, save_notification
from s3_loader.loading import Loader
from tests.integration.batches import LIMITS, make_event
from tests.integration.batches import make_batch as make_mail_batch
from tests.integration.conftest import NOW, Connect
from tests.integration.test_behaviour import load, make_batch
from tests.integration.test_loading import select

MINUTE = timedelta(minutes=1)


class World:
    """What has come in, and the ticks."""

    def __init__(self, connect: Connect) -> None:
        self.loader = connect("mailwake_loader")
        self.evaluator = connect("mailwake_evaluator")
        self.number = 0

    def call(self, user: str, age: float, **fields: Any) -> None:
        """An API call so many seconds before NOW."""
        at = (NOW - timedelta(seconds=age)).isoformat()
        self.number += 1
        request = {"time": at, "uri": "https://api.example.com/orders", "verb": "GET", "headers": {}}
        response = {"time": at, "status": fields.pop("status", 200), "headers": {}}
        item = {
            "request": request,
            "response": response,
            "user_id": user,
            "transaction_id": f"t{self.number}",
            **fields,
        }
        load(self.loader, make_batch("moesif", "events", [item], f"raw/moesif/{self.number}"))

    def mail(self, recipient: str, age: float, **fields: Any) -> None:
        """A mail's event."""
        self.number += 1
        batch = make_mail_batch(
            [make_event(f"e{self.number}", age=age, rcpt_to=recipient, **fields)], f"m{self.number}"
        )
        Loader().load(self.loader, batch, LIMITS)

    def identify(self, path: str, age: float, **fields: Any) -> None:
        """A message of Segment's."""
        self.number += 1
        item = {"timestamp": (NOW - timedelta(seconds=age)).isoformat(), "messageId": f"s{self.number}", **fields}
        load(self.loader, make_batch("segment", path, item, f"raw/segment/{self.number}"))

    def save(self, members: Any, name: str = "one", subject: str = "user") -> None:
        """Saves a definition."""
        definition = {"name": name, "title": "One", "subject": subject, "members": members}
        save_cohort(self.evaluator, definition, NOW, "test")

    def tick(self, age: float) -> Ticked:
        """A tick so many seconds before NOW, without a fault."""
        ticked = evaluate_cohorts(self.evaluator, NOW - timedelta(seconds=age))
        assert select(self.evaluator, "SELECT name, error FROM cohorts WHERE error IS NOT NULL") == []
        return ticked

    def read(self, name: str = "one") -> list[tuple[str, float, float | None]]:
        """Who is or was in a cohort: value, and how many seconds before NOW it began and ended."""
        rows = select(
            self.evaluator,
            "SELECT i.value, m.entered_at, m.exited_at FROM memberships m JOIN identities i ON i.identity_id = "
            f"m.subject_id JOIN cohorts c USING (cohort_id) WHERE c.name = '{name}' ORDER BY 1, 2, 3",
        )
        return [(value, tell(begin), None if end is None else tell(end)) for value, begin, end in rows]


def tell(at: datetime) -> float:
    """Seconds before NOW."""
    return (NOW - at.astimezone(UTC)).total_seconds()


@pytest.fixture
def world(connect: Connect) -> World:
    """An empty one."""
    return World(connect)


CALL = {"event": "call"}


def test_membership_begins_and_ends_at_its_instants(world: World) -> None:
    """A window slides past an event between two ticks: the instants are the definition's, not the ticks'."""
    world.save({"did": CALL, "count": {">=": 2}, "window": {"last": "10 minutes"}})
    world.tick(4000)
    world.call("ada", 3000)
    world.call("ada", 2900)
    world.tick(2800)
    assert world.read() == [("ada", 2900, None)]
    world.tick(2700)
    assert world.read() == [("ada", 2900, None)]
    world.tick(1000)
    assert world.read() == [("ada", 2900, 2400)]
    causes = select(world.evaluator, "SELECT kind, cause FROM transitions ORDER BY transition_id")
    assert [kind for kind, _ in causes] == ["entered", "exited"]
    assert [len(cause["members"]["events"]) for _, cause in causes] == [2, 1]


def test_brief_membership_between_ticks_is_told(world: World) -> None:
    """Entered and left between two ticks."""
    world.save({"did": CALL, "count": {">=": 1}, "window": {"last": "30 seconds"}})
    world.tick(4000)
    world.call("ada", 3000)
    world.call("ada", 2000)
    world.tick(1000)
    assert world.read() == [("ada", 3000, 2970), ("ada", 2000, 1970)]


def test_only_those_whom_something_new_concerns_are_judged(world: World) -> None:
    """An event that matches nothing, one more of a member's, and the write of a trait that is not asked for."""
    failed = {"event": "call", "where": {"status": {"at_least": 400}}}
    world.save({"did": failed, "count": {">=": 1}, "window": {"ever": True}}, "failed")
    world.save({"not": {"did": failed, "count": {">=": 2}, "window": {"ever": True}}}, "fine")
    world.save({"trait": "metadata.plan", "is_one_of": ["pro", "team"]}, "paying")
    world.call("ada", 3000)
    assert world.tick(2900).judged == 3
    world.call("ada", 2800)
    world.identify("identify", 2800, userId="ada", traits={"name": "Ada"})
    assert world.tick(2700).judged == 0
    world.call("ada", 2600, status=500)
    assert world.tick(2500).judged == 2
    world.call("ada", 2400, status=500)
    assert world.tick(2300).judged == 1
    world.call("ada", 2200, status=500)
    world.identify("identify", 2200, userId="ada", traits={"plan": "pro"})
    assert world.tick(2100).judged == 1
    assert world.read("failed") == [("ada", 2600, None)]
    assert world.read("fine") == [("ada", 2900, 2400)]
    assert world.read("paying") == [("ada", 2200, None)]


def test_new_version_of_an_inner_cohort_moves_the_outer_one(world: World) -> None:
    """Nobody was touched and nothing is due, yet the outer cohort sees what its candidates did."""
    world.save({"share": 0}, "inner")
    outer = {"all": [{"cohort": "inner"}, {"did": CALL, "count": {">=": 1}, "window": {"last": "2 hours"}}]}
    world.save(outer, "outer")
    world.call("ada", 3000)
    world.tick(2800)
    assert world.read("outer") == []
    world.save({"share": 1}, "inner")
    world.tick(2700)
    assert world.read("outer") == [("ada", 2700, None)]


def test_old_events_count_where_windows_reach_that_far(world: World) -> None:
    """What is older than what a tick reads of everybody is read of those for whom it matters."""
    day = 86400
    world.call("ada", 300 * day)
    world.call("ada", 10 * day)
    world.call("bob", 20 * day)
    ever = {"ever": True}
    definitions: dict[str, Any] = {
        "ever": {"did": CALL, "count": {">=": 2}, "window": ever},
        "once": {"did": {"event": "call", "where": {"status": 500}}, "count": {">=": 1}, "window": ever},
        "first": {"did_first": CALL, "window": {"last": "30 days"}},
        "last": {"last": {"event": "call", "where": {"route": "/orders"}}, "has": {"status": 500}, "window": ever},
        "came-back": {"restarted": CALL, "within": "30 days", "after_pause_of": "60 days"},
        "silent": {"did_not": CALL, "window": {"last": "200 days"}, "not_observed_that_long": False},
        "new": {
            "did_not": {"event": "call", "where": {"status": 500}},
            "window": {"days": 30, "zone": "UTC", "current": "included"},
            "not_observed_that_long": False,
        },
    }
    world.call("cat", 360 * day, status=500)
    for name, members in definitions.items():
        world.save({"all": [members, {"trait": "metadata.go", "exists": False}]}, name)
    for user in ("ada", "bob", "cat"):
        world.identify("identify", 500 * day, userId=user, traits={"go": True})
    world.tick(100)
    for user in ("ada", "bob", "cat"):
        world.identify("identify", 90, userId=user, traits={"go": None})
    world.tick(80)
    found = {name: [user for user, _, _ in world.read(name)] for name in definitions}
    assert found == {
        "ever": ["ada"],
        "once": ["cat"],
        "first": ["bob"],
        "last": ["cat"],
        "came-back": ["ada"],
        "silent": ["cat"],
        "new": ["ada", "cat"],
    }


def test_every_condition_runs(world: World) -> None:
    """Each compiles to SQL that Postgres takes, for users and companies, over mails and calls."""
    mail = {
        "event": "mail",
        "where": {
            "type": "delivered",
            "campaign": {"contains_ignoring_case": "A"},
            "metadata.a.b": {"at_least": 3},
            "tags": {"includes": "x"},
            "machine_open": False,
            "from_address": {"ends_with": "b"},
            "user_agent": {"exists": False},
            "recipient_domain": {"is_one_of": ["a", "b"]},
            "subject": {"starts_with": "x"},
        },
    }
    call = {
        "event": "call",
        "where": {
            "status": {"at_least": 400, "less_than": 500},
            "route": "/orders",
            "properties.n": {"includes": 5},
            "user_agent": {"contains": "x"},
            "company": "acme",
            "duration": {"more_than": 5},
            "properties.x": 5,
        },
    }
    days = {"days": 3, "zone": "Europe/Berlin", "current": "included"}
    weeks = {"weeks": 3, "zone": "Europe/Berlin", "current": "excluded", "week_starts_on": "sunday"}
    conditions = [
        {"trait": "a.b", "is": 5}, {"trait": "a", "exists": True}, {"trait": "a", "within_last": "5 days"},
        {"trait": "a", "before": "2026-01-01T00:00:00Z"}, {"trait": "a", "within_next": "5 days"},
        {"did": mail, "count": {"=": 2}, "window": {"last": "5 days", "ending_ago": "2 days"}},
        {"did": call, "distinct": {"of": "route", ">": 2}, "window": weeks},
        {"did": call, "distinct": {"of": "properties.x", "!=": 2}, "window": weeks},
        {"did": call, "sum": {"of": "properties.price", ">=": 2.5}, "window": {"since": "2026-01-01T00:00:00Z"}},
        {"did": mail, "sum": {"of": "metadata.price", "<": 2.5}, "window": {"ever": True}},
        {"did_not": mail, "window": days, "not_observed_that_long": False},
        {"did_first": call, "window": days},
        {"did_then": [mail, call], "within": "2 days", "window": {"last": "30 days"}},
        {"did_in_periods": call, "at_least": 2, "window": {"months": 3, "zone": "UTC", "current": "included"}},
        {"last": call, "has": {"status": 200}, "window": {"ever": True}},
        {"stopped": mail, "did_within": "30 days", "not_within": "10 days"},
        {"restarted": call, "within": "5 days", "after_pause_of": "10 days"},
        {"share": 0.5}, {"cohort": "other"},
    ]  # fmt: skip
    world.save({"share": 1}, "other")
    world.call("ada", 3000, company_id="acme", metadata={"x": 5})
    world.mail("ada@example.com", 3000)
    for subject in ("user", "company"):
        world.save({"any": [{"not": {"all": conditions}}, *conditions]}, subject, subject)
    assert world.tick(2000).failed == 0
    world.call("ada", 1500, company_id="acme")
    world.mail("ada@example.com", 1500)
    assert world.tick(1000).failed == 0


def test_company_is_what_its_users_do_and_get(world: World) -> None:
    """Mails and calls of those whose newest `company_id` names it, but for calls that name another one. When a user
    goes to another company her history goes along.
    """
    twice = {">=": 2}
    window = {"last": "1 day"}
    bounced = {"did": {"event": "mail", "where": {"type": "bounced"}}, "count": {">=": 1}, "window": window}
    world.save(bounced, "bounced", "company")
    world.save({"did": {"event": "call"}, "count": twice, "window": window}, "calling", "company")
    world.tick(9000)
    world.identify("identify", 8000, type="identify", userId="ada", traits={"email": "ada@example.com"})
    world.identify("group", 8000, type="group", userId="ada", groupId="acme", traits={})
    world.mail("ada@example.com", 7000, type="bounce", bounce_class="10")
    world.call("ada", 6900)
    world.call("ada", 6800, company_id="other")
    world.tick(6000)
    assert world.read("bounced") == [("acme", 7000, None)]
    assert world.read("calling") == []
    cohort = read_cohort({"name": "tried", "title": "Tried", "subject": "company", "members": bounced})
    tried = rehearse(world.evaluator, cohort, NOW - timedelta(seconds=6000), 1, timedelta(seconds=60))
    assert tried["now"] == {"members": 0, "would_be_members": 1, "would_enter": 1, "would_leave": 0}
    world.evaluator.rollback()
    world.call("bob", 5900, company_id="acme")
    world.tick(5800)
    assert world.read("calling") == [("acme", 5900, None)]
    world.identify("group", 5000, type="group", userId="ada", groupId="globex", traits={})
    world.tick(4000)
    assert world.read("bounced") == [("acme", 7000, 7000), ("globex", 7000, None)]
    assert world.read("calling") == [("acme", 5900, 5900)]


def test_newest_call_decides(world: World) -> None:
    """Who begins with a failure is in until a call succeeds."""
    first = {"did_first": CALL, "window": {"last": "24 hours"}}
    last = {"last": CALL, "has": {"status": 400}, "window": {"last": "24 hours"}}
    world.save({"all": [first, last]})
    world.tick(4000)
    world.call("ada", 3000, status=400)
    world.tick(2990)
    assert world.read() == [("ada", 3000, None)]
    world.call("ada", 2980, status=200)
    world.tick(2970)
    assert world.read() == [("ada", 3000, 2980)]


def test_new_versions_are_switched_on_as_time_allows(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """One at least in a tick, the others in the next ones: a tick must end before its function does."""
    monkeypatch.setattr(evaluation, "SWITCHING", timedelta(seconds=-1))
    for name in ("one", "two"):
        world.save({"share": 1}, name)
    world.tick(4000)
    states = "SELECT name, version FROM cohorts ORDER BY name"
    assert select(world.evaluator, states) == [("one", 1), ("two", None)]
    world.call("ada", 3000)
    world.tick(2000)
    assert select(world.evaluator, states) == [("one", 1), ("two", 1)]
    assert world.read("two") == [("ada", 2000, None)]


def test_new_version_has_more_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It judges everybody; later ticks judge few, and hold the others up no longer than one statement may take."""
    monkeypatch.setattr(evaluation, "PATIENCE", timedelta(seconds=0.5))
    for name in ("FIND_EVERYBODY", "FIND_CANDIDATES"):
        monkeypatch.setattr(statements, name, f"SELECT pg_sleep(1); {getattr(statements, name)}")
    world.save({"did": CALL, "count": {">=": 1}, "window": {"last": "1 days"}})
    assert world.tick(4000).failed == 0
    assert evaluate_cohorts(world.evaluator, NOW - timedelta(seconds=3000)).failed == 1


def test_who_became_part_of_another_leaves_a_cohort_whose_turn_it_was_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new version that waits for the next tick misses nothing of this one."""
    for name in ("one", "two"):
        world.save({"did": CALL, "count": {">=": 1}, "window": {"ever": True}}, name)
    world.call("ada", 3000)
    world.call("bob", 2900)
    world.tick(2500)
    monkeypatch.setattr(evaluation, "SWITCHING", timedelta(seconds=-1))
    for name in ("one", "two"):
        world.save({"did": CALL, "count": {">=": 1}, "window": {"since": "2026-01-01T00:00:00Z"}}, name)
    world.identify("alias", 2000, userId="ada", previousId="bob")
    world.tick(1500)
    assert world.read("one") == [("ada", 2500, None), ("bob", 2500, 1500)]
    world.tick(1000)
    assert world.read("two") == [("ada", 2500, None), ("bob", 2500, 1000)]


def test_notification_that_takes_too_long_holds_nothing_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It fails, and is told once it does not; a statement of one may take a time of its own."""
    world.save({"did": CALL, "count": {">=": 1}, "window": {"last": "10 minutes"}})
    digest = {"name": "slow", "cohort": "one", "on": ["entered"], "period": "1 second"}
    save_notification(world.evaluator, {**digest, "channel": {"email": {"to": ["team@example.com"]}}}, NOW, "test")
    world.tick(4000)
    world.call("ada", 3000)
    monkeypatch.setattr(told, "PATIENCE", timedelta(seconds=0.3))
    with monkeypatch.context() as slowly:
        slowly.setattr(notifying, "CHANGES", f"SELECT pg_sleep(2); {notifying.CHANGES}")
        assert evaluate_cohorts(world.evaluator, NOW - timedelta(seconds=2900)).failed == 1
    assert world.read() == [("ada", 3000, None)]
    assert select(world.evaluator, "SELECT count(*) FROM outbox") == [(0,)]
    assert world.tick(2800).notifications == 1


def test_notification_that_fails_holds_nothing_back(world: World) -> None:
    """Neither a membership nor another notification; its changes are told once it is mended."""
    world.save({"did": CALL, "count": {">=": 1}, "window": {"last": "10 minutes"}})
    world.tick(4000)
    with world.evaluator, world.evaluator.cursor() as cursor:
        cursor.execute(
            "INSERT INTO notifications (name, cohort_id, definition, created_at, created_by)"
            " SELECT 'odd', cohort_id, '{}', now(), 'x' FROM cohorts"
        )
    digest = {"name": "sound", "cohort": "one", "on": ["entered"], "period": "1 second"}
    channel = {"channel": {"email": {"to": ["team@example.com"]}}}
    save_notification(world.evaluator, {**digest, **channel}, NOW, "test")
    assert world.tick(3100).failed == 1
    world.call("ada", 3000)
    ticked = world.tick(2990)
    assert (ticked.failed, ticked.notifications) == (1, 1)
    assert world.read() == [("ada", 3000, None)]
