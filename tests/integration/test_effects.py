"""What mails to members did: figures that were computed by hand."""

import json
from datetime import timedelta
from typing import Any

import pytest
from psycopg2.extensions import connection as Connection

from cohort_evaluator.store import save_notification, save_template
from common.clock import format_instant
from common.errors import ApiError
from query_events.deliveries import STATES
from query_events.effect_query import EVENTS
from query_events.effects import ROUTES
from query_events.proportions import Group, compare
from s3_loader.batches import Batch
from s3_loader.deliveries import load_delivery
from s3_loader.loading import Loader
from tests.integration.batches import LIMITS
from tests.integration.conftest import NOW, Connect
from tests.integration.lookups import BLIND
from tests.integration.requests import make_request
from tests.integration.test_cohorts import CALL, World
from tests.integration.test_deliveries import make_report

OF_TEMPLATE, OF_NOTIFICATION = ROUTES
DAY = 86_400.0
ZEROS = dict.fromkeys(("people", *STATES, *EVENTS), 0)
TEMPLATE = {"subject": "Hi", "html": "<p>Hi</p>", "text": "Hi", "topic": "news"}


def format_age(days: float) -> str:
    """The instant so many days before NOW."""
    return format_instant(NOW - timedelta(days=days))


class Mails:
    """Reports of the mailer and events of SES, loaded as they come."""

    def __init__(self, world: World) -> None:
        self.world = world

    def report(self, name: str, user: str, state: str, days: float, **fields: Any) -> None:
        """One attempt of a mail, so many days before NOW."""
        given = {"attempt": 1, "template": "welcome", "template_version": 1, "notification": "onboard", **fields}
        given |= {"id": name, "user": user, "recipient": f"{user}@example.com", "state": state, "channel": "mail"}
        batch = make_report(f"{name}-{given['attempt']}", at=format_age(days), **given)
        assert load_delivery(self.world.loader, batch, replay=False).quarantined == 0

    def tell(self, message: str, kind: str, days: float, user: str, tag: str = "") -> None:
        """An event of SES's of a mail."""
        self.world.number += 1
        at = format_age(days)
        address = f"{user}@example.com"
        parts: dict[str, Any] = {
            "Bounce": {"bounceType": "Transient", "bouncedRecipients": [{"emailAddress": address}]},
            "Complaint": {"complainedRecipients": [{"emailAddress": address}]},
            "Delivery": {"recipients": [address]},
        }
        mail: dict[str, Any] = {"messageId": message, "timestamp": at, "destination": [address]}
        mail["tags"] = {"mailwake-id": [tag]} if tag else {}
        item = {"eventType": kind, "mail": mail, kind.lower(): {"timestamp": at, **parts.get(kind, {})}}
        key = f"raw/amazon_ses/{self.world.number}"
        envelope = {"Type": "Notification", "MessageId": key, "Timestamp": at, "Message": json.dumps(item)}
        batch = Batch(key, "amazon_ses", None, None, NOW, json.dumps(envelope).encode())
        assert Loader().load(self.world.loader, batch, LIMITS).quarantined == 0

    def unsubscribe(self, name: str, user: str, days: float) -> None:
        """A click on the link in a mail."""
        told = {"kind": "unsubscribe", "address": f"{user}@example.com", "topic": "news", "at": format_age(days)}
        body = json.dumps({**told, "delivery": name}).encode()
        batch = Batch(f"raw/mailwake/unsubscribe-{name}", "mailwake", None, None, NOW, body)
        assert load_delivery(self.world.loader, batch, replay=False).quarantined == 0


@pytest.fixture
def mails(connect: Connect) -> Mails:
    """Two versions of a template, a notification, and a cohort of those who called."""
    world = World(connect)
    world.save({"did": CALL, "count": {">=": 1}, "window": {"ever": True}}, "active")
    world.tick(24 * DAY)
    for number in (1, 2):
        save_template(world.evaluator, "welcome", {**TEMPLATE, "subject": f"Hi {number}"}, NOW, "test")
    channel = {"mail": {"template": "welcome", "repeat": "once", "hold_out": 0.5}}
    definition = {"name": "onboard", "cohort": "active", "on": ["entered"], "channel": channel}
    save_notification(world.evaluator, definition, NOW, "test")
    return Mails(world)


