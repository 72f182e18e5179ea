"""When mails to members go: ticks of the evaluator, and what the API shows of those that wait."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cohort_evaluator import mailing
from cohort_evaluator.caps import Caps
from cohort_evaluator.evaluation import evaluate_cohorts
from cohort_evaluator.mail_pause import pause
from cohort_evaluator.mailing import NO_RULES, Rules
from cohort_evaluator.store import delete_notification, save_notification, save_template
from common.clock import format_instant
from common.errors import ApiError
from query_events import notifications, waiting
from query_events.routing import READ_EVENTS, Caller
from tests.integration.conftest import NOW, Connect
from tests.integration.requests import make_request
from tests.integration.test_cohorts import World
from tests.integration.test_loading import select

TEMPLATE = {"subject": "Hi", "text": "Hi", "html": "<p>Hi</p>", "topic": "news"}
PRO = {"trait": "metadata.plan", "is_one_of": ["pro"]}
NIGHT = {"from": "21:00", "to": "08:00", "time_zone": "Europe/Berlin"}  # where it is 13:00 at NOW
HOUR = 3600


class Mails(World):
    """Those who are on the plan pro are mailed."""

    def __init__(self, connect: Connect) -> None:
        super().__init__(connect)
        self.rules: Rules = NO_RULES
        self.query = connect("mailwake_query")
        self.save(PRO)
        save_template(self.evaluator, "hello", TEMPLATE, NOW, "test")
        self.go(90 * HOUR)

    def notify(self, name: str = "one", cohort: str = "one", *, brief: bool = False, **settings: Any) -> None:
        """Saves a notification, which begins with the next tick."""
        channel = {"mail": {"template": "hello", "repeat": "once", **settings}}
        definition = {"name": name, "cohort": cohort, "on": ["entered"], "brief": brief, "channel": channel}
        save_notification(self.evaluator, definition, NOW, "test")

    def go(self, age: float) -> None:
        """A tick so many seconds before NOW."""
        assert evaluate_cohorts(self.evaluator, NOW - timedelta(seconds=age), self.rules).failed == 0

    def set(self, user: str, age: float, plan: str = "pro", **traits: Any) -> None:
        """Writes a user's traits."""
        traits = {"plan": plan, "email": f"{user}@example.com", **traits}
        self.identify("identify", age, userId=user, traits=traits)

    def read_bodies(self) -> list[dict[str, Any]]:
        """The mails of the outbox, in the order of their making."""
        rows = select(
            self.evaluator, "SELECT body FROM outbox WHERE body ->> 'kind' = 'mail' ORDER BY created_at, length(id), id"
        )
        return [body for (body,) in rows]

    def read_mails(self) -> list[tuple[str, str, str]]:
        """Notification, user, and when it was written; or why it was dropped."""
        return [
            (
                body["notification"]["name"],
                body["user"]["id"],
                body.get("dropped", {}).get("error") or body["created_at"],
            )
            for body in self.read_bodies()
        ]

    def count(self, name: str = "one", age: float = 0) -> dict[str, int]:
        """Who waits for what, as the API shows it at an age."""
        with self.query.cursor() as cursor:
            found = waiting.count_waiting(cursor, NOW - timedelta(seconds=age), name).get(name, {})
        return {reason: count for reason, count in found.items() if count}


def tell(age: float) -> str:
    """The instant so many seconds before NOW."""
    return format_instant(NOW - timedelta(seconds=age))


@pytest.fixture
def world(connect: Connect) -> Mails:
    """A cohort and a template."""
    return Mails(connect)


def test_quiet_hours_hold_and_release(world: Mails) -> None:
    """By the clock of each user's own zone; where none is known by the setting's."""
    world.notify(quiet=NIGHT)
    world.go(20 * HOUR)
    world.set("berlin", 15 * HOUR)
    world.set("tokyo", 15 * HOUR, timezone="Asia/Tokyo")
    world.set("nowhere", 15 * HOUR, timezone="Nowhere/At_All")
    world.set("lima", 15 * HOUR, timezone="America/Lima")
    world.go(15 * HOUR)  # 22:00 in Berlin, 06:00 in Tokyo, 16:00 in Lima
    assert world.read_mails() == [("one", "lima", tell(15 * HOUR))]
    assert world.count(age=15 * HOUR - 1) == {"quiet": 3}
    world.go(13 * HOUR + 1)
    assert len(world.read_mails()) == 1
    world.go(13 * HOUR)  # 08:00 in Tokyo
    assert world.read_mails()[1:] == [("one", "tokyo", tell(13 * HOUR))]
    assert world.read_bodies()[1]["quiet"] == {**NIGHT, "time_zone": "Asia/Tokyo"}
    assert world.read_bodies()[1]["user"]["timezone"] == "Asia/Tokyo"
    world.go(5 * HOUR + 1)
    world.go(5 * HOUR)
    assert world.read_mails()[2:] == [("one", user, tell(5 * HOUR)) for user in ("berlin", "nowhere")]
    assert world.count() == {}


