"""Whose a claim is, and how one ends that broke off."""

from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from mailer.ledger import BROKEN_OFF, Claim, Ledger
from mailer.sending import BROKE_OFF, BUSY_PAUSE, LONGEST_WAIT, MOST_RECEIVED, LaterError, Waiting
from tests.unit.mailer.conditions import Conditions
from tests.unit.mailer.test_sending import BODY, NOW, World

LAST = [Waiting(2, LONGEST_WAIT), Waiting(MOST_RECEIVED, timedelta(hours=1))]
HOOK: dict[str, Any] = {
    **BODY,
    "id": "hook",
    "notification": {**BODY["notification"], "channel": {"webhook": {"url": "https://a.example/", "secret": "s"}}},
}


class Repeating(Conditions):
    """DynamoDB whose first answer to each write is lost: the client asks again, as common.aws does."""

    def put_item(self, **given: Any) -> Any:
        """Writes twice; the second answer is told."""
        with suppress(ClientError):
            super().put_item(**given)
        return super().put_item(**given)


def test_claim_whose_answer_was_lost_is_ours() -> None:
    """The client's second try finds what the first one wrote: a new claim, a later one, and one that broke off."""
    table = Repeating()
    ledger = Ledger(table, "ledger")
    assert ledger.claim("a", NOW) == (Claim.OURS, 1)
    assert Ledger(table, "ledger").claim("a", NOW) == (Claim.BUSY, 1)
    ledger.settle("a", 1, "retrying", NOW)
    assert ledger.claim("a", NOW) == (Claim.OURS, 2)
    assert ledger.claim_again("a", 2, NOW)
    assert not ledger.claim_again("a", 2, NOW)
    assert ledger.claim("a", NOW) == (Claim.BUSY, 3)


def break_off(world: World, body: dict[str, Any]) -> None:
    """Somebody claimed a message, and died."""
    assert world.sender.ledger.claim(body["id"], NOW).claim is Claim.OURS


@pytest.mark.parametrize("waiting", LAST)
def test_last_attempt_that_broke_off_is_the_end(waiting: Waiting) -> None:
    """Another one might break off, too, and then nobody would tell: what may be repeated is given up as failed."""
    world = World(Conditions())
    break_off(world, HOOK)
    world.now += BROKEN_OFF
    assert world.sender.send(HOOK, waiting) == "failed"
    ((told),) = world.reports
    assert (told["attempt"], told["state"], told["error"]) == (1, "failed", f"{BROKE_OFF}; given up after 10 days")
    assert world.read_state("hook") == "settled"


@pytest.mark.parametrize("waiting", LAST)
def test_last_mail_that_broke_off_stays_unknown(waiting: Waiting) -> None:
    """It may have gone, so that it is not said to have failed, and is not sent again."""
    world = World(Conditions(), again=True)
    break_off(world, {"id": "mail"})
    world.now += BROKEN_OFF
    assert world.sender.send({**BODY, "id": "mail"}, waiting) == "unknown"
    assert [(one["attempt"], one["state"]) for one in world.reports] == [(1, "unknown")]
    assert not world.sent


def test_message_that_was_handed_out_often_outlasts_a_claim_of_somebody() -> None:
    """Ten more times at a minute's distance would be over before the claim is known to have broken off."""
    world = World(Conditions())
    break_off(world, HOOK)
    pauses = []
    for waiting in (Waiting(2, timedelta(0)), LAST[1]):
        with pytest.raises(LaterError) as caught:
            world.sender.send(HOOK, waiting)
        pauses.append(caught.value.pause)
    assert pauses == [BUSY_PAUSE, BROKEN_OFF]
