"""From the outbox to what the API tells of it, over random faults at each step: nothing is lost, nothing comes twice.

Postgres and all code are real; S3, the two queues, DynamoDB, SES and the other side are small copies that die, refuse,
repeat and forget to answer: before and behind each write, and each time that something is handed on.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from psycopg2.extensions import connection as Connection

from cohort_evaluator.outbox import publish
from cohort_evaluator.suppressing import add_suppression
from common.json_text import decode_json, encode_json
from common.suppression_table import Suppression
from mailer.ledger import Ledger
from mailer.members import MemberMails
from mailer.outgoing import Answer, NoAnswerError, Outgoing
from mailer.pace import TooManyError
from mailer.sending import LaterError, Sender, Waiting
from s3_loader.batches import Batch
from s3_loader.deliveries import load_delivery
from s3_loader.loading import Loader
from tests.integration.batches import LIMITS
from tests.integration.conftest import NOW, Connect
from tests.integration.test_loading import select
from tests.unit.mailer.conditions import Conditions
from tests.unit.mailer.test_members import BODY as MAIL
from tests.unit.mailer.test_sending import BODY as DIGEST
from tests.unit.mailer.test_sending import CrashError

FAULTS = 0.06  # at each step
MOST_HANDED_OUT = 400  # maxReceiveCount
HIDDEN = timedelta(minutes=12)
ENDS = {"sent", "failed", "unknown", "suppressed"}
WEBHOOK: dict[str, Any] = {
    **DIGEST["notification"],
    "name": "crm",
    "channel": {"webhook": {"url": "https://a.example/", "secret": "s"}},
}
WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ADDRESS = "ada@example.com"


@dataclass
class Message:
    """One of a queue."""

    key: str
    at: datetime  # when it was sent
    visible_at: datetime
    received: int = 0


class Dynamo(Conditions):
    """DynamoDB, as far as the ledger uses it."""

    def __init__(self, world: "World") -> None:
        super().__init__()
        self._world = world

    def get_item(self, **given: Any) -> Any:
        """An item, if it is there."""
        self._world.fail_maybe()
        return super().get_item(**given)

    def put_item(self, **given: Any) -> Any:
        """Writes an item where the condition holds."""
        self._world.fail_maybe()
        super().put_item(**given)
        self._world.fail_maybe()


class Store:
    """A bucket, which tells a queue of what is new: mostly once."""

    def __init__(self, world: "World", queue: list[Message]) -> None:
        self.objects: dict[str, bytes] = {}
        self._world = world
        self._queue = queue

    def put(self, key: str, body: bytes) -> None:
        """In place of what is there."""
        self._world.fail_maybe()
        self.objects[key] = body
        for _ in range(2 if self._world.happens(0.1) else 1):
            self._queue.append(Message(key, self._world.now, self._world.now))
        self._world.fail_maybe()

    def put_new(self, key: str, body: bytes, _metadata: Mapping[str, str], _digest: str) -> bool:
        """Unless it is there."""
        if key in self.objects:
            return False
        self.put(key, body)
        return True


class Other(Outgoing):
    """Who gets webhooks, and Slack, whose URLs end with the message's id."""

    def __init__(self, world: "World") -> None:
        super().__init__()
        self._world = world

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """It may have come although nobody heard of it."""
        world = self._world
        world.fail_maybe()
        if world.happens(0.1):
            raise ConnectionRefusedError
        if world.happens(0.2):
            return Answer(503, {}, b"")
        world.sent[headers.get("webhook-id") or url.rpartition("/")[2]] += 1
        world.fail_maybe()
        if world.happens(0.1):
            raise NoAnswerError("TimeoutError")
        return Answer(200, {}, b"")


