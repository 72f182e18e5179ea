"""The table of sessions in memory."""

from collections.abc import Callable
from typing import Any, cast

from common.aws import AwsClient, AwsError
from common.sessions import Sessions


class SessionsTable:
    """Stands in for DynamoDB's four actions, as far as sessions need them, and for the clock."""

    def __init__(self, patch: Callable[[str, Any], None]) -> None:
        self.items: dict[str, dict[str, Any]] = {}
        self.time = 1_790_000_000.0
        patch("common.sessions.call_json", self.call)
        self.sessions = Sessions("table", open_client=lambda _: cast("AwsClient", None), clock=lambda: self.time)

    def call(self, _client: object, target: str, payload: dict[str, Any], *, version: str) -> dict[str, Any]:
        """As `call_json`."""
        api, _, action = target.partition(".")
        assert (api, version, payload["TableName"]) == ("DynamoDB_20120810", "1.0", "table")
        if action == "PutItem":
            self.items[payload["Item"]["session_hash"]["S"]] = payload["Item"]
            return {}
        key = payload["Key"]["session_hash"]["S"]
        if action == "DeleteItem":
            self.items.pop(key, None)
            return {}
        item = self.items.get(key)
        if action == "GetItem":
            return {"Item": item} if item else {}
        assert action == "UpdateItem"
        given = {name: int(value["N"]) for name, value in payload["ExpressionAttributeValues"].items()}
        if item is None or min(int(item[name]["N"]) for name in ("idle_until", "expires_at")) <= given[":now"]:
            raise AwsError(400, "ConditionalCheckFailedException", target)
        item["idle_until"] = {"N": str(given[":until"])}
        return {"Attributes": item}
