"""What the tick writes to the outbox."""

from typing import Any

import pytest

from cohort_evaluator import mailing
from cohort_evaluator.channels import read_notification
from cohort_evaluator.notifying import put_test
from cohort_evaluator.store import save_notification, save_template
from common.errors import ApiError
from tests.integration.conftest import NOW, Connect
from tests.integration.test_cohorts import CALL, World
from tests.integration.test_loading import select

DIGEST: dict[str, Any] = {
    "name": "team",
    "cohort": "one",
    "on": ["entered", "exited"],
    "channel": {"webhook": {"url": "https://hooks.example.com/a", "secret": "crm"}},
    "period": "15 minutes",
    "fields": ["address", "metadata.plan"],
}


@pytest.fixture
def world(connect: Connect) -> World:
    """A cohort of those who called within ten minutes."""
    world = World(connect)
    world.save({"did": CALL, "count": {">=": 1}, "window": {"last": "10 minutes"}})
    world.tick(90_000)
    return world


def read_outbox(world: World) -> list[dict[str, Any]]:
    """The bodies, in the order of their making."""
    return [body for (body,) in select(world.evaluator, "SELECT body FROM outbox ORDER BY created_at, length(id), id")]


def save(world: World, **others: Any) -> None:
    """Saves a notification, and lets it begin."""
    save_notification(world.evaluator, {**DIGEST, **others}, NOW, "test")
    world.tick(80_000)


def test_changes_of_a_period_are_told_together(world: World) -> None:
    """With counts, the fields that were asked for, and why."""
    save(world)
    world.identify("identify", 70_000, userId="ada", traits={"email": "ada@example.com", "plan": "pro"})
    world.call("ada", 50_000)
    world.call("bob", 49_990)
    world.tick(49_900)
    (body,) = read_outbox(world)
    assert body["counts"] == {"added": 2, "removed": 0, "members": 2}
    assert [(one["id"], one["fields"]) for one in body["added"]] == [
        ("ada", {"address": "ada@example.com", "metadata.plan": "pro"}),
        ("bob", {"address": None, "metadata.plan": None}),
    ]
    assert body["added"][0]["cause"]["members"]["events"]
    world.tick(49_600)
    assert len(read_outbox(world)) == 1, "the period is not over"
    world.tick(48_900)
    assert read_outbox(world)[1]["counts"] == {"added": 0, "removed": 2, "members": 0}


def test_who_enters_and_leaves_within_a_period_is_told_only_if_asked_for(world: World) -> None:
    """She is where she was."""
    save(world)
    save_notification(world.evaluator, {**DIGEST, "name": "all", "brief": True}, NOW, "test")
    world.tick(79_000)
    world.call("ada", 50_000)
    world.tick(40_000)
    assert [body["notification"]["name"] for body in read_outbox(world)] == ["all"]


def test_members_are_mailed_once_or_again(world: World) -> None:
    """One object for each who is due; again after the period while she is a member."""
    save_template(
        world.evaluator, "hello", {"subject": "Hi", "text": "Hi", "html": "<p>Hi</p>", "topic": "news"}, NOW, "t"
    )
    channel = {"mail": {"template": "hello", "repeat": "once"}}
    save(world, on=["entered"], channel=channel)
    again = {"mail": {"template": "hello", "repeat": {"every": "5 minutes"}}}
    save_notification(world.evaluator, {**DIGEST, "name": "again", "on": ["entered"], "channel": again}, NOW, "test")
    world.tick(79_000)
    world.identify("identify", 70_000, userId="ada", traits={"email": "ada@example.com", "plan": "pro"})
    world.call("ada", 50_000)
    world.tick(49_990)
    assert [body["notification"]["name"] for body in read_outbox(world)] == ["team", "again"]
    assert read_outbox(world)[0]["user"]["address"] == "ada@example.com"
    assert read_outbox(world)[0]["template"]["version"] == 1
    world.tick(49_800)
    assert len(read_outbox(world)) == 2
    world.tick(49_680)
    assert [body["notification"]["name"] for body in read_outbox(world)] == ["team", "again", "again"]
    world.tick(40_000)
    world.call("ada", 30_000)
    world.tick(29_990)
    assert [body["notification"]["name"] for body in read_outbox(world)][3:] == ["again"], "once is once"


def test_switching_on_tells_nobody(world: World) -> None:
    """A new version moves many at once; the API says how many before."""
    save(world)
    world.call("ada", 50_000)
    world.tick(40_000)
    world.save({"did": CALL, "count": {">=": 1}, "window": {"ever": True}})
    world.tick(30_000)
    world.tick(20_000)
    assert read_outbox(world) == []


def test_definition_is_read() -> None:
    """With what it leaves out."""
    read = read_notification(DIGEST)
    assert (read.limit, read.brief, read.channel) == (100, False, "webhook")


def test_test_shows_and_sends_the_newest_changes(world: World) -> None:
    """Marked as one; nothing else is put off by it."""
    save(world)
    world.call("ada", 50_000)
    world.tick(49_990)
    body = put_test(world.evaluator, "team", NOW)
    assert body["notification"]["cohort_title"] == "Test: One"
    assert [one["id"] for one in body["added"]] == ["ada"]
    assert {each["id"] for each in read_outbox(world)} >= {body["id"]}
    with pytest.raises(ApiError):
        put_test(world.evaluator, "nothing", NOW)


def test_many_members_are_mailed_over_several_ticks(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many at once as fit; nobody is left out, and who has left meanwhile is not mailed."""
    monkeypatch.setattr(mailing, "MOST_MAILS", 2)
    template = {"subject": "Hi", "text": "Hi", "html": "<p>Hi</p>", "topic": "news"}
    save_template(world.evaluator, "hello", template, NOW, "t")
    save(world, on=["entered"], channel={"mail": {"template": "hello", "repeat": "once"}})
    for number in range(5):
        world.call(f"u{number}", 50_000 - number)
    world.tick(49_990)
    assert [len(read_outbox(world)), world.tick(49_980).notifications] == [2, 2]
    world.tick(40_000)
    found = {body["user"]["id"] for body in read_outbox(world) if "dropped" not in body}
    assert found == {"u0", "u1", "u2", "u3"}, "u4 has left by then"
