"""Mails to members: never to those who must not get them, and no faster than SES takes them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default as modern
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from common.aws import AwsError
from common.suppression_table import ALL, Suppression, SuppressionTable
from mailer.members import MemberMails
from mailer.unsubscribing import read_token

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
KEY = b"a key"
BODY: dict[str, Any] = {
    "id": "mail-1-2",
    "kind": "mail",
    "notification": {"name": "n", "cohort": "one", "cohort_title": "One", "channel": {"mail": {}}},
    "user": {"id": "u1", "address": "Ada@example.com", "traits": {"name": "Ada"}},
    "template": {
        "name": "t",
        "version": 1,
        "subject": "Hi {{ user.traits.name }}",
        "html": "<p>x",
        "text": "x",
        "topic": "news",
    },
    "held_out": False,
}


class World:
    """SES, which keeps what it gets; keys; and whatever is to happen just before the list is read."""

    def __init__(self, table: SuppressionTable) -> None:
        self.table = table
        self.sent: list[dict[str, Any]] = []
        self.before_send: list[Suppression] = []
        self.mails = MemberMails(
            ses=self,
            suppressions=table,
            keys=self,  # type: ignore[arg-type]  # as far as they are used
            unsubscribe_url="https://api.example.com/unsubscribe",
            sender="team@example.com",
            sender_name="The team",
            configuration_set="set",
        )

    def find(self) -> list[bytes]:
        """The keys; somebody unsubscribes while the mail is made."""
        for one in self.before_send:
            self.table.save(one)
        return [KEY]

    def send_email(self, **given: Any) -> dict[str, str]:
        """SES."""
        self.sent.append(given)
        return {"MessageId": "m1"}

    def send(self, **others: Any) -> tuple[str, str]:
        """State and error of one attempt."""
        outcome = self.mails.send({**BODY, **others}, {"mailwake-id": "mail-1-2"}, NOW)
        return outcome.state, outcome.error


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """DynamoDB."""
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def world(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """An empty list."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    client = boto3.client("dynamodb", region_name="eu-west-1")
    client.create_table(
        TableName="suppressions",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("address", "topic")],
        KeySchema=[{"AttributeName": "address", "KeyType": "HASH"}, {"AttributeName": "topic", "KeyType": "RANGE"}],
    )
    yield World(SuppressionTable("suppressions"))
    client.delete_table(TableName="suppressions")


def make(topic: str = ALL, at: int = 1, **others: Any) -> Suppression:
    """An entry for Ada."""
    return Suppression("ada@example.com", topic, "complained", "ses", f"2026-11-21T12:00:0{at}.000Z", **others)


def test_member_gets_a_mail_with_a_link_of_her_own(world: World) -> None:
    """Both parts, her name, and a token that only we can have made."""
    assert world.send() == ("sent", "")
    (given,) = world.sent
    assert given["Destination"] == {"ToAddresses": ["Ada@example.com"]}
    assert given["ConfigurationSetName"] == "set"
    message = message_from_bytes(given["Content"]["Raw"]["Data"], policy=modern)
    assert (message["Subject"], str(message["From"])) == ("Hi Ada", "The team <team@example.com>")
    url = message["List-Unsubscribe"].strip("<>")
    base, _, token = url.rpartition("/")
    assert base == "https://api.example.com/unsubscribe"
    assert read_token(token, [KEY]) == ("ada@example.com", "news", "mail-1-2")


@pytest.mark.parametrize("topic", [ALL, "news"])
def test_suppressed_address_gets_nothing(world: World, topic: str) -> None:
    """For all mails or for this topic; also where it happens while the mail waits for its turn."""
    world.before_send.append(make(topic))
    assert world.send() == ("suppressed", "the address has complained")
    assert world.sent == []


def test_other_topics_and_addresses_are_mailed(world: World) -> None:
    """Who wants no news still gets the rest."""
    world.table.save(make("billing"))
    world.table.save(make()._replace(address="bob@example.com"))
    assert world.send()[0] == "sent"


def test_what_happened_last_counts_in_whatever_order_it_is_told(world: World) -> None:
    """An address that was taken off the list is mailed until something later happens."""
    world.table.save(make(at=3, removed=True))
    world.table.save(make(at=2))
    assert world.send()[0] == "sent"
    world.table.save(make(at=4))
    world.table.save(make(at=3, removed=True))
    assert world.send()[0] == "suppressed"


def test_nothing_is_sent_while_the_list_cannot_be_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried again."""

    def fail(*_: object) -> str:
        raise AwsError(0, "", "dynamodb")

    monkeypatch.setattr(world.table, "find_reason", fail)
    assert world.send()[0] == "retrying"
    assert world.sent == []


@pytest.mark.parametrize(
    ("others", "outcome"),
    [
        ({"held_out": True}, ("held_out", "")),
        (
            {"user": {**BODY["user"], "address": None}},
            ("failed", "the address can't be mailed: it is malformed, or not ASCII before the @"),
        ),
        (
            {"user": {**BODY["user"], "traits": {}}},
            ("failed", "subject, line 1: something is missing, or null, of this member: Hi {{ user.traits.name }}"),
        ),
    ],
)
def test_nothing_is_sent_to_whom_nothing_is_due(world: World, others: Any, outcome: tuple[str, str]) -> None:
    """The hold-out, whoever has no address, and whoever lacks what the template asks for."""
    assert world.send(**others) == outcome
    assert world.sent == []


def test_many_are_saved_at_once_and_what_is_newer_stays(world: World) -> None:
    """However many, of an address the last one; whoever is there with a later cause stays as she is."""
    ada = make(at=5, removed=True)
    world.table.save(ada)
    many = [make(at=3)._replace(address=f"a{number}@example.com") for number in range(7)]
    world.table.save_all([make(at=4), *many, many[0]._replace(at=make(at=2).at, reason="bounced")])
    assert world.send()[0] == "sent"
    assert {world.table.find_reason(one.address, "news") for one in many} == {"complained"}
    world.table.save_all([make(at=6)])
    assert world.send()[0] == "suppressed"
