"""API keys: random, kept as SHA-256 in DynamoDB with a name and scopes."""

import base64
import binascii
import hashlib
import time
from collections.abc import Callable

from authorizer.callers import UNKNOWN, Caller
from common.aws import AwsClient, call_json

FRESH_SECONDS = 60  # a revoked key is refused within a minute
REMEMBERED = 1000  # keys


def read_key(authorization: str) -> str:
    """The key of an Authorization header: as it is, as `Bearer`, or as the user of basic authentication."""
    scheme, _, rest = authorization.strip().partition(" ")
    if not rest:
        return scheme
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(rest.strip(), validate=True).decode().partition(":")[0]
        except (binascii.Error, ValueError):
            return ""
    return ""


def hash_key(key: str) -> str:
    """What the table knows a key by."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


class ApiKeys:
    """The keys of one table; what was looked up is remembered for a minute."""

    def __init__(
        self,
        table: str,
        open_client: Callable[[str], AwsClient] = AwsClient,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._table = table
        self._open_client = open_client
        self._clock = clock
        self._client: AwsClient | None = None
        self._known: dict[str, tuple[float, Caller]] = {}

    def find(self, authorization: str) -> Caller:
        """Who comes with this Authorization header. Raises `AwsError` where the table can't be read."""
        key = read_key(authorization)
        # The hash is what is looked up, so the time taken tells nothing of the key.
        return self.find_hash(hash_key(key)) if key else UNKNOWN

    def find_hash(self, key_hash: str) -> Caller:
        """Whose key has this hash. Raises `AwsError` where the table can't be read."""
        known = self._known.get(key_hash)
        if known is None or self._clock() - known[0] > FRESH_SECONDS:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            known = self._known[key_hash] = (self._clock(), self._fetch(key_hash))
        return known[1]

    def _fetch(self, key_hash: str) -> Caller:
        self._client = self._client or self._open_client("dynamodb")
        request = {"TableName": self._table, "Key": {"key_hash": {"S": key_hash}}}
        item = call_json(self._client, "DynamoDB_20120810.GetItem", request, version="1.0").get("Item")
        if not item or "revoked_at" in item:
            return UNKNOWN
        return Caller(name=item["name"]["S"], scopes=" ".join(sorted(item["scopes"]["SS"])))
