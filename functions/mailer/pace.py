"""Mails leave no faster than SES takes them: all processes draw on the one rate of the account.

The rate is handed out as places in time. One item of the ledger's table, `pace`, tells when the next place is
(`next`, microseconds since 1970), and what SES said of the rate (`rate` a second, `rate_at` in seconds): SES tells that
only once a second. A process takes places for a twentieth of a second at once; those that it does not use in time are
lost.
"""

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from common.aws import AwsClient, AwsError, call_json

ITEM: Final = "pace"
FRESH_SECONDS: Final = 600.0  # for which the rate is not asked for again
AGAIN_SECONDS: Final = 5.0  # after which it is, where SES gave no answer
USED: Final = 0.97  # of the rate, as clocks and networks are not even
SLOWEST: Final = 1.0  # a second: what every account may
BLOCK_SECONDS: Final = 0.05  # for which places are taken at once
LATE_SECONDS: Final = 0.25  # a place is good for so long: used later, it would be one too many in its second
LONGEST_WAIT: Final = 75.0  # seconds; the function has 180
TRIES: Final = 4
_MICROSECONDS: Final = 1_000_000
_TAKEN: Final = "ConditionalCheckFailedException"

log = logging.getLogger(__name__)


class TooManyError(Exception):
    """So many wait that there is no place soon."""


class Pace:
    """Places in time; `ses` is a client of SES v2, `table` the ledger's. For several threads."""

    def __init__(
        self,
        ses: Any,
        table: str,
        open_client: Callable[[str], AwsClient] = AwsClient,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._ses = ses
        self._table = table
        self._open_client = open_client
        self._client: AwsClient | None = None
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._places: deque[float] = deque()
        self._rate = SLOWEST
        self._ask_at = 0.0  # when the rate is looked up

    def wait(self, recipients: int = 1) -> None:
        """Waits until a mail may go; SES counts each recipient. Raises `TooManyError`, `AwsError`."""
        with self._lock:
            at = self._take(recipients)
        pause = at - self._clock()
        if pause > 0:
            self._sleep(pause)

    def _take(self, count: int) -> float:
        now = self._clock()
        while self._places and self._places[0] < now - LATE_SECONDS:
            self._places.popleft()
        if len(self._places) < count:
            self._reserve(count - len(self._places), now)
        return [self._places.popleft() for _ in range(count)][-1]

    def _reserve(self, count: int, now: float) -> None:
        """Takes as many places as are needed, or more."""
        if now >= self._ask_at:
            self._look_up(now)
        step = 1 / (self._rate * USED)
        count = max(count, round(self._rate * BLOCK_SECONDS))
        begin = self._move(round(count * step * _MICROSECONDS)) / _MICROSECONDS
        self._places.extend(begin + step * place for place in range(count))

    def _move(self, width: int) -> int:
        """Moves the next place by so many microseconds; where it was, or now if that is over."""
        for _ in range(TRIES):
            now = round(self._clock() * _MICROSECONDS)
            latest = now + round(LONGEST_WAIT * _MICROSECONDS)
            moved = self._update(
                "SET #next = #next + :width", "#next BETWEEN :now AND :latest", width=width, now=now, latest=latest
            )
            if moved is not None:
                return moved - width
            moved = self._update(
                "SET #next = :end", "attribute_not_exists(#next) OR #next < :now", end=now + width, now=now
            )
            if moved is not None:
                return now
        raise TooManyError

    def _update(self, expression: str, condition: str, **values: int) -> int | None:
        """What the next place is then; None where the condition does not hold."""
        request = {
            "TableName": self._table,
            "Key": {"id": {"S": ITEM}},
            "UpdateExpression": expression,
            "ConditionExpression": condition,
            "ExpressionAttributeNames": {"#next": "next"},
            "ExpressionAttributeValues": {f":{name}": {"N": str(value)} for name, value in values.items()},
            "ReturnValues": "UPDATED_NEW",
        }
        try:
            return int(self._call("UpdateItem", request)["Attributes"]["next"]["N"])
        except AwsError as failure:
            if failure.code != _TAKEN:
                raise
            return None

    def _look_up(self, now: float) -> None:
        """Reads the rate: from the item, or from SES where nobody has for some time."""
        key = {"TableName": self._table, "Key": {"id": {"S": ITEM}}}
        item = self._call("GetItem", {**key, "ConsistentRead": True}).get("Item", {})
        rate, read_at = (float(item.get(name, {}).get("N", 0)) for name in ("rate", "rate_at"))
        self._ask_at = read_at + FRESH_SECONDS
        if now >= self._ask_at:
            try:
                rate = float(self._ses.get_account()["SendQuota"]["MaxSendRate"])
            except (ClientError, BotoCoreError) as failure:
                log.warning("the send rate can't be read", extra={"error": type(failure).__qualname__})
                self._ask_at = now + AGAIN_SECONDS * random.uniform(1, 2)  # noqa: S311 - jitter
            else:
                self._ask_at = now + FRESH_SECONDS
                values = {":rate": {"N": f"{rate:g}"}, ":at": {"N": str(int(now))}}
                names = {"#rate": "rate"}
                change = {"ExpressionAttributeNames": names, "ExpressionAttributeValues": values}
                self._call("UpdateItem", {**key, **change, "UpdateExpression": "SET #rate = :rate, rate_at = :at"})
        self._rate = max(rate, SLOWEST)

    def _call(self, action: str, request: dict[str, Any]) -> dict[str, Any]:
        self._client = self._client or self._open_client("dynamodb")
        return call_json(self._client, f"DynamoDB_20120810.{action}", request, version="1.0")
