"""The mailer's own list of whom not to mail, in DynamoDB: one item for each address and topic, `*` for every mail.

What happened last counts, in whatever order it is written: each item has the time of its cause. An address that was
taken off the list keeps its item, marked `removed`.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from common.aws import AwsClient, AwsError, call_json

ALL: Final = "*"
_OLDER: Final = "ConditionalCheckFailedException"


class Suppression(NamedTuple):
    """One entry."""

    address: str  # lower case
    topic: str
    reason: str  # bounced, complained, unsubscribed or manual
    source: str  # a provider, an API key's name, or unsubscribe
    at: str  # of its cause, as `format_instant` writes it
    removed: bool = False


class SuppressionTable:
    """The table. Its methods raise `AwsError`."""

    def __init__(self, name: str, open_client: Callable[[str], AwsClient] = AwsClient) -> None:
        self._name = name
        self._open_client = open_client
        self._client: AwsClient | None = None

    def save(self, one: Suppression) -> None:
        """Writes an entry, unless there is one with a later cause."""
        texts = {"address": one.address, "topic": one.topic, "reason": one.reason, "source": one.source, "at": one.at}
        item: dict[str, Any] = {name: {"S": text} for name, text in texts.items()}
        if one.removed:
            item["removed"] = {"BOOL": True}
        request = {
            "TableName": self._name,
            "Item": item,
            "ConditionExpression": "attribute_not_exists(address) OR #at <= :at",
            "ExpressionAttributeNames": {"#at": "at"},
            "ExpressionAttributeValues": {":at": {"S": one.at}},
        }
        try:
            self._call("PutItem", request)
        except AwsError as failure:
            if failure.code != _OLDER:
                raise

    def save_all(self, entries: Iterable[Suppression]) -> None:
        """The same of many; of an address and topic the last one counts."""
        newest = {(one.address, one.topic): one for one in sorted(entries, key=lambda one: one.at)}
        for one in newest.values():
            self.save(one)

    def find_reason(self, address: str, topic: str) -> str:
        """Why an address gets no mails of a topic, by what is written now; empty where it does."""
        request = {
            "TableName": self._name,
            "KeyConditionExpression": "address = :address",
            "ExpressionAttributeValues": {":address": {"S": address}},
            "ConsistentRead": True,
        }
        for item in self._call("Query", request)["Items"]:
            if item["topic"]["S"] in (ALL, topic) and "removed" not in item:
                return str(item["reason"]["S"])
        return ""

    def _call(self, action: str, request: dict[str, Any]) -> dict[str, Any]:
        self._client = self._client or self._open_client("dynamodb")
        return call_json(self._client, f"DynamoDB_20120810.{action}", request, version="1.0")