@dataclass
class World:
    """All of the path."""

    evaluator: Connection
    loader: Connection
    random: Random
    now: datetime = NOW
    is_faulty: bool = True
    is_forbidden: bool = False  # whether the mailer knows that she must get nothing
    sent: Counter[str] = field(default_factory=Counter)
    queue: list[Message] = field(default_factory=list)
    reports: list[Message] = field(default_factory=list)
    given_up: list[Message] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)  # of faults

    def __post_init__(self) -> None:
        self.ledger = Dynamo(self)
        self.outbox = Store(self, self.queue)
        self.raw = Store(self, self.reports)
        self.sender = Sender(
            ledger=Ledger(self.ledger, "ledger"),
            reports=self.raw,  # type: ignore[arg-type]  # a bucket, as far as it is used
            outgoing=Other(self),
            ses=self,
            members=MemberMails(
                ses=self,
                suppressions=self,  # type: ignore[arg-type]  # the table
                keys=self,  # type: ignore[arg-type]
                unsubscribe_url="https://api.example.com/unsubscribe",
                sender="team@example.com",
                sender_name="",
                configuration_set="set",
            ),
            suppressions=self,  # type: ignore[arg-type]
            is_paused=False,
            find_secrets=lambda name: [f"https://a.example/{name}" if name != "s" else WEBHOOK_SECRET],
            sender="team@example.com",
            configuration_set="set",
            console="",
            wait=self.wait,
            send_unknown=False,
            clock=lambda: self.now,
            random=self.random,
        )

    def happens(self, share: float) -> bool:
        """While there are faults."""
        return self.is_faulty and self.random.random() < share

    def fail_maybe(self) -> None:
        """Whoever works here dies."""
        if self.happens(FAULTS):
            raise CrashError

    def find(self) -> list[bytes]:
        """The keys that links are signed with."""
        self.fail_maybe()
        return [b"a key"]

    def wait(self, _recipients: int) -> None:
        """SES's pace."""
        self.fail_maybe()
        if self.happens(0.1):
            raise TooManyError

    def find_reason(self, _address: str, _topic: str) -> str:
        """The list of whom not to mail."""
        self.fail_maybe()
        return "manual" if self.is_forbidden else ""

    def save_all(self, entries: list[Suppression]) -> None:
        """The same list."""
        self.fail_maybe()
        self.is_forbidden = self.is_forbidden or any(one.address == ADDRESS for one in entries)
        self.fail_maybe()

    def send_email(self, **given: Any) -> dict[str, str]:
        """SES: refuses, fails, or takes the mail, and may not say so; tells of it later, mostly."""
        self.fail_maybe()
        if self.happens(0.2):
            code = self.random.choice(["TooManyRequestsException", "SendingPausedException"])
            raise ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": 400}}, "SendEmail")  # type: ignore[typeddict-item]
        if self.happens(0.05):
            raise ReadTimeoutError(endpoint_url="https://ses")
        tags = {tag["Name"]: tag["Value"] for tag in given["EmailTags"]}
        name, (to, *_) = tags["mailwake-id"], given["Destination"]["ToAddresses"]
        assert not (self.is_forbidden and to.lower() == ADDRESS), "she was mailed all the same"
        self.sent[name] += 1
        if not self.happens(0.3):
            is_faulty, self.is_faulty = self.is_faulty, False
            self.raw.put(f"raw/amazon_ses/{name}-{self.sent[name]}", self._make_event(tags, to))
            self.is_faulty = is_faulty
        self.fail_maybe()
        if self.happens(0.1):
            raise ReadTimeoutError(endpoint_url="https://ses")
        return {"MessageId": f"ses-{name}-{self.sent[name]}"}

    def _make_event(self, tags: dict[str, str], to: str) -> bytes:
        name, at = tags["mailwake-id"], self.now.isoformat().replace("+00:00", "Z")
        mail = {"messageId": f"ses-{name}-{self.sent[name]}", "timestamp": at, "destination": [to]}
        message = {"eventType": "Send", "send": {}, "mail": {**mail, "tags": {key: [one] for key, one in tags.items()}}}
        envelope = {"Type": "Notification", "MessageId": f"sns-{name}-{self.sent[name]}", "Timestamp": at}
        return json.dumps({**envelope, "TopicArn": "arn:aws:sns:a:1:b", "Message": json.dumps(message)}).encode()

    def _take(self, queue: list[Message]) -> Message | None:
        ready = [message for message in queue if message.visible_at <= self.now]
        if not ready:
            return None
        message = self.random.choice(ready)
        message.received += 1
        message.visible_at = self.now + HIDDEN
        return message

    def publish(self) -> None:
        """What a tick does behind its commit."""
        publish(self.evaluator, self.outbox)  # type: ignore[arg-type]
        self.fail_maybe()

    def mail(self) -> None:
        """One invocation of the mailer."""
        message = self._take(self.queue)
        if message is None:
            return
        if message.received > MOST_HANDED_OUT:
            self.queue.remove(message)
            self.given_up.append(message)
            return
        try:
            body = decode_json(self.outbox.objects[message.key])
            self.sender.send(body, Waiting(message.received, self.now - message.at))
        except LaterError as later:
            self.fail_maybe()
            message.visible_at = self.now + later.pause
        else:
            self.fail_maybe()
            self.queue.remove(message)

    def load(self) -> None:
        """One invocation of the loader."""
        message = self._take(self.reports)
        if message is None:
            return
        provider = message.key.split("/")[1]
        batch = Batch(message.key, provider, None, None, self.now, self.raw.objects[message.key])
        if provider == "mailwake":
            assert load_delivery(self.loader, batch, replay=self.happens(0.2)).quarantined == 0
        else:
            assert Loader().load(self.loader, batch, LIMITS, replay=self.happens(0.2)).quarantined == 0
        self.fail_maybe()
        self.reports.remove(message)

    def forbid(self) -> None:
        """Somebody puts her on the list."""
        add_suppression(self.evaluator, ADDRESS, "*", self.now, "test")

    def run(self, step: Callable[[], None]) -> None:
        """A step, which may break off."""
        try:
            step()
        except CrashError:
            self.kinds[step.__name__] += 1

    def settle_down(self) -> None:
        """Until nothing is left to do, without faults."""
        self.is_faulty = False
        self.publish()
        while self.queue or self.reports:
            self.now = max(self.now, min(message.visible_at for message in (*self.queue, *self.reports)))
            self.mail()
            self.load()


