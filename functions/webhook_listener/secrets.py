"""The secrets that webhooks prove themselves with, from Secrets Manager, kept for a while."""

import json
import logging
import time
from collections.abc import Callable

from common.aws import AwsClient, AwsError, call_json

FRESH_SECONDS = 300  # a rotated secret is live everywhere within five minutes

log = logging.getLogger(__name__)


class WebhookSecrets:
    """One secret in Secrets Manager: a JSON object, provider → secret or list of live secrets."""

    def __init__(
        self,
        secret_id: str,
        open_client: Callable[[str], AwsClient] = AwsClient,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.secret_id = secret_id
        self._open_client = open_client
        self._clock = clock
        self._client: AwsClient | None = None
        self._secrets: dict[str, list[str]] | None = None
        self._read_at = 0.0

    def find(self, provider: str) -> list[str]:
        """The live secrets of a provider, none where it is not set up.

        While Secrets Manager can't be reached, the ones read last stay in use. Raises `AwsError` if there are none yet,
        `ValueError` where the secret is not such an object.
        """
        if self._secrets is None or self._clock() - self._read_at > FRESH_SECONDS:
            try:
                self._secrets = self._fetch()
            except AwsError as failure:
                if self._secrets is None:
                    raise
                log.warning("secrets not refreshed: %s", failure)
            self._read_at = self._clock()
        return self._secrets.get(provider, [])

    def _fetch(self) -> dict[str, list[str]]:
        self._client = self._client or self._open_client("secretsmanager")
        answer = call_json(self._client, "secretsmanager.GetSecretValue", {"SecretId": self.secret_id}, version="1.1")
        return read_secrets(answer["SecretString"])


def read_secrets(text: str) -> dict[str, list[str]]:
    """Provider → live secrets. Raises `ValueError`, without the text, where it has another form."""
    try:
        document = json.loads(text)
    except ValueError:
        raise ValueError("the webhook secret is not JSON") from None
    if not isinstance(document, dict):
        raise ValueError("the webhook secret is not a JSON object of provider: secret")
    secrets = {}
    for provider, value in document.items():
        live = [value] if isinstance(value, str) else value
        if not isinstance(live, list) or not all(isinstance(secret, str) and secret for secret in live):
            raise ValueError(f"the webhook secret of {provider} is neither a text nor a list of texts")
        secrets[provider] = live
    return secrets