def test_who_leaves_while_she_waits_is_dropped(world: Mails) -> None:
    """That is reported; entering again she is due again, and the newest template goes."""
    world.notify(quiet=NIGHT)
    world.go(20 * HOUR)
    world.set("ada", 15 * HOUR)
    world.go(15 * HOUR)
    world.set("ada", 14 * HOUR, plan="free")
    world.go(14 * HOUR)
    (body,) = world.read_bodies()
    assert body["dropped"] == {"state": "dropped", "error": "she left the cohort before it could go"}
    assert (body["kind"], body["user"]["address"], body["notification"]["channel"]) == (
        *("mail", "ada@example.com"),
        {"mail": {}},
    )
    world.set("ada", 13 * HOUR)
    world.go(13 * HOUR)
    save_template(world.evaluator, "hello", {**TEMPLATE, "subject": "Hello"}, NOW, "test")
    world.go(4 * HOUR)
    assert world.read_bodies()[1]["template"]["version"] == 2
    assert len({body["id"] for body in world.read_bodies()}) == 2


def test_who_was_in_before_and_is_in_again_is_not_due(world: Mails) -> None:
    """Within one tick; unless that is asked for."""
    world.set("ada", 30 * HOUR)
    world.go(30 * HOUR)
    world.notify("a")
    world.notify("b", brief=True)
    world.go(20 * HOUR)
    world.set("ada", 15 * HOUR, plan="free")
    world.set("ada", 14 * HOUR)
    world.go(13 * HOUR)
    assert world.read_mails() == [("b", "ada", tell(13 * HOUR))]


def test_caps_are_over_all_notifications(world: Mails) -> None:
    """The oldest goes; the others wait for her next day, unless they are given up, or not held by caps."""
    world.rules = Rules(Caps(per_day=1), ZoneInfo("Asia/Tokyo"))
    for name in ("b", "a"):
        world.notify(name, give_up="30 hours")
    world.notify("receipt", ignores_caps=True)
    world.notify("short", give_up="2 hours")
    world.go(30 * HOUR)
    world.set("ada", 29 * HOUR)  # 16:00 in Tokyo
    world.go(29 * HOUR)
    assert world.read_mails() == [("b", "ada", tell(29 * HOUR)), ("receipt", "ada", tell(29 * HOUR))]
    assert world.count("a", 29 * HOUR - 1) == {"capped": 1}
    world.go(27 * HOUR)
    dropped = world.read_bodies()[-1]
    assert (dropped["notification"]["name"], dropped["dropped"]["state"]) == ("short", "capped")
    assert dropped["dropped"]["error"] == "given up after 2 hours: she gets as many mails as she may"
    world.go(21 * HOUR + 1)
    world.go(21 * HOUR)  # midnight in Tokyo
    assert world.read_mails()[3:] == [("a", "ada", tell(21 * HOUR))]


def test_what_caps_hold_no_more_is_not_given_up_as_capped(world: Mails) -> None:
    """Once her next day has come, something else holds it: a pause, here."""
    world.rules = Rules(Caps(per_day=1))
    world.notify("a")
    world.notify("b", give_up="15 hours")
    world.notify("c", give_up="6 hours")
    world.go(30 * HOUR)
    world.set("ada", 15 * HOUR)
    world.go(15 * HOUR)  # 21:00
    assert world.count("b", 15 * HOUR - 1) == {"capped": 1}
    pause(world.evaluator, NOW, "me")
    world.go(9 * HOUR)
    world.go(0)
    assert [(body["notification"]["name"], body["dropped"]) for body in world.read_bodies()[1:]] == [
        ("c", {"state": "dropped", "error": "given up after 6 hours: mails to members are paused"}),
        ("b", {"state": "dropped", "error": "given up after 15 hours: mails to members are paused"}),
    ]


