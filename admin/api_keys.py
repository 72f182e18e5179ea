"""API keys: made, listed and revoked in the table that the authorizer reads. Only a key's hash is ever stored."""

import hashlib
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

PREFIX = "mw_"
RANDOM_BYTES = 20  # 40 hex digits
SCOPES = (
    "events:read",
    "events:write",
    "pii:read",
    "cohorts:write",
    "admin",
)  # all that there are, the first one by default


class ApiKeyError(Exception):
    """The key cannot be made or found; the message says why."""


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """A key as it is stored: everything but the key itself."""

    key_hash: str
    name: str
    scopes: tuple[str, ...]
    created_at: str
    revoked_at: str | None


def hash_api_key(key: str) -> str:
    """What is stored of a key: SHA-256 of all of it, in hex. Its 160 random bits need no slow hash."""
    return hashlib.sha256(key.encode()).hexdigest()


def create_api_key(dynamodb: Any, table: str, *, name: str, scopes: Sequence[str]) -> str:
    """Stores a new key and gives it; it cannot be had again. Raises `ApiKeyError`."""
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise ApiKeyError(f"unknown scope {', '.join(unknown) or '(none)'}: there is {', '.join(SCOPES)}")
    if "@" in name or not name.strip():
        raise ApiKeyError("a key's name reaches logs: give it one, but no address")
    key = PREFIX + secrets.token_hex(RANDOM_BYTES)
    dynamodb.put_item(
        TableName=table,
        Item={
            "key_hash": {"S": hash_api_key(key)},
            "name": {"S": name},
            "scopes": {"SS": sorted(set(scopes))},
            "created_at": {"S": _now()},
        },
        ConditionExpression="attribute_not_exists(key_hash)",
    )
    return key


def list_api_keys(dynamodb: Any, table: str) -> list[ApiKey]:
    """All keys, oldest first, revoked ones too."""
    return sorted(_scan(dynamodb, table), key=lambda key: key.created_at)


def revoke_api_key(dynamodb: Any, table: str, *, name_or_key: str) -> list[ApiKey]:
    """Revokes the keys of that name, or the one key, by itself or by the beginning of its hash; gives them."""
    found = [
        key
        for key in _scan(dynamodb, table)
        if key.revoked_at is None
        and (
            key.name == name_or_key
            or key.key_hash == hash_api_key(name_or_key)
            or (len(name_or_key) >= 8 and key.key_hash.startswith(name_or_key))
        )
    ]
    if not found:
        raise ApiKeyError("no live key has that name, that hash, or is that key")
    for key in found:
        dynamodb.update_item(
            TableName=table,
            Key={"key_hash": {"S": key.key_hash}},
            UpdateExpression="SET revoked_at = :now",
            ExpressionAttributeValues={":now": {"S": _now()}},
        )
    return found


def _scan(dynamodb: Any, table: str) -> Iterator[ApiKey]:
    for page in dynamodb.get_paginator("scan").paginate(TableName=table):
        for item in page["Items"]:
            yield ApiKey(
                key_hash=item["key_hash"]["S"],
                name=item["name"]["S"],
                scopes=tuple(sorted(item.get("scopes", {}).get("SS", []))),
                created_at=item.get("created_at", {}).get("S", ""),
                revoked_at=item.get("revoked_at", {}).get("S"),
            )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
