"""Who has been told what: claimed before a send and settled behind it, so that nothing is sent twice.

One item for each id of the outbox: `state` is claimed (a send is under way, or broke off), retrying (it certainly did
not go), settled (final), or unknown (reported as such, and final). Every write is conditional on what was read. A claim
has an owner of its own: the client repeats a write whose answer was lost, and what refuses it then may be itself.
"""

from datetime import UTC, datetime, timedelta
from enum import Enum
from secrets import token_hex
from typing import Any, Final, NamedTuple

from botocore.exceptions import ClientError

from common.aws import AwsError
from mailer.items import is_taken

BROKEN_OFF: Final = timedelta(minutes=20)  # a claim of that age is nobody's: no send takes as long
KEPT: Final = timedelta(days=400)
PAUSE: Final = "pause"  # the id of the item that says whether mails to members are paused
PAUSE_KNOWN: Final = timedelta(seconds=5)  # for which it is not asked for again


class Claim(Enum):
    """What became of a claim."""

    OURS = "ours"  # send, then settle
    SETTLED = "settled"  # it is done
    BUSY = "busy"  # somebody else is at it, or was a moment ago
    UNKNOWN = "unknown"  # somebody was, and broke off: whether it went nobody knows


class Claimed(NamedTuple):
    """The answer to a claim."""

    claim: Claim
    attempt: int  # the number of this attempt, from 1


class Ledger:
    """The ledger's table; `client` is DynamoDB's, boto3's or `Items`."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table
        self._pause = (datetime.min.replace(tzinfo=UTC), False)  # when it was asked for, and what it was

    def claim(self, name: str, now: datetime) -> Claimed:
        """Claims an id for a send."""
        found = self._claim(name, 1, now, "attribute_not_exists(id)", {})
        if found is None:  # nearly all are new
            return Claimed(Claim.OURS, 1)
        if not found:
            return Claimed(Claim.BUSY, 1)
        state, attempt = found["state"]["S"], int(found["attempt"]["N"])
        if state in ("settled", "unknown"):
            return Claimed(Claim.SETTLED, attempt)
        if state == "claimed":
            is_over = datetime.fromisoformat(found["at"]["S"]) + BROKEN_OFF <= now
            return Claimed(Claim.UNKNOWN if is_over else Claim.BUSY, attempt)
        condition = "#state = :retrying AND attempt = :before"
        values = {":retrying": {"S": "retrying"}, ":before": {"N": str(attempt)}}
        is_ours = self._claim(name, attempt + 1, now, condition, values) is None
        return Claimed(Claim.OURS if is_ours else Claim.BUSY, attempt + 1)

    def claim_again(self, name: str, attempt: int, now: datetime) -> bool:
        """Claims an id whose send broke off, where the owner wants it sent again."""
        values = {":claimed": {"S": "claimed"}, ":before": {"N": str(attempt)}}
        return self._claim(name, attempt + 1, now, "#state = :claimed AND attempt = :before", values) is None

    def settle(self, name: str, attempt: int, state: str, now: datetime, *, used: bool = True) -> bool:
        """Ends a claim: settled, retrying or unknown. False where it was somebody else's.

        Where the attempt was not `used` the next one has its number.
        """
        values = {":claimed": {"S": "claimed"}, ":before": {"N": str(attempt)}}
        number = attempt if used else attempt - 1
        return self._write(name, state, number, now, "#state = :claimed AND attempt = :before", values)

    def save_pause(self, *, is_paused: bool, at: str) -> None:
        """Keeps whether mails to members are paused since an instant, unless something newer is known."""
        item = {"id": {"S": PAUSE}, "paused": {"BOOL": is_paused}, "at": {"S": at}}
        condition = {"ConditionExpression": "attribute_not_exists(id) OR #at <= :at"}
        try:
            self._client.put_item(
                TableName=self._table,
                Item=item,
                **condition,
                ExpressionAttributeNames={"#at": "at"},
                ExpressionAttributeValues={":at": {"S": at}},
            )
        except (AwsError, ClientError) as failure:
            if not is_taken(failure):
                raise

    def is_paused(self, now: datetime) -> bool:
        """Whether mails to members are paused, as it was known some seconds ago."""
        asked_at, is_paused = self._pause
        if not asked_at <= now < asked_at + PAUSE_KNOWN:
            found = self._find(PAUSE)
            is_paused = bool(found and found["paused"]["BOOL"])
            self._pause = now, is_paused
        return is_paused

    def _find(self, name: str) -> dict[str, Any]:
        found = self._client.get_item(TableName=self._table, Key={"id": {"S": name}}, ConsistentRead=True)
        item: dict[str, Any] = found.get("Item") or {}
        return item

    def _claim(
        self, name: str, attempt: int, now: datetime, condition: str, values: dict[str, Any]
    ) -> dict[str, Any] | None:
        """Writes a claim: None where it is ours, else the item that is there, empty if it is gone."""
        owner = token_hex(8)
        if self._write(name, "claimed", attempt, now, condition, values, owner):
            return None
        found = self._find(name)
        return None if found.get("owner") == {"S": owner} else found

    def _write(
        self,
        name: str,
        state: str,
        attempt: int,
        now: datetime,
        condition: str,
        values: dict[str, Any],
        owner: str = "",
    ) -> bool:
        item = {
            "id": {"S": name},
            "state": {"S": state},
            "attempt": {"N": str(attempt)},
            "at": {"S": now.isoformat()},
            "expires_at": {"N": str(int((now + KEPT).timestamp()))},
        }
        if owner:
            item["owner"] = {"S": owner}
        names = {"#state": "state"} if "#state" in condition else None
        given: dict[str, Any] = {"TableName": self._table, "Item": item, "ConditionExpression": condition}
        if values:
            given["ExpressionAttributeValues"] = values
        if names:
            given["ExpressionAttributeNames"] = names
        try:
            self._client.put_item(**given)
        except (AwsError, ClientError) as failure:
            if is_taken(failure):
                return False
            raise
        return True
