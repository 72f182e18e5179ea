"""Mails to members over random faults: none to whom it is forbidden, none twice, none lost."""

import contextlib
from datetime import timedelta
from random import Random
from typing import Any

from common.aws import AwsError
from mailer.members import MemberMails
from mailer.sending import LaterError
from tests.unit.mailer.conditions import Conditions
from tests.unit.mailer.test_members import BODY
from tests.unit.mailer.test_sending import CrashError, World

SCHEDULES = 1_000


class MemberWorld(World):
    """The list of whom not to mail, which may fail, and to which she is added at some moment."""

    def __init__(self, client: Any) -> None:
        super().__init__(client)
        self.is_forbidden = False
        self.told_late = 0
        self.sender.members = MemberMails(
            ses=self,
            suppressions=self,  # type: ignore[arg-type]  # as far as it is used
            keys=self,  # type: ignore[arg-type]
            unsubscribe_url="https://api.example.com/unsubscribe",
            sender="team@example.com",
            sender_name="",
            configuration_set="",
        )

    def find(self) -> list[bytes]:
        """The keys; what happens meanwhile counts."""
        self._maybe_crash()
        if self.random and self.random.random() < 0.3:
            self.is_forbidden = True
        return [b"a key"]

    def find_reason(self, _address: str, _topic: str) -> str:
        """The list."""
        self._maybe_crash()
        if self.random and self.random.random() < 0.2:
            raise AwsError(0, "", "dynamodb")
        return "unsubscribed" if self.is_forbidden else ""

    def send_email(self, **given: Any) -> dict[str, str]:
        """SES."""
        assert not self.is_forbidden, "she was mailed all the same"
        return super().send_email(**given)

    def send_mail(self, name: str) -> None:
        """One delivery of the queue's message."""
        with contextlib.suppress(LaterError, CrashError):
            self.sender.send({**BODY, "id": name})


def test_nobody_is_mailed_who_must_not_be() -> None:
    """Wherever the function dies, and whenever she unsubscribes."""
    world, ends = MemberWorld(Conditions()), set()
    for number in range(SCHEDULES):
        name, world.random, world.is_forbidden = f"n{number}", Random(number), False
        while world.read_state(name) not in ("settled", "unknown"):
            world.send_mail(name)
            world.now += timedelta(minutes=world.random.choice([1, 30, 600]))
        world.random = None
        world.send_mail(name)
        told = {one["state"] for one in world.reports if one["id"] == name}
        assert told & {"sent", "unknown", "suppressed", "failed"}, f"{name}: nobody was told"
        assert world.sent[name] <= 1, name
        assert world.sent[name] == 1 or "sent" not in told, name
        ends |= told
    assert {"sent", "unknown", "suppressed", "retrying"} <= ends
