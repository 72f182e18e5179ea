"""Sessions of the console: who signed in in a browser, and until when.

The browser holds a random id in a cookie that scripts can't read; the table holds the id's SHA-256, never a token or a
key. One that was made by an API key names the key's hash, so that it ends with the key and has the key's scopes.
"""

import hashlib
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from common.aws import AwsClient, AwsError, call_json

# `__Host-`: over https only (browsers take 127.0.0.1 for as good), for this host only, set by nobody else.
COOKIE = "__Host-mailwake"
API = "DynamoDB_20120810"
ID_BYTES = 32


class Session(NamedTuple):
    """One browser's session; times are in seconds since 1970."""

    name: str
    scopes: str  # joined by a space; of the time of the sign-in
    key_hash: str  # of the API key that made it; empty: made by a token
    idle_until: int
    expires_at: int

    @property
    def ends_at(self) -> int:
        """When it ends if nothing more is done."""
        return min(self.idle_until, self.expires_at)


def read_cookie(cookies: Iterable[str], name: str = COOKIE) -> str:
    """The value of a cookie out of API Gateway's list of `name=value`; empty without it."""
    for cookie in cookies:
        found, _, value = cookie.partition("=")
        if found.strip() == name:
            return value.strip()
    return ""


def hash_id(session_id: str) -> str:
    """What the table knows an id by."""
    return hashlib.sha256(session_id.encode("utf-8", "surrogatepass")).hexdigest()


class Sessions:
    """The sessions of one table. Every method raises `AwsError` where the table can't be reached."""

    def __init__(
        self,
        table: str,
        open_client: Callable[[str], AwsClient] = AwsClient,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._table = table
        self._open_client = open_client
        self._clock = clock
        self._client: AwsClient | None = None

    def find(self, session_id: str) -> Session | None:
        """The session of an id, if it has not ended."""
        item = self._call("GetItem", session_id, ConsistentRead=True).get("Item")
        session = _read(item) if item else None
        return session if session and session.ends_at > self._clock() else None

    def start(self, name: str, scopes: str, key_hash: str, *, idle_seconds: int, expires_at: int) -> str:
        """Makes a session; gives its id, which is stored nowhere."""
        session_id = secrets.token_urlsafe(ID_BYTES)
        values = {"name": name, "scopes": scopes, "key_hash": key_hash}
        numbers = {"idle_until": int(self._clock()) + idle_seconds, "expires_at": expires_at}
        item: dict[str, Any] = {"session_hash": {"S": hash_id(session_id)}}
        item |= {field: {"S": value} for field, value in values.items()}
        item |= {field: {"N": str(value)} for field, value in numbers.items()}
        self._send("PutItem", {"Item": item})
        return session_id

    def renew(self, session_id: str, *, idle_seconds: int) -> Session | None:
        """The session, which may be idle for so long from now on; None if it has ended."""
        now = int(self._clock())
        try:
            answer = self._call(
                "UpdateItem",
                session_id,
                UpdateExpression="SET idle_until = :until",
                ConditionExpression="idle_until > :now AND expires_at > :now",
                ExpressionAttributeValues={":until": {"N": str(now + idle_seconds)}, ":now": {"N": str(now)}},
                ReturnValues="ALL_NEW",
            )
        except AwsError as failure:
            if failure.code == "ConditionalCheckFailedException":
                return None
            raise
        return _read(answer["Attributes"])

    def end(self, session_id: str) -> None:
        """Forgets a session."""
        self._call("DeleteItem", session_id)

    def _call(self, action: str, session_id: str, **rest: Any) -> dict[str, Any]:
        return self._send(action, {"Key": {"session_hash": {"S": hash_id(session_id)}}, **rest})

    def _send(self, action: str, request: Mapping[str, Any]) -> dict[str, Any]:
        self._client = self._client or self._open_client("dynamodb")
        return call_json(self._client, f"{API}.{action}", {"TableName": self._table, **request}, version="1.0")


def _read(item: Mapping[str, Mapping[str, str]]) -> Session:
    return Session(
        item["name"]["S"],
        item["scopes"]["S"],
        item["key_hash"]["S"],
        int(item["idle_until"]["N"]),
        int(item["expires_at"]["N"]),
    )
