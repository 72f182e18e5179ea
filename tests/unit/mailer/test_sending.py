"""Each object of the outbox is sent once, whatever breaks off where."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from moto import mock_aws

from common.aws import AwsError
from common.json_text import decode_json
from common.suppression_table import Suppression
from local.template import load_template
from mailer.items import TAKEN
from mailer.ledger import BROKEN_OFF, Claim, Ledger
from mailer.outcomes import LONGEST_PAUSE
from mailer.outgoing import Outgoing
from mailer.pace import TooManyError
from mailer.sending import FRESH, HOLD_PAUSE, LONGEST_WAIT, MOST_RECEIVED, LaterError, Sender, Waiting, make_tags
from tests.unit.mailer.conditions import Conditions

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SCHEDULES = 1_000
BODY: dict[str, Any] = {
    "created_at": "2026-11-21T12:00:00.000Z",
    "notification": {
        "name": "team",
        "cohort": "one",
        "cohort_title": "One",
        "subject": "user",
        "channel": {"email": {"to": ["team@example.com"]}},
    },
    "period": {"from": "2026-11-21T11:45:00.000Z", "to": "2026-11-21T12:00:00.000Z"},
    "counts": {"added": 1, "removed": 0, "members": 7},
    "added": [{"id": "ada", "entered_at": "2026-11-21T11:50:00.000Z", "fields": {}, "cause": {}}],
    "removed": [],
    "cut": False,
}


class CrashError(BaseException):
    """The function is killed."""


class World:
    """DynamoDB of moto's; SES and S3, which count what they get; a clock; and whatever may break off."""

    def __init__(self, client: Any, *, again: bool = False) -> None:
        self.client = client
        self.now = NOW
        self.sent: Counter[str] = Counter()
        self.reports: list[dict[str, Any]] = []
        self.suppressed: list[Suppression] = []
        self.random: Random | None = None
        self.refusal: Exception | None = None  # of SES
        self.sender = Sender(
            ledger=Ledger(self, "ledger"),
            reports=self,  # type: ignore[arg-type]  # a bucket, as far as it is used
            outgoing=Outgoing(),
            ses=self,
            members=self,  # type: ignore[arg-type]
            suppressions=self,  # type: ignore[arg-type]
            is_paused=False,
            find_secrets=lambda _: [],
            sender="mailwake@example.com",
            configuration_set="",
            console="",
            wait=lambda _: None,
            send_unknown=again,
            clock=lambda: self.now,
            random=Random(1),
        )

    def _maybe_crash(self) -> None:
        if self.random and self.random.random() < 0.2:
            raise CrashError

    def get_item(self, **given: Any) -> Any:
        """DynamoDB."""
        self._maybe_crash()
        return self.client.get_item(**given)

    def put_item(self, **given: Any) -> Any:
        """DynamoDB; the function may die before or behind it."""
        self._maybe_crash()
        answer = self.client.put_item(**given)
        self._maybe_crash()
        return answer

    def send_email(self, **given: Any) -> dict[str, str]:
        """SES; the mail may have gone although nobody heard of it."""
        self._maybe_crash()
        if self.refusal:
            raise self.refusal
        tags = {tag["Name"]: tag["Value"] for tag in given["EmailTags"]}
        self.sent[tags["mailwake-id"]] += 1
        self._maybe_crash()
        return {"MessageId": "m"}

    def save_all(self, entries: list[Suppression]) -> None:
        """The list of whom not to mail."""
        self._maybe_crash()
        self.suppressed += entries

    def put_new(self, _key: str, body: bytes, _metadata: Mapping[str, str], _digest: str) -> bool:
        """S3."""
        self._maybe_crash()
        self.reports.append(decode_json(body))
        self._maybe_crash()
        return True

    def send(self, name: str) -> str:
        """One delivery of the queue's message: what became of it."""
        try:
            return self.sender.send({**BODY, "id": name})
        except LaterError:
            return "later"
        except CrashError:
            return "crashed"

    def read_state(self, name: str) -> str | None:
        """The ledger's."""
        found = self.client.get_item(TableName="ledger", Key={"id": {"S": name}}).get("Item")
        return None if found is None else str(found["state"]["S"])


