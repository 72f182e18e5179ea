"""Mails leave no faster than SES takes them, and hardly slower, however many processes send."""

import heapq
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from common.aws import AwsClient
from mailer.pace import FRESH_SECONDS, LONGEST_WAIT, Pace, TooManyError

TABLE = "ledger"


class Account:
    """SES's; it may refuse to tell."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.asked = 0
        self.refuses = False

    def get_account(self) -> Any:
        """Its send rate."""
        self.asked += 1
        if self.refuses:
            raise ClientError({"Error": {"Code": "TooManyRequestsException"}}, "GetAccount")
        return {"SendQuota": {"MaxSendRate": self.rate}}


class Clock:
    """A time that passes by sleeping."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def read(self) -> float:
        """Seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Lets time pass."""
        self.now += seconds


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """DynamoDB."""
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    yield f"http://127.0.0.1:{server.get_host_and_port()[1]}"
    server.stop()


@pytest.fixture
def table(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of DynamoDB, with an empty ledger."""
    for name, value in {
        "AWS_ENDPOINT_URL": server,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("dynamodb")
    client.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    yield client
    client.delete_table(TableName=TABLE)


def make_pace(account: Account, clock: Clock) -> Pace:
    """A process's."""
    return Pace(account, TABLE, AwsClient, clock.read, clock.sleep)


@pytest.mark.parametrize("rate", [1.0, 14.0, 200.0])
@pytest.mark.parametrize("processes", [1, 3])
def test_pace_of_several_processes(table: Any, rate: float, processes: int) -> None:
    """Over some seconds at least 95 % of what SES takes, in no second more, however many share it."""
    account, seconds = Account(rate), 20 if rate < 100 else 4
    clocks = [Clock() for _ in range(processes)]
    paces = [make_pace(account, clock) for clock in clocks]
    turns = [(clock.now, number) for number, clock in enumerate(clocks)]
    begin, times = clocks[0].now, []
    while turns[0][0] < begin + seconds:
        _, number = heapq.heappop(turns)
        paces[number].wait()
        times.append(clocks[number].now)
        clocks[number].sleep(0.001)  # what the send takes
        heapq.heappush(turns, (clocks[number].now, number))
    times = sorted(at for at in times if at < begin + seconds)
    assert 0.95 * rate * seconds <= len(times) + 1
    assert max(sum(at <= other < at + 1 for other in times) for at in times) <= rate
    assert account.asked == 1, "the others read the rate from the table"


def test_each_recipient_counts(table: Any) -> None:
    """A digest to twenty people takes twenty places."""
    clock = Clock()
    pace = make_pace(Account(10), clock)
    pace.wait()
    begin = clock.now
    pace.wait(20)
    assert clock.now - begin == pytest.approx(20 / 9.7, abs=0.001)


def test_idle_time_is_not_made_up_for(table: Any) -> None:
    """After a pause the first goes at once, and the next ones as far apart as ever."""
    clock = Clock()
    pace = make_pace(Account(10), clock)
    pace.wait()
    clock.sleep(60)
    begin = clock.now
    pace.wait()
    assert clock.now == begin
    pace.wait()
    assert clock.now - begin == pytest.approx(1 / 9.7, abs=0.001)


def test_no_place_soon(table: Any) -> None:
    """Nobody waits longer than the function lives, and no place is lost by asking."""
    clock = Clock()
    pace = make_pace(Account(1), clock)
    item = {"id": {"S": "pace"}, "next": {"N": str(int((clock.now + LONGEST_WAIT + 5) * 1_000_000))}}
    table.put_item(TableName=TABLE, Item=item)
    with pytest.raises(TooManyError):
        pace.wait()
    found = table.get_item(TableName=TABLE, Key={"id": {"S": "pace"}})["Item"]
    assert found["next"] == item["next"]
    clock.sleep(6)
    pace.wait()


def test_rate_that_cannot_be_read(table: Any) -> None:
    """What SES said before holds, however old; without that it is one a second, until SES answers."""
    account, clock = Account(200), Clock()
    account.refuses = True
    pace = make_pace(account, clock)
    begin = clock.now
    for _ in range(4):
        pace.wait()
    assert clock.now - begin == pytest.approx(3 / 0.97, abs=0.001)
    account.refuses = False
    clock.sleep(20)
    begin = clock.now
    for _ in range(11):
        pace.wait()
    assert clock.now - begin == pytest.approx(10 / 194, abs=0.001)
    account.refuses = True
    clock.sleep(FRESH_SECONDS + 1)
    begin = clock.now
    for _ in range(11):
        pace.wait()
    assert clock.now - begin == pytest.approx(10 / 194, abs=0.001)