@pytest.fixture
def query(connect: Connect) -> Connection:
    """The query function's own connection, each statement a transaction."""
    connection = connect("mailwake_query")
    connection.autocommit = True
    return connection


def test_people_are_counted_by_what_became_of_their_mails(mails: Mails, query: Connection) -> None:
    """Once each, by the last attempt, by whatever name they go, also where only the tag tells which mail it was."""
    for user in ("u1", "u2", "u3", "u4", "u5", "u6", "u7", "one"):
        mails.world.identify("identify", 22 * DAY, userId=user)
    mails.world.identify("alias", 22 * DAY, previousId="one", userId="u1")
    mails.report("a1", "u1", "sent", 20, message_id="m1")
    mails.report("a9", "one", "sent", 20, message_id="m9")
    mails.report("a2", "u2", "sent", 20, message_id="m2")
    mails.report("a3", "u3", "sent", 20, message_id="m3")
    mails.report("a4", "u4", "suppressed", 20)
    mails.report("a5", "u5", "retrying", 20.1)
    mails.report("a5", "u5", "failed", 20, attempt=2, error="no such user")
    mails.report("a6", "u6", "held_out", 20)
    mails.report("a7", "u7", "unknown", 20)
    mails.report("a8", "u8", "unknown", 20)
    mails.report("b1", "u1", "sent", 10, message_id="m11", template_version=2)
    mails.report("b6", "u6", "held_out", 10, template_version=2)
    mails.report("c1", "u2", "sent", 10, message_id="m12", template="bye")
    mails.report("c2", "u2", "sent", 40, message_id="m13", template_version=2)
    for message, user in (("m1", "u1"), ("m2", "u2"), ("m9", "one"), ("m11", "u1"), ("m12", "u2"), ("m13", "u2")):
        mails.tell(message, "Send", 9, user)
        mails.tell(message, "Delivery", 9, user)
    mails.tell("m1", "Open", 8, "u1")
    mails.tell("m1", "Open", 7, "u1")
    mails.tell("m9", "Open", 7, "one")
    mails.tell("m1", "Click", 7, "u1")
    mails.tell("m2", "Open", 7, "u2")
    mails.tell("m2", "Complaint", 7, "u2")
    mails.tell("m3", "Bounce", 19.9, "u3")
    mails.tell("m7", "Delivery", 19.9, "u7", tag="a7")
    mails.tell("m8", "Delivery", 19.9, "u8", tag="other")
    mails.unsubscribe("a2", "u2", 6)
    found = make_request(query, OF_TEMPLATE, {}, template="welcome")
    states = {"people": 8, "sent": 4, "failed": 1, "unknown": 1, "suppressed": 1, "held_out": 1}
    events = {"delivered": 3, "opened": 2, "clicked": 1, "unsubscribed": 1, "bounced": 1, "complained": 1}
    first = {**ZEROS, **states, **events, "goal": None}
    second = {**ZEROS, "people": 2, "sent": 1, "held_out": 1, "delivered": 1, "goal": None}
    assert found["results"] == [
        {"template": "welcome", "version": 2, **second},
        {"template": "welcome", "version": 1, **first},
    ]
    assert found["total"] == first
    assert (found["from"], found["to"]) == ("2026-10-22T12:00:00.000Z", "2026-11-21T12:00:00.000Z")
    of_notification = make_request(query, OF_NOTIFICATION, {"from": "2026-11-01T00:00"}, notification="onboard")
    assert [(row["template"], row["version"], row["people"]) for row in of_notification["results"]] == [
        ("bye", 1, 1),
        ("welcome", 2, 2),
        ("welcome", 1, 8),
    ]
    assert of_notification["total"]["people"] == 8