def refuse_throttled() -> ClientError:
    """SES's refusal of what is too fast."""
    error: Any = {"Error": {"Code": "TooManyRequestsException"}, "ResponseMetadata": {"HTTPStatusCode": 429}}
    return ClientError(error, "SendEmail")


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """DynamoDB with the ledger's table."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with mock_aws():
        client = boto3.client("dynamodb")
        client.create_table(
            TableName="ledger",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        )
        yield client


def test_object_is_sent_once(client: Any) -> None:
    """However often its message comes."""
    world = World(client)
    assert [world.send("a"), world.send("a")] == ["sent", "settled before"]
    assert world.sent == {"a": 1}
    assert [(one["state"], one["attempt"], one["recipient"]) for one in world.reports] == [
        ("sent", 1, "team@example.com")
    ]


def test_two_at_once_send_once(client: Any) -> None:
    """Who comes second waits."""
    ledger = Ledger(client, "ledger")
    assert ledger.claim("a", NOW).claim is Claim.OURS
    assert ledger.claim("a", NOW).claim is Claim.BUSY
    assert ledger.claim("a", NOW + BROKEN_OFF).claim is Claim.UNKNOWN


def test_table_in_memory_is_as_dynamodb(client: Any) -> None:
    """Over random steps of a ledger, by several processes."""
    random, tables = Random(1), (client, Conditions())
    for number in range(40):
        now = NOW
        for _ in range(10):
            step, attempt, used = (
                random.choice(["claim", "again", "settle"]),
                random.randint(1, 3),
                random.random() < 0.5,
            )
            state = random.choice(["settled", "retrying", "unknown"])
            ends = []
            for table in tables:
                ledger, name = Ledger(table, "ledger"), f"n{number}"
                if step == "claim":
                    ends.append(ledger.claim(name, now))
                elif step == "again":
                    ends.append(ledger.claim_again(name, attempt, now))  # type: ignore[arg-type]
                else:
                    ends.append(ledger.settle(name, attempt, state, now, used=used))  # type: ignore[arg-type]
            assert ends[0] == ends[1]
            now += random.choice([timedelta(0), BROKEN_OFF])


@pytest.mark.parametrize("failure", [AwsError(400, TAKEN, ""), ClientError({"Error": {"Code": TAKEN}}, "PutItem")])
def test_older_word_of_a_pause_changes_nothing(failure: Exception) -> None:
    """Whoever speaks to DynamoDB: boto3, or our own client, which the mailer has."""

    class Newer:
        """Has something newer."""

        def put_item(self, **_: Any) -> None:
            """Refuses."""
            raise failure

    Ledger(Newer(), "ledger").save_pause(is_paused=True, at="2026-11-21T12:00:00.000Z")


@pytest.mark.parametrize("again", [False, True])
def test_nothing_is_lost_or_sent_twice_wherever_it_breaks_off(again: bool) -> None:
    """Over random crashes at every boundary: settled mails went once; where that is not known, it is reported."""
    world = World(Conditions(), again=again)
    for number in range(SCHEDULES):
        name, world.random = f"n{number}", Random(number)
        settled_sends = None
        for _ in range(200):
            world.send(name)
            if world.read_state(name) in ("settled", "unknown") and settled_sends is None:
                settled_sends = world.sent[name]
            world.now += timedelta(minutes=world.random.choice([1, 30, 600]))
            if settled_sends is not None and world.random.random() < 0.3:
                break
        world.random = None
        world.send(name)
        state = world.read_state(name)
        assert state in ("settled", "unknown"), name
        assert world.sent[name] == settled_sends, f"{name} was sent behind its settlement"
        told = {one["state"] for one in world.reports if one["id"] == name}
        assert told & {"sent", "unknown"}, f"{name}: nobody was told"
        if not again:
            assert world.sent[name] <= 1, name
        if state == "settled":
            assert world.sent[name] >= 1, name
        told_of = {one["attempt"] for one in world.reports if one["id"] == name and one["state"] in ("sent", "unknown")}
        assert world.sent[name] <= len(told_of), f"{name}: an attempt that may have gone was not reported"


def test_paused_mails_wait_and_nothing_else_does(client: Any) -> None:
    """Nothing is claimed, so that they go once the pause is over; digests go on."""
    world = World(client)
    world.sender.is_paused = True
    notification = {**BODY["notification"], "channel": {"mail": {}}}
    with pytest.raises(LaterError) as caught:
        world.sender.send({**BODY, "id": "a", "notification": notification})
    assert caught.value.pause == HOLD_PAUSE
    assert world.read_state("a") is None
    assert world.send("b") == "sent"


@pytest.mark.parametrize("waiting", [Waiting(2, LONGEST_WAIT), Waiting(MOST_RECEIVED, timedelta(hours=1))])
def test_what_waited_too_long_is_given_up_and_reported(client: Any, waiting: Waiting) -> None:
    """Before the queue gives it up, whatever it waits for: a pause, its turn, or SES. Nothing of it is sent then."""

    def refuse(_: int) -> None:
        raise TooManyError

    world = World(client)
    body = {**BODY, "id": "a", "notification": {**BODY["notification"], "channel": {"mail": {}}}, "user": {}}
    world.sender.is_paused = True
    with pytest.raises(LaterError):
        world.sender.send(
            {**body, "user": {"address": "a@example.com"}}, waiting._replace(received=2, age=timedelta(days=9))
        )
    assert world.sender.send({**body, "user": {"address": "a@example.com"}}, waiting) == "failed"
    world.sender.is_paused, world.sender.wait = False, refuse
    with pytest.raises(LaterError):
        world.sender.send({**BODY, "id": "b"}, FRESH)
    assert world.sender.send({**BODY, "id": "b"}, waiting) == "failed"
    world.sender.wait = lambda _: None
    world.refusal = refuse_throttled()
    with pytest.raises(LaterError):
        world.sender.send({**BODY, "id": "c"}, FRESH)
    assert world.sender.send({**BODY, "id": "c"}, waiting) == "failed"
    assert [(one["id"], one["attempt"], one["error"]) for one in world.reports if one["state"] == "failed"] == [
        ("a", 1, "mails to members were held back for 10 days"),
        ("b", 1, "there was no turn at SES for 10 days"),
        ("c", 1, "SES is asked too fast: TooManyRequestsException; given up after 10 days"),
    ]
    assert [world.send(name) for name in "abc"] == ["settled before"] * 3
    assert not world.sent


def test_what_ses_takes_not_now_uses_no_attempt_up(client: Any) -> None:
    """However often: thirteen attempts are for what may be the mail's own fault."""
    world = World(client)
    world.refusal = refuse_throttled()
    assert [world.send("a") for _ in range(30)] == ["later"] * 30
    world.refusal = None
    assert world.send("a") == "sent"
    assert [(one["attempt"], one["state"]) for one in world.reports[-2:]] == [(1, "retrying"), (1, "sent")]


