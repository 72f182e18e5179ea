"""DynamoDB's items over the standard library: with boto3 the ledger alone would take most of a processor at 200 mails a
second. For one thread.
"""

from collections.abc import Callable
from typing import Any, Final

from common.aws import AwsClient, AwsError, call_json

TAKEN: Final = "ConditionalCheckFailedException"


class Items:
    """As much of boto3's client of DynamoDB as the ledger asks. Its methods raise `AwsError`."""

    def __init__(self, open_client: Callable[[str], AwsClient] = AwsClient) -> None:
        self._client = open_client("dynamodb")

    def get_item(self, **given: Any) -> dict[str, Any]:
        """`GetItem`."""
        return call_json(self._client, "DynamoDB_20120810.GetItem", given, version="1.0")

    def put_item(self, **given: Any) -> dict[str, Any]:
        """`PutItem`."""
        return call_json(self._client, "DynamoDB_20120810.PutItem", given, version="1.0")


def is_taken(failure: Exception) -> bool:
    """Whether a write was refused by its condition, in the words of boto3 or of ours."""
    if isinstance(failure, AwsError):
        return failure.code == TAKEN
    response: dict[str, Any] = getattr(failure, "response", {})
    return bool(response.get("Error", {}).get("Code") == TAKEN)