def test_tests_count_for_no_effect(mails: Mails, query: Connection) -> None:
    """Also where a notification is called as theirs are."""
    channel = {"mail": {"template": "welcome", "repeat": "once"}}
    definition = {"name": "test-welcome", "cohort": "active", "on": ["entered"], "channel": channel}
    save_notification(mails.world.evaluator, definition, NOW, "test")
    mails.report("mail-1", "u1", "sent", 20, notification="test-welcome")
    test = {"notification": "test-welcome", "template": None, "template_version": None}
    mails.report("test-welcome-1-0123456789ab-1", "rep", "sent", 20, **test)
    found = make_request(query, OF_NOTIFICATION, {}, notification="test-welcome")
    assert (found["total"]["people"], len(found["results"])) == (1, 1)


def enter(mails: Mails) -> None:
    """Five who were to be mailed twenty days ago, four held out then, and two three days ago; some of them call."""
    people = {"a1": "sent", "a2": "sent", "a3": "sent", "a4": "sent", "a5": "suppressed"}
    people |= {f"h{number}": "held_out" for number in (1, 2, 3, 4)}
    for user in (*people, "w1", "w2"):
        mails.world.identify("identify", 30 * DAY, userId=user)
    for user, state in people.items():
        mails.report(f"mail-{user}", user, state, 20)
    mails.report("mail-w1", "w1", "sent", 3)
    mails.report("mail-w2", "w2", "held_out", 3)
    calls = {"a4": 21, "h2": 21, "a1": 19, "a5": 19, "h1": 19, "a2": 13.01, "a3": 12.99, "w1": 2}
    for user, days in calls.items():
        mails.world.call(user, days * DAY)
        mails.world.tick(days * DAY - 60)
    mails.world.tick(0)


GOAL = {"goal": "active", "within": "7 days"}


def test_who_was_to_be_mailed_is_compared_with_who_was_held_out(mails: Mails, query: Connection) -> None:
    """By who entered within the time, of those for whom it is over; whoever was in before does not enter."""
    enter(mails)
    found = make_request(query, OF_TEMPLATE, GOAL, template="welcome")
    difference = compare(Group(5, 3), Group(4, 1))
    assert difference is not None
    goal = found["total"]["goal"]
    assert goal == {
        "mailed": {"people": 4, "entered": 2, "share": 0.5},
        "intended": {"people": 5, "entered": 3, "share": 0.6},
        "held_out": {"people": 4, "entered": 1, "share": 0.25},
        "waiting": 2,
        "difference": 0.35,
        "low": round(difference.low, 6),
        "high": round(difference.high, 6),
        "statement": goal["statement"],
    }
    assert goal["statement"].startswith("60.0 % of those to be mailed entered within 7 days, 25.0 % of those held out")
    assert found["goal"]["method"].startswith("95 % interval of the difference of two proportions: Newcombe")
    assert found["goal"]["known_to"] == "2026-11-21T12:00:00.000Z"
    assert [row["goal"] for row in found["results"]] == [goal]
    longer = make_request(query, OF_NOTIFICATION, {"goal": "active", "within": "1 week"}, notification="onboard")
    assert longer["total"]["goal"]["mailed"] == goal["mailed"]
    longer = make_request(query, OF_TEMPLATE, {"goal": "active", "within": "192 hours"}, template="welcome")
    assert longer["total"]["goal"]["mailed"] == {"people": 4, "entered": 3, "share": 0.75}
    before = make_request(query, OF_TEMPLATE, {**GOAL, "to": "2026-10-30T00:00"}, template="welcome")
    assert before["total"]["goal"]["statement"].startswith("Nobody was to be mailed at least 7 days ago")