def test_what_is_given_up_on_her_next_day_is_not_given_up_as_capped(world: Mails) -> None:
    """It could have gone."""
    world.rules = Rules(Caps(per_day=1))
    world.notify("a")
    world.notify("b", give_up="4 hours")
    world.go(30 * HOUR)
    world.set("ada", 15 * HOUR)
    world.go(15 * HOUR)  # 21:00
    world.go(11 * HOUR)
    state = {"state": "dropped", "error": "given up after 4 hours: too many were before it"}
    assert [body["dropped"] for body in world.read_bodies()[1:]] == [state]


def test_the_oldest_goes_first(world: Mails) -> None:
    """Whichever notification it is of."""
    world.rules = Rules(Caps(per_day=1))
    world.save({"trait": "metadata.team", "is_one_of": ["red"]}, "two")
    world.go(30 * HOUR)
    world.notify("younger", quiet=NIGHT)
    world.notify("older", "two", quiet=NIGHT)
    world.go(20 * HOUR)
    world.set("ada", 15 * HOUR, plan="free", team="red")
    world.go(15 * HOUR)
    world.set("ada", 14 * HOUR)
    world.go(14 * HOUR)
    world.go(5 * HOUR)
    assert world.read_mails() == [("older", "ada", tell(5 * HOUR))]


def test_caps_of_a_week_begin_on_monday(world: Mails) -> None:
    """NOW is a Saturday. Mails of more than eight days ago are forgotten."""
    world.rules = Rules(Caps(per_week=2))
    world.notify(repeat={"every": "1 days"}, give_up="9 days")
    world.go(80 * HOUR)
    world.set("ada", 70 * HOUR)
    for age in range(70, -80, -1):
        world.go(age * HOUR)
    at = [body["created_at"] for body in world.read_bodies()]
    assert at == [tell(70 * HOUR), tell(46 * HOUR), "2026-11-23T00:00:00.000Z", "2026-11-24T00:00:00.000Z"]
    world.rules = NO_RULES
    world.go(-20 * 24 * HOUR)
    assert select(world.evaluator, "SELECT count(*) FROM mails_written") == [(1,)]


