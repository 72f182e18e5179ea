"""Mails to members are paused by hand, or by themselves when too many bounced or complained."""

import json
import logging
from datetime import timedelta
from typing import Any

import pytest

from cohort_evaluator.mail_pause import Counted, Limits, count, find_pause, judge, pause, resume
from cohort_evaluator.mailing import Rules
from common.errors import ApiError
from query_events import waiting
from s3_loader.batches import Batch
from s3_loader.deliveries import load_delivery
from s3_loader.loading import Loader
from tests.integration.batches import LIMITS
from tests.integration.conftest import NOW, Connect
from tests.integration.requests import make_request
from tests.integration.test_change_cohorts import Ask, ask, evaluator
from tests.integration.test_deliveries import make_report
from tests.integration.test_loading import select
from tests.integration.test_mailing import Mails

__all__ = ["ask", "evaluator"]  # fixtures

HOUR = 3600
FEW = Limits(bounces=0.05, complaints=0.01, last=100, minimum=20)


@pytest.fixture
def world(connect: Connect) -> Mails:
    """A cohort and a template."""
    return Mails(connect)


def send(world: Mails, number: int, age: float, **others: Any) -> None:
    """The report of a mail that SES took."""
    told = {
        "id": f"mail-1-{number}",
        "at": (NOW - timedelta(seconds=age)).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "channel": "mail",
        "state": "sent",
        "recipient": f"u{number}@example.com",
        "message_id": f"ses-{number}",
        **others,
    }
    load_delivery(world.loader, make_report(f"d{number}", **told), replay=False)


