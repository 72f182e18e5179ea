"""The secrets of channels: Slack's URLs and the keys that webhooks are signed with."""

import json
import time
from collections.abc import Callable
from typing import Any

FRESH_SECONDS = 300


class NotificationSecrets:
    """One secret in Secrets Manager: a JSON object, name → secret or list of live secrets; kept for a while."""

    def __init__(self, client: Any, secret_id: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._secret_id = secret_id
        self._clock = clock
        self._read_at: float | None = None
        self._secrets: dict[str, Any] = {}

    def find(self, name: str) -> list[str]:
        """The live secrets of a name, none where it is not set. Raises `ClientError`, `ValueError` for no object."""
        if self._read_at is None or self._clock() - self._read_at > FRESH_SECONDS:
            document = json.loads(self._client.get_secret_value(SecretId=self._secret_id)["SecretString"])
            if not isinstance(document, dict):
                raise ValueError("NotificationSecret is no JSON object")
            self._secrets, self._read_at = document, self._clock()
        found = self._secrets.get(name) or []
        return [str(one) for one in (found if isinstance(found, list) else [found])]