def make_bodies(number: int) -> list[dict[str, Any]]:
    """A digest, a mail to Ada, a webhook and a digest in Slack."""
    slack = {**DIGEST["notification"], "name": "sales", "channel": {"slack": {"secret": f"slack-{number}"}}}
    mail = {**MAIL, "created_at": DIGEST["created_at"], "user": {**MAIL["user"], "address": ADDRESS}}
    return [
        {**DIGEST, "id": f"digest-{number}"},
        {**mail, "id": f"mail-{number}"},
        {**DIGEST, "id": f"hook-{number}", "notification": WEBHOOK},
        {**DIGEST, "id": f"slack-{number}", "notification": slack},
    ]


def run_schedule(evaluator: Connection, loader: Connection, number: int) -> World:
    """One schedule, to its end."""
    random = Random(number)
    world = World(evaluator, loader, random)
    world.sender.send_unknown = number % 5 == 0
    bodies = make_bodies(number)
    with evaluator, evaluator.cursor() as cursor:
        cursor.execute("DELETE FROM suppressions")
        for body in bodies:
            row = (body["id"], encode_json(body).decode(), NOW)
            cursor.execute("INSERT INTO outbox (id, body, created_at) VALUES (%s, %s, %s)", row)
    steps = [world.publish, world.mail, world.mail, world.mail, world.load, world.load]
    for _ in range(40):
        if random.random() < 0.02:
            world.run(world.forbid)
        world.sender.is_paused = random.random() < 0.1
        world.run(random.choice(steps))
        world.now += timedelta(seconds=random.choice([0, 1, 5, 60, 1_800]))
    world.sender.is_paused = number % 10 == 0
    world.settle_down()
    return world


def check(world: World, query: Connection, number: int, seen: Counter[str]) -> None:
    """What must hold at the end of each schedule."""
    assert world.given_up == []
    assert select(world.evaluator, "SELECT 1 FROM outbox") == []
    for body in make_bodies(number):
        name = body["id"]
        rows = select(query, f"SELECT state, event_key FROM known_deliveries WHERE id = '{name}' ORDER BY attempt")
        assert rows, f"{name}: nobody was told"
        told, (last, event_key) = {state for state, _ in rows}, rows[-1]
        ledger, sent = world.ledger.items[name]["state"]["S"], world.sent[name]
        assert ledger in ("settled", "unknown"), name
        assert last in ENDS, f"{name} ended as {last}"
        if last == "sent":
            assert sent >= 1, f"{name} is said to be sent"
        if last in ("failed", "suppressed") and not told & {"unknown", "sent"} and not name.startswith("hook"):
            assert sent == 0, f"{name} was sent, and is said to be {last}"
        if not name.startswith("hook") and not world.sender.send_unknown:
            assert sent <= 1, f"{name} was sent {sent} times"
        if not name.startswith("hook"):
            reported = sum(1 for state, _ in rows if state in ("sent", "unknown"))
            assert sent <= reported, f"{name} was sent {sent} times, and {reported} of them are told of"
        seen[f"{last}, by an event" if event_key else last] += 1


SEEDS = [range(150), pytest.param(range(150, 1_200), marks=pytest.mark.slow)]


@pytest.mark.parametrize("seeds", SEEDS, ids=["quick", "all"])
def test_nothing_is_lost_or_told_twice(connect: Connect, seeds: range) -> None:
    """Each message ends as sent, failed, suppressed or unknown, and is told to be; mails and what Slack gets go once;
    none to who must not get it; what SES told of is known to be sent.
    """
    evaluator, loader, query = map(connect, ("mailwake_evaluator", "mailwake_loader", "mailwake_query"))
    query.autocommit = True
    seen: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    for number in seeds:
        world = run_schedule(evaluator, loader, number)
        check(world, query, number, seen)
        kinds += world.kinds
    assert set(seen) == {*ENDS, "sent, by an event"}
    assert set(kinds) == {"publish", "mail", "load"}
    print(dict(seen), dict(kinds))
