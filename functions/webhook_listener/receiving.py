"""From a webhook to its stored body: who sends, may it, keep it."""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from common.aws import AwsError
from common.clock import now
from common.errors import ApiError
from common.objects import Bucket
from common.settings import read_text
from providers import find_provider
from providers.verification import UnverifiedError, WebhookRequest
from webhook_listener.secrets import WebhookSecrets
from webhook_listener.storage import store

# Lambda takes no event of more than 6 MB; below that, the one error body is ours to give.
LARGEST_BODY = 5_900_000

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Receiver:
    """What the listener keeps between invocations."""

    bucket: Bucket
    secrets: WebhookSecrets
    clock: Callable[[], datetime] = now

    @classmethod
    def build(cls) -> "Receiver":
        """From the environment."""
        return cls(bucket=Bucket(read_text("RAW_BUCKET")), secrets=WebhookSecrets(read_text("WEBHOOK_SECRET_ID")))

    def receive(self, request: WebhookRequest, request_id: str) -> str:
        """Stores a webhook's body and returns the object's key. Raises `ApiError` with what the sender is told."""
        provider = find_provider(request.provider)
        if provider is None:
            raise ApiError(404, "Not found", "There is no provider of this name; see the webhook's URL.")
        if request.method != "POST":
            raise ApiError(405, "Method not allowed", "Send webhooks by POST.")
        if len(request.body) > LARGEST_BODY:
            raise ApiError(413, "Content too large", f"A batch may have {LARGEST_BODY} bytes; send smaller batches.")
        try:
            live = self.secrets.find(request.provider)
            if not live:
                log.error(
                    "no secret for %s: add it to the secret %s", request.provider, os.environ["WEBHOOK_SECRET_ID"]
                )
            provider.verify(request, live)
            return store(self.bucket, request, self.clock(), request_id, provider.find_batch_id(request))
        except UnverifiedError:
            raise ApiError(401, "Unauthorized", "The credentials are missing or wrong.") from None
        except (AwsError, ValueError) as failure:
            log.error("not stored: %s", failure)
            raise ApiError(503, "Service unavailable", "The batch could not be stored; send it again.") from failure