def test_mail_without_an_answer_is_sent_again_where_that_is_wanted(client: Any) -> None:
    """Each such attempt is reported as unknown all the same."""
    world = World(client, again=True)
    world.refusal = ReadTimeoutError(endpoint_url="https://ses")
    assert [world.send("a"), world.send("a")] == ["later", "later"]
    world.refusal = None
    assert world.send("a") == "sent"
    assert [(one["attempt"], one["state"]) for one in world.reports] == [(1, "unknown"), (2, "unknown"), (3, "sent")]
    world = World(client)
    world.refusal = ReadTimeoutError(endpoint_url="https://ses")
    assert [world.send("b"), world.send("b")] == ["unknown", "settled before"]


def test_queue_hands_out_more_often_than_the_mailer_waits() -> None:
    """Else what waits would end in the dead-letter queue, where nobody is told of it."""
    queue = load_template(Path(__file__).parents[3] / "template.yaml").properties("MailQueue")
    assert queue["RedrivePolicy"]["maxReceiveCount"] == MOST_RECEIVED + 10
    assert timedelta(seconds=queue["MessageRetentionPeriod"]) > LONGEST_WAIT + LONGEST_PAUSE + timedelta(days=1)
    # The longest that a message waits by being handed out, an hour each time, or four while all is paused.
    assert MOST_RECEIVED * timedelta(hours=0.8) > LONGEST_WAIT


