"""API keys, in a table of moto's."""

import hashlib
import re
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from admin.api_keys import ApiKeyError, create_api_key, list_api_keys, revoke_api_key

TABLE = "keys"


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A DynamoDB with an empty table."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        make: Any = boto3.client
        client = make("dynamodb", region_name="us-east-1")
        client.create_table(
            TableName=TABLE,
            KeySchema=[{"AttributeName": "key_hash", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "key_hash", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield client


def test_only_the_hash_is_stored(dynamodb: Any) -> None:
    """A key has the documented form; the table has its hash, name and scopes, and not the key."""
    key = create_api_key(dynamodb, TABLE, name="support", scopes=["events:read"])
    assert re.fullmatch(r"mw_[0-9a-f]{40}", key)
    (item,) = dynamodb.scan(TableName=TABLE)["Items"]
    assert item["key_hash"] == {"S": hashlib.sha256(key.encode()).hexdigest()}
    assert item["name"] == {"S": "support"}
    assert item["scopes"] == {"SS": ["events:read"]}
    assert key not in str(item)


def test_unknown_scope_is_refused(dynamodb: Any) -> None:
    """A scope that nothing checks would be a mistake."""
    with pytest.raises(ApiKeyError, match="everything"):
        create_api_key(dynamodb, TABLE, name="x", scopes=["everything"])


def test_revoking(dynamodb: Any) -> None:
    """A key is revoked by itself, by the beginning of its hash, or by its name; others live on."""
    keys = [create_api_key(dynamodb, TABLE, name=name, scopes=["events:read"]) for name in ("a", "b", "c", "d")]
    revoke_api_key(dynamodb, TABLE, name_or_key=keys[0])
    revoke_api_key(dynamodb, TABLE, name_or_key=hashlib.sha256(keys[1].encode()).hexdigest()[:8])
    revoke_api_key(dynamodb, TABLE, name_or_key="c")
    live = [key.name for key in list_api_keys(dynamodb, TABLE) if key.revoked_at is None]
    assert live == ["d"]


def test_revoking_nothing_is_an_error(dynamodb: Any) -> None:
    """A name that no live key has is a mistake that must be seen."""
    with pytest.raises(ApiKeyError, match="no live key"):
        revoke_api_key(dynamodb, TABLE, name_or_key="nobody")
