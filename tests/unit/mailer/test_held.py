"""Mails to members that must not go now, or that never go."""

from datetime import timedelta
from typing import Any

import pytest

from mailer.ledger import PAUSE_KNOWN
from mailer.members import MemberMails, find_quiet_pause
from mailer.outcomes import HELD_OUT, LONGEST_PAUSE, Outcome
from mailer.sending import HOLD_PAUSE, LaterError
from tests.unit.mailer.test_sending import BODY, NOW, World, client

__all__ = ["client"]  # a fixture

QUIET = {"from": "12:00", "to": "13:30", "time_zone": "UTC"}
MAIL: dict[str, Any] = {
    **BODY,
    "id": "m",
    "kind": "mail",
    "user": {"id": "ada", "address": "ada@example.com"},
    "notification": {**BODY["notification"], "channel": {"mail": {}}},
}


def test_a_mail_that_meets_quiet_hours_waits_for_their_end(client: Any) -> None:
    """It waited for SES, or was tried again. No attempt is used up: nothing is claimed."""
    world = World(client)
    with pytest.raises(LaterError) as caught:
        world.sender.send({**MAIL, "quiet": QUIET})
    assert (caught.value.pause, world.read_state("m")) == (timedelta(minutes=90), None)


@pytest.mark.parametrize(
    ("quiet", "pause"),
    [
        (QUIET, timedelta(minutes=90)),
        ({**QUIET, "from": "12:01"}, None),
        ({**QUIET, "to": "11:59"}, LONGEST_PAUSE),
        ({**QUIET, "time_zone": "Europe/Berlin"}, timedelta(minutes=30)),
    ],
)
def test_pause_lasts_until_quiet_hours_end(quiet: dict[str, str], pause: timedelta | None) -> None:
    """By the zone that the evaluator chose."""
    assert find_quiet_pause({"quiet": quiet}, NOW) == pause
    assert find_quiet_pause({}, NOW) is None


def test_a_mail_that_was_dropped_is_only_reported(client: Any) -> None:
    """Also while mails to members are paused, and without a template or a sender."""
    world = World(client)
    world.sender.is_paused = True
    world.sender.members = MemberMails(
        ses=None,
        suppressions=None,  # type: ignore[arg-type]
        keys=None,  # type: ignore[arg-type]
        unsubscribe_url="",
        sender="",
        sender_name="",
        configuration_set="",
    )
    dropped = {"state": "capped", "error": "given up"}
    assert world.sender.send({**MAIL, "dropped": dropped}) == "capped"
    (told,) = world.reports
    assert [told[name] for name in ("id", "state", "error", "user", "recipient", "channel", "template")] == [
        *("m", "capped", "given up", "ada", "ada@example.com", "mail", None)
    ]
    assert world.read_state("m") == "settled"


def test_a_pause_reaches_what_waits_for_ses(client: Any) -> None:
    """In whatever order its beginning and its end come; it is asked for every few seconds."""
    world = World(client)
    begun = {"id": "pause-1-begins", "kind": "pause", "paused": True, "at": "2026-11-21T11:00:00.000Z"}
    ended = {"id": "pause-1-ends", "kind": "pause", "paused": False, "at": "2026-11-21T11:30:00.000Z"}
    assert world.sender.send(begun) == "saved"
    with pytest.raises(LaterError) as caught:
        world.sender.send(MAIL)
    assert (caught.value.pause, world.read_state("m")) == (HOLD_PAUSE, None)
    assert world.send("digest") == "sent"
    assert [world.sender.send(ended), world.sender.send(begun)] == ["saved", "saved"]
    with pytest.raises(LaterError):
        world.sender.send(MAIL)
    world.now += PAUSE_KNOWN
    world.sender.members = Held()  # type: ignore[assignment]
    assert world.sender.send(MAIL) == "held_out"


@pytest.mark.parametrize("is_paused", [False, True])
def test_a_test_mail_is_held_by_the_parameter_alone(client: Any, is_paused: bool) -> None:
    """A pause, begun by somebody or by itself, is of mails to members; a test goes to colleagues."""
    world = World(client)
    world.sender.members = Held()  # type: ignore[assignment]
    world.sender.ledger.save_pause(is_paused=True, at="2026-11-21T11:00:00.000Z")
    world.sender.is_paused = is_paused
    test = {**MAIL, "kind": "test", "to": "rep@example.com"}
    if not is_paused:
        assert world.sender.send(test) == "held_out"
        return
    with pytest.raises(LaterError):
        world.sender.send(test)


class Held:
    """Sends nothing."""

    def send(self, *_: object) -> Outcome:
        """One attempt."""
        return Outcome(HELD_OUT)
