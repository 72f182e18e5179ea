"""Secrets from Secrets Manager, kept for a while."""

import json
import logging
import time
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

from common.aws import AwsClient, AwsError, call_json

FRESH_SECONDS = 300  # a rotated secret is live everywhere within five minutes
Found = TypeVar("Found")

log = logging.getLogger(__name__)


class KeptSecret(Generic[Found]):
    """What a secret says, as `read` makes it of the text; `read` raises `ValueError`, without the text.

    It is for several threads.
    """

    def __init__(
        self,
        secret_id: str,
        read: Callable[[str], Found],
        open_client: Callable[[str], AwsClient] = AwsClient,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.secret_id = secret_id
        self._read = read
        self._open_client = open_client
        self._clock = clock
        self._client: AwsClient | None = None
        self._found: Found | None = None
        self._read_at = 0.0
        self._lock = Lock()

    def find(self) -> Found:
        """What it says. While Secrets Manager can't be reached, what it said last stays in use.

        Raises `AwsError` if that is nothing yet, and what `read` raises.
        """
        with self._lock:
            if self._found is None or self._clock() - self._read_at > FRESH_SECONDS:
                try:
                    self._found = self._fetch()
                except AwsError as failure:
                    if self._found is None:
                        raise
                    log.warning("secrets not refreshed: %s", failure)
                self._read_at = self._clock()
            return self._found

    def _fetch(self) -> Found:
        self._client = self._client or self._open_client("secretsmanager")
        answer = call_json(self._client, "secretsmanager.GetSecretValue", {"SecretId": self.secret_id}, version="1.1")
        return self._read(answer["SecretString"])


class NamedSecrets:
    """A secret that is a JSON object: name → secret, or list of live secrets while one is being replaced."""

    def __init__(
        self,
        secret_id: str,
        open_client: Callable[[str], AwsClient] = AwsClient,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.secret_id = secret_id
        self._kept = KeptSecret(secret_id, read_secrets, open_client, clock)

    def find(self, name: str) -> list[str]:
        """The live secrets of a name, none where it is not set up. Raises `AwsError`, `ValueError` for no object."""
        return self._kept.find().get(name, [])


def read_secrets(text: str) -> dict[str, list[str]]:
    """Name → live secrets. Raises `ValueError`, without the text, where it has another form."""
    try:
        document = json.loads(text)
    except ValueError:
        raise ValueError("the secret is not JSON") from None
    if not isinstance(document, dict):
        raise ValueError("the secret is not a JSON object of name: secret")
    secrets = {}
    for name, value in document.items():
        live = [value] if isinstance(value, str) else value
        if not isinstance(live, list) or not all(isinstance(secret, str) and secret for secret in live):
            raise ValueError(f"the secret of {name} is neither a text nor a list of texts")
        secrets[name] = live
    return secrets