def test_what_was_no_entry_is_none(mails: Mails, query: Connection, connect: Connect) -> None:
    """A membership that turned out untrue, and one that began with a version of the cohort."""
    enter(mails)
    change = connect("mailwake_evaluator")
    with change, change.cursor() as cursor:
        cursor.execute(
            "UPDATE memberships SET exited_at = entered_at FROM identities"
            " WHERE identity_id = subject_id AND value IN ('a1')"
        )
    owner = connect("mailwake_migrator")
    with owner, owner.cursor() as cursor:
        cursor.execute(
            "UPDATE transitions SET cause = '{\"switched_on\": 2}' FROM identities"
            " WHERE identity_id = subject_id AND value IN ('h1')"
        )
    goal = make_request(query, OF_TEMPLATE, GOAL, template="welcome")["total"]["goal"]
    assert (goal["mailed"]["entered"], goal["intended"]["entered"], goal["held_out"]["entered"]) == (1, 2, 0)


def test_first_mail_says_of_whom_one_is(mails: Mails, query: Connection) -> None:
    """Who is held out by one notification and mailed by another counts as what happened first; of each version anew."""
    for user in ("u1", "u2", "u3"):
        mails.world.identify("identify", 30 * DAY, userId=user)
    mails.report("a", "u1", "held_out", 20)
    mails.report("b", "u1", "sent", 19, notification="other")
    mails.report("c", "u2", "sent", 20)
    mails.report("d", "u2", "held_out", 19, template_version=2)
    mails.report("e", "u3", "sent", 20)
    mails.report("f", "u3", "held_out", 19, notification="other")
    mails.world.tick(0)
    found = make_request(query, OF_TEMPLATE, GOAL, template="welcome")
    counts = {
        row["version"]: (row["goal"]["mailed"]["people"], row["goal"]["held_out"]["people"])
        for row in (*found["results"], {"version": None, **found["total"]})
    }
    assert counts == {1: (2, 1), 2: (0, 1), None: (2, 1)}
    assert (found["total"]["sent"], found["total"]["held_out"]) == (3, 3)


def test_cohort_that_lags_behind_lets_people_wait(mails: Mails, query: Connection) -> None:
    """What happened since it was evaluated is not known."""
    mails.world.identify("identify", 30 * DAY, userId="u1")
    mails.report("a", "u1", "sent", 20)
    goal = make_request(query, OF_TEMPLATE, GOAL, template="welcome")["total"]["goal"]
    assert (goal["mailed"]["people"], goal["waiting"]) == (0, 1)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"goal": "nothing"}, "goal is not the name of a cohort"),
        ({"goal": "companies"}, "goal is a cohort of companies"),
        ({"within": "7 days"}, "within needs goal"),
        ({"goal": "active", "within": "soon"}, "within must be a number"),
        ({"goal": "active", "within": "53 weeks"}, "within must be a number"),
        ({"goal": "active", "within": "999999 weeks"}, "within must be a number"),
        ({"days": "1"}, "days is not a parameter"),
    ],
)
def test_bad_input_is_refused(mails: Mails, query: Connection, given: dict[str, str], words: str) -> None:
    """With a sentence that says what is wrong."""
    mails.world.save({"did": CALL, "count": {">=": 1}, "window": {"ever": True}}, "companies", "company")
    with pytest.raises(ApiError) as refusal:
        make_request(query, OF_TEMPLATE, given, template="welcome")
    assert words in refusal.value.description
    assert refusal.value.status == 400


def test_without_mails_all_is_nothing(mails: Mails, query: Connection) -> None:
    """Zeros of what there is, 404 of what there is not; whoever may not see addresses may ask."""
    found = make_request(query, OF_TEMPLATE, GOAL, BLIND, template="welcome")
    assert found["results"] == []
    assert {**found["total"], "goal": None} == {**ZEROS, "goal": None}
    assert found["total"]["goal"]["difference"] is None
    for route, name in ((OF_TEMPLATE, "template"), (OF_NOTIFICATION, "notification")):
        with pytest.raises(ApiError, match="Not found"):
            make_request(query, route, {}, **{name: "nothing"})