def tell(world: Mails, number: int, age: float, kind: str, **part: Any) -> None:
    """An event of SES, as SNS brings it."""
    at = (NOW - timedelta(seconds=age)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    recipients = [{"emailAddress": f"u{number}@example.com"}]
    mail: dict[str, Any] = {"messageId": f"ses-{number}", "timestamp": at, "destination": [f"u{number}@example.com"]}
    mail["tags"] = {"mailwake-id": [f"mail-1-{number}"]}
    name = {"Bounce": "bouncedRecipients", "Complaint": "complainedRecipients"}[kind]
    message = {"eventType": kind, "mail": mail, kind.lower(): {"timestamp": at, name: recipients, **part}}
    body = json.dumps(message).encode()
    batch = Batch(f"raw/amazon_ses/{kind}{number}-{age}", "amazon_ses", f"{kind}{number}-{age}", "request", NOW, body)
    Loader().load(world.loader, batch, LIMITS)


def bounce(world: Mails, number: int, age: float = 0, bounce_type: str = "Permanent") -> None:
    """A hard one, unless told otherwise."""
    tell(world, number, age, "Bounce", bounceType=bounce_type, bounceSubType="General")


def find(world: Mails, age: float = 0, limits: Limits = FEW) -> str | None:
    """What a tick finds."""
    with world.evaluator, world.evaluator.cursor() as cursor:
        return find_pause(cursor, limits, NOW - timedelta(seconds=age))


def look(world: Mails, limits: Limits = FEW) -> Counted:
    """What is counted."""
    with world.evaluator, world.evaluator.cursor() as cursor:
        return count(cursor, limits)


def test_the_last_mails_are_counted(world: Mails) -> None:
    """Hard bounces and complaints, each mail once; not those of others, of mails that are not ours, or of tests."""
    for number in range(120):
        send(world, number, 9000 - number)
    send(world, 500, 10, channel="email")
    send(world, 501, 10, state="failed")
    send(world, 502, 10, id="test-hello-1-0123456789ab-1")
    for number in (19, 20, 51, 52, 500, 501, 777):  # 20 is the first of the last hundred
        bounce(world, number)
    bounce(world, 51, 10)
    bounce(world, 53, bounce_type="Transient")
    tell(world, 54, 0, "Complaint")
    tell(world, 502, 0, "Complaint")
    assert look(world) == Counted(100, 3, 1)
    assert look(world, FEW._replace(minimum=101)) == Counted(100)


@pytest.mark.parametrize(
    ("counted", "reason"),
    [
        (Counted(100, 5, 1), None),
        (Counted(100, 6, 0), "bounces"),
        (Counted(100, 0, 2), "complaints"),
        (Counted(20, 1, 1), None),
        (Counted(20, 2, 0), "bounces"),
        (Counted(19, 19, 19), None),
    ],
)
def test_limits_are_passed_not_reached(counted: Counted, reason: str | None) -> None:
    """By more than one mail, of enough."""
    assert judge(counted, FEW) == reason
    assert judge(counted, Limits()) is None


def test_too_many_bounces_pause_until_somebody_ends_it(world: Mails, caplog: pytest.LogCaptureFixture) -> None:
    """Those who are due wait. It is logged with each tick, for the alarm; behind it counting begins anew."""
    world.notify()
    world.go(80 * HOUR)
    for number in range(30):
        send(world, number, 79 * HOUR)
    bounce(world, 1)
    world.rules = Rules(limits=FEW)
    world.set("ada", 78 * HOUR)
    world.go(78 * HOUR)
    assert len(world.read_mails()) == 1
    bounce(world, 2)
    world.set("bob", 77 * HOUR)
    with caplog.at_level(logging.ERROR, "cohort_evaluator.mail_pause"):
        world.go(77 * HOUR)
        world.go(76 * HOUR)
    assert [record.message for record in caplog.records] == ["mails to members are paused"] * 2
    assert (len(world.read_mails()), world.count()) == (1, {"paused": 1})
    paused = make_request(world.query, waiting.ROUTES[0], {})["results"]["paused"]
    assert (paused["reason"], paused["mails"], paused["bounces"], paused["by"]) == ("bounces", 30, 2, None)
    resume(world.evaluator, NOW - timedelta(hours=75), "me")
    world.go(75 * HOUR)
    assert len(world.read_mails()) == 2
    with pytest.raises(ApiError, match="not paused"):
        resume(world.evaluator, NOW, "me")
    for number in range(100, 130):
        send(world, number, 70 * HOUR)
    assert look(world) == Counted(30, 0, 0)
    rows = select(world.evaluator, "SELECT reason, ended_by FROM mail_pauses")
    assert rows == [("bounces", "me")]
    found = select(world.evaluator, "SELECT body ->> 'paused' FROM outbox WHERE body ->> 'kind' = 'pause' ORDER BY id")
    assert found == [("true",), ("false",)], "the mailer is told"


def test_by_hand_it_is_no_alarm(world: Mails, caplog: pytest.LogCaptureFixture) -> None:
    """It holds all the same, and who waits too long is dropped with the reason."""
    world.notify(give_up="2 hours")
    world.go(80 * HOUR)
    assert pause(world.evaluator, NOW, "me")
    assert not pause(world.evaluator, NOW, "you")
    world.set("ada", 78 * HOUR)
    with caplog.at_level(logging.ERROR, "cohort_evaluator.mail_pause"):
        world.go(78 * HOUR)
    assert (caplog.records, world.read_mails(), world.count()) == ([], [], {"paused": 1})
    world.go(76 * HOUR)
    assert world.read_mails() == [("one", "ada", "given up after 2 hours: mails to members are paused")]
    resume(world.evaluator, NOW, "you")
    assert find(world) is None


def test_counting_goes_on_over_a_pause_by_hand(world: Mails) -> None:
    """Only the end of an automatic one begins anew."""
    for number in range(20):
        send(world, number, 9000)
    bounce(world, 1)
    pause(world.evaluator, NOW, "me")
    resume(world.evaluator, NOW, "me")
    bounce(world, 2)
    assert find(world) == "bounces"


def test_the_api_pauses_and_ends_it(ask: Ask, connect: Connect) -> None:
    """And tells the mailer, by objects of the outbox."""
    path = "/api/v1/mail/pause"
    assert ask("PUT", path, name="me") == (200, {"results": {"paused": True, "changed": True}})
    assert ask("PUT", path) == (200, {"results": {"paused": True, "changed": False}})
    assert ask("DELETE", path, name="you") == (200, {"results": {"paused": False}})
    assert ask("DELETE", path)[0] == 404
    found = select(connect("mailwake_evaluator"), "SELECT id, body FROM outbox ORDER BY id")
    assert [name.split("-")[2] for name, _ in found] == ["begins", "ends"]
    assert [(body["kind"], body["paused"], body["at"]) for _, body in found] == [
        ("pause", True, "2026-11-21T12:00:00.000Z"),
        ("pause", False, "2026-11-21T12:00:00.000Z"),
    ]
    rows = select(connect("mailwake_evaluator"), "SELECT began_by, ended_by FROM mail_pauses")
    assert rows == [("me", "you")]