def test_held_out_are_held_like_others_and_count_nothing(world: Mails, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that both parts can be compared."""
    monkeypatch.setattr(mailing, "is_held_out", lambda name, *_: name == "one")
    world.rules = Rules(Caps(per_day=1))
    world.notify(hold_out=0.5)
    world.notify("two")
    world.notify("three")
    world.go(10 * HOUR)
    world.set("ada", 9 * HOUR)
    world.go(9 * HOUR)
    found = {body["notification"]["name"]: body["held_out"] for body in world.read_bodies()}
    assert found == {"one": True, "two": False}
    assert world.count("three") == {"capped": 1}


def test_what_waits_follows_a_merge(world: Mails) -> None:
    """What waits for both goes once; what one had the other has had; caps count both."""
    world.rules = Rules(Caps(per_day=1))
    world.notify(quiet={**NIGHT, "to": "07:00"})
    world.go(30 * HOUR)
    world.set("old", 29 * HOUR)
    world.go(28 * HOUR)  # 09:00: old has it
    world.notify("two", quiet=NIGHT)
    world.go(27 * HOUR)
    world.set("new", 15 * HOUR)
    world.set("other", 15 * HOUR)
    world.set("else", 14.5 * HOUR)
    world.go(14 * HOUR)
    assert world.count("one", 14 * HOUR - 1) == {"quiet": 3}
    world.identify("alias", 13 * HOUR, previousId="new", userId="old", type="alias")
    world.identify("alias", 13 * HOUR, previousId="else", userId="other", type="alias")
    world.go(12 * HOUR)
    assert sorted(world.read_mails()[1:]) == [
        ("one", "else", "she became part of another person, for whom the same mail waits"),
        ("one", "new", "she turned out to be a person who has had it"),
        ("two", "else", "she became part of another person, for whom the same mail waits"),
    ]
    world.go(6 * HOUR)
    world.go(5 * HOUR)
    assert [(name, at) for name, _, at in world.read_mails()[4:]] == [("one", tell(6 * HOUR)), ("two", tell(5 * HOUR))]
    assert world.count("two", 5 * HOUR - 1) == {"capped": 1}


def test_what_was_mailed_follows_a_merge(world: Mails) -> None:
    """When she was mailed last, under either name, tells when she is again; and caps count both."""
    world.rules = Rules(Caps(per_day=1))
    world.notify("a", repeat={"every": "3 days"})
    world.go(80 * HOUR)
    world.set("old", 60 * HOUR)
    world.go(60 * HOUR)
    world.set("new", 9 * HOUR)
    world.go(9 * HOUR)
    world.notify("b")
    world.go(8.5 * HOUR)
    world.identify("alias", 8 * HOUR, previousId="new", userId="old", type="alias")
    world.set("old", 7 * HOUR, plan="free")
    world.go(7 * HOUR)
    world.set("old", 6 * HOUR)
    world.go(6 * HOUR)
    assert [(name, at) for name, _, at in world.read_mails()] == [("a", tell(60 * HOUR)), ("a", tell(9 * HOUR))]
    assert world.count("b", 6 * HOUR - 1) == {"capped": 1}
    world.go(-13 * HOUR)
    assert [(name, at) for name, _, at in world.read_mails()[2:]] == [("b", tell(-13 * HOUR))]
    world.go(-63 * HOUR)
    assert [(name, at) for name, _, at in world.read_mails()[3:]] == [("a", tell(-63 * HOUR))]


def test_who_turns_out_to_be_no_member_is_dropped(world: Mails) -> None:
    """The person whom she became part of is on another plan."""
    world.notify(quiet=NIGHT)
    world.go(30 * HOUR)
    world.set("old", 20 * HOUR, plan="free")
    world.set("new", 15 * HOUR)
    world.go(15 * HOUR)
    world.set("old", 14 * HOUR, plan="free")
    world.identify("alias", 14 * HOUR, previousId="new", userId="old", type="alias")
    world.go(13 * HOUR)
    assert [error for _, _, error in world.read_mails()] == ["she left the cohort before it could go"]


def test_who_turns_out_to_be_elsewhere_waits_no_longer(world: Mails) -> None:
    """The time zone is that of the person whom she became part of."""
    world.notify(quiet=NIGHT)
    world.go(30 * HOUR)
    world.identify("identify", 20 * HOUR, userId="old", traits={"timezone": "UTC"})
    world.set("new", 15 * HOUR, timezone="Europe/Berlin")
    world.go(15 * HOUR)
    world.identify("identify", 14 * HOUR, userId="old", traits={"timezone": "America/Lima"})
    world.identify("alias", 14 * HOUR, previousId="new", userId="old", type="alias")
    world.go(13 * HOUR)
    assert [at for _, _, at in world.read_mails()] == [tell(13 * HOUR)]


def test_without_a_template_they_wait(world: Mails) -> None:
    """For three days."""
    world.notify(template="later")
    world.go(80 * HOUR)
    world.set("ada", 79 * HOUR)
    world.go(79 * HOUR)
    assert (world.read_bodies(), world.count()) == ([], {"template": 1})
    world.set("bob", 20 * HOUR)
    world.go(7 * HOUR)
    assert world.read_mails() == [("one", "ada", "given up after 3 days: there is no template")]
    save_template(world.evaluator, "later", TEMPLATE, NOW, "test")
    world.go(6 * HOUR)
    assert world.read_mails()[1:] == [("one", "bob", tell(6 * HOUR))]


def test_a_notification_that_ends_drops_what_waits(world: Mails) -> None:
    """Deleted, or of another cohort from then on."""
    world.save(PRO, "two")
    world.go(30 * HOUR)
    world.notify("deleted", quiet=NIGHT)
    world.notify("moved", quiet=NIGHT)
    world.go(20 * HOUR)
    world.set("ada", 15 * HOUR)
    world.go(15 * HOUR)
    delete_notification(world.evaluator, "deleted", NOW)
    world.notify("moved", "two", quiet=NIGHT)
    world.go(14 * HOUR)
    assert [(name, error[:22]) for name, _, error in world.read_mails()] == [
        ("deleted", "the notification ended"),
        ("moved", "the notification ended"),
    ]
    world.go(3 * HOUR)
    assert len(world.read_mails()) == 2


def test_one_that_fails_holds_no_other_back(world: Mails) -> None:
    """Nor do its mails count: they go once it is mended."""
    world.rules = Rules(Caps(per_day=1))
    bad = '{"subject": "Hi", "text": "Hi", "html": "Hi", "topic": "news", "aggregates": {"a": 1}}'
    with world.evaluator, world.evaluator.cursor() as cursor:
        cursor.execute("INSERT INTO email_templates VALUES ('bad', 1, %s, now(), 'test')", (bad,))
    world.notify("a", template="bad")
    world.notify("b")
    world.go(10 * HOUR)
    world.set("ada", 9 * HOUR)
    assert evaluate_cohorts(world.evaluator, NOW - timedelta(hours=9), world.rules).failed == 1
    assert [name for name, _, _ in world.read_mails()] == ["b"]
    assert world.count("a") == {"turn": 1}


def test_many_wait_no_longer_than_they_must(world: Mails, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who are held do not take the place of others in a tick."""
    monkeypatch.setattr(mailing, "MOST_MAILS", 2)
    world.notify(quiet=NIGHT)
    world.go(20 * HOUR)
    for number in range(7):
        world.set(f"u{number}", (15 * HOUR) - number, timezone="Europe/Berlin" if number < 5 else "America/Lima")
    world.go(14 * HOUR)
    assert [user for _, user, _ in world.read_mails()] == ["u5", "u6"]
    world.go(5 * HOUR)
    world.go(5 * HOUR - 60)
    assert [user for _, user, _ in world.read_mails()][2:] == ["u0", "u1", "u2", "u3"]
    assert world.count() == {"turn": 1}


def test_mails_tell_what_templates_show(world: Mails) -> None:
    """The company and the figures that the template declares, as they are when it goes."""
    declared = {"calls": {"count": {"event": "call"}, "window": {"ever": True}}}
    save_template(world.evaluator, "hello", {**TEMPLATE, "aggregates": declared}, NOW, "test")
    world.notify(quiet=NIGHT)
    world.go(20 * HOUR)
    world.call("ada", 15 * HOUR, company_id="acme")
    world.set("ada", 15 * HOUR)
    world.go(15 * HOUR)
    world.call("ada", 14 * HOUR)
    world.go(5 * HOUR)
    (body,) = world.read_bodies()
    assert (body["aggregates"], body["company"]) == ({"calls": 2}, {"id": "acme", "traits": {}})
    assert body["entered_at"] == tell(15 * HOUR)


def test_the_api_shows_who_waits(world: Mails) -> None:
    """For what and until when; counted with each notification, and by person."""
    world.notify(quiet=NIGHT)
    world.go(20 * HOUR)
    world.set("ada", 15 * HOUR)
    world.set("bob", 15 * HOUR, timezone="Asia/Tokyo")
    world.go(15 * HOUR)
    route, listed = waiting.ROUTES
    with world.evaluator, world.evaluator.cursor() as cursor:  # the request's instant is NOW
        cursor.execute("UPDATE mails_due SET ready_at = ready_at + interval '1 day'")
    (found,) = make_request(world.query, listed, {"person": "ADA@example.com"})["results"]
    assert (found["reason"], found["until"], found["due_at"]) == ("quiet", tell(-19 * HOUR), tell(15 * HOUR))
    assert found["identities"][0] == {"type": "user", "value": "ada"}
    first = make_request(world.query, listed, {"per_page": "1"})
    cursor_text = first["links"]["next"].partition("cursor=")[2].partition("&")[0]
    second = make_request(world.query, listed, {"per_page": "1", "cursor": cursor_text})
    assert {one["identities"][0]["value"] for page in (first, second) for one in page["results"]} == {"ada", "bob"}
    masked = make_request(world.query, listed, {"person": "ada"}, Caller("other", frozenset({READ_EVENTS})))["results"]
    assert {"type": "address", "value": "a***@example.com"} in masked[0]["identities"]
    assert make_request(world.query, listed, {"reason": "capped"})["results"] == []
    with pytest.raises(ApiError, match="Invalid parameters"):
        make_request(world.query, listed, {"reason": "bored"})
    assert make_request(world.query, route, {})["results"] == {
        "paused": None,
        "waiting": {"quiet": 2, "capped": 0, "paused": 0, "template": 0, "turn": 0},
    }
    of_cohort = next(one for one in notifications.ROUTES if one.path.startswith("/api/v1/cohorts/"))
    (shown,) = make_request(world.query, of_cohort, {}, cohort="one")["results"]
    assert shown["waiting"]["quiet"] == 2
    with pytest.raises(ApiError, match="Not found"):
        make_request(world.query, of_cohort, {}, cohort="nothing")


def test_the_clock_of_the_test_is_as_told() -> None:
    """It is 13:00 in Berlin at NOW, a Saturday."""
    assert NOW.astimezone(ZoneInfo("Europe/Berlin")).strftime("%a %H:%M") == "Sat 13:00"
    assert datetime(2026, 11, 23, tzinfo=UTC).strftime("%a") == "Mon"