def test_list_of_whom_not_to_mail_is_copied(client: Any) -> None:
    """One or many in an object; with what was taken off it."""
    world = World(client)
    entry: dict[str, Any] = {
        "address": "a@e.com",
        "topic": "*",
        "reason": "bounced",
        "source": "ses",
        "at": "2026-11-21T12:00:00.000Z",
    }
    removed = {**entry, "reason": "manual", "removed": True}
    assert world.sender.send({"id": "sup-1", "kind": "suppression", "entries": [entry, removed]}) == "saved"
    assert world.sender.send({"id": "sup-2", "kind": "suppression", **entry}) == "saved"
    assert world.suppressed == [
        Suppression(**entry),
        Suppression(**{**entry, "reason": "manual"}, removed=True),
        Suppression(**entry),
    ]


def test_secret_that_cannot_be_read_is_tried_again(client: Any) -> None:
    """Nothing went, so nothing about it is unknown."""

    def fail(_name: str) -> list[str]:
        raise AwsError(503, "ServiceUnavailable", "secretsmanager.GetSecretValue")

    world = World(client)
    world.sender.find_secrets = fail
    channel = {"slack": {"secret": "team"}}
    body = {**BODY, "id": "a", "notification": {**BODY["notification"], "channel": channel}}
    with pytest.raises(LaterError):
        world.sender.send(body)
    assert world.read_state("a") == "retrying"


def test_digest_is_one_mail_whatever_a_title_holds(client: Any) -> None:
    """Lines in it are no headers; an address that can't be mailed is told."""
    world = World(client)
    notification = {**BODY["notification"], "cohort_title": "One\r\nBcc: eve@example.com"}
    assert world.sender.send({**BODY, "id": "a", "notification": notification}) == "sent"
    notification = {**BODY["notification"], "channel": {"email": {"to": ["\u00fc@example.com"]}}}
    assert world.sender.send({**BODY, "id": "b", "notification": notification}) == "failed"
    assert "malformed" in world.reports[-1]["error"]


def test_digest_goes_to_the_address_that_it_names(client: Any) -> None:
    """SES is told the same address as `To`, in ASCII."""
    world = World(client)
    asked: list[dict[str, Any]] = []

    def send_email(**given: Any) -> dict[str, str]:
        asked.append(given)
        return {"MessageId": "m"}

    world.send_email = send_email  # type: ignore[method-assign]
    channel = {"email": {"to": ["ada@b\u00fccher.example", " bob@example.com"]}}
    notification = {**BODY["notification"], "channel": channel}
    assert world.sender.send({**BODY, "id": "a", "notification": notification}) == "sent"
    (given,) = asked
    assert given["Destination"]["ToAddresses"] == ["ada@xn--bcher-kva.example", "bob@example.com"]
    assert b"\r\nTo: ada@xn--bcher-kva.example, bob@example.com\r\n" in given["Content"]["Raw"]["Data"]


def test_tags_lead_back_to_where_a_mail_came_from() -> None:
    """SES tells them with each event: the outbox's id, the notification, and of a mail to a member its template."""
    tags = {"mailwake-id": "a", "mailwake-notification": "team"}
    assert make_tags({**BODY, "id": "a"}) == tags
    assert make_tags({**BODY, "id": "a", "template": {"name": "hello"}}) == {**tags, "mailwake-template": "hello"}
