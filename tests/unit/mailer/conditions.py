"""A table of DynamoDB's in memory, as far as the ledger uses one: a hundred times as fast as moto's."""

from typing import Any

from botocore.exceptions import ClientError


class Conditions:
    """Items by their id, written where a condition holds."""

    def __init__(self) -> None:
        self.items: dict[str, Any] = {}

    def get_item(self, *, Key: Any, **_: Any) -> Any:  # noqa: N803 (boto3's names)
        """An item, if it is there."""
        found = self.items.get(Key["id"]["S"])
        return {} if found is None else {"Item": found}

    def put_item(
        self,
        *,
        Item: Any,  # noqa: N803
        ConditionExpression: str,  # noqa: N803
        ExpressionAttributeValues: Any = None,  # noqa: N803
        **_: Any,
    ) -> Any:
        """Writes an item where the condition holds of what is there: `attribute_not_exists(id)`, or equalities."""
        known, values = self.items.get(Item["id"]["S"]), ExpressionAttributeValues or {}
        for part in ConditionExpression.split(" AND "):
            name, _equals, value = part.partition(" = ")
            if part == "attribute_not_exists(id)":
                holds = known is None
            else:
                holds = known is not None and known[name.strip("#")] == values[value]
            if not holds:
                raise ClientError({"Error": {"Code": "ConditionalCheckFailedException"}}, "PutItem")
        self.items[Item["id"]["S"]] = Item
        return {}
