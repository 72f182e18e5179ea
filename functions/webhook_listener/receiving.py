"""From a webhook to its stored body: who sends, may it, keep it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from traceback import extract_tb

from common.aws import AwsError
from common.clock import now
from common.errors import ApiError
from common.objects import Bucket
from common.secrets import NamedSecrets
from common.settings import read_text
from providers import Provider, Reply, UnverifiedError, WebhookRequest, find_provider
from webhook_listener.storage import store

# Lambda takes no event of more than 6 MB; below that, the one error body is ours to give.
LARGEST_BODY = 5_900_000
SES = "amazon_ses"
FORM = "application/x-www-form-urlencoded"

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Receiver:
    """What the listener keeps between invocations."""

    bucket: Bucket
    secrets: NamedSecrets
    mail_events_topic: str = ""  # the ARN of the topic by which SES tells of our own mails
    unsigned: frozenset[str] = frozenset()  # providers that may send without proof, for a trial
    clock: Callable[[], datetime] = now

    @classmethod
    def build(cls) -> "Receiver":
        """From the environment."""
        return cls(
            bucket=Bucket(read_text("RAW_BUCKET")),
            secrets=NamedSecrets(read_text("WEBHOOK_SECRET_ID")),
            mail_events_topic=read_text("MAIL_EVENTS_TOPIC", default=""),
            unsigned=frozenset(read_text("UNSIGNED_PROVIDERS", default="").replace(",", " ").split()),
        )

    def receive(self, request: WebhookRequest, request_id: str) -> Reply:
        """Stores a webhook's body. Raises `ApiError` with what the sender is told."""
        try:
            provider = find_provider(request.provider)
        except ValueError as failure:  # the provider's mapping is wrong
            log.error("not stored: %s", failure)
            raise ApiError(503, "Service unavailable", "The provider is not set up; send it again.") from None
        if provider is None:
            raise ApiError(404, "Not found", "There is no provider of this name; see the webhook's URL.")
        instant = self.clock()
        try:
            live = self._find_secrets(request.provider)
            reply = provider.handshake(request, live, instant)
            if reply is not None:
                log.info("handshake", extra={"provider": request.provider, "status": reply.status})
                return reply
            request = _read_delivery(provider, request)
            if live or request.provider not in self.unsigned:
                provider.verify(request, live, instant)
            batch_id = provider.find_batch_id(request)
            key = store(self.bucket, request, instant, request_id, batch_id)
        except UnverifiedError as failure:
            log.warning("unverified: %s", failure, extra={"provider": request.provider})
            status = provider.ANSWERS.unauthorized
            raise ApiError(status, "Unauthorized", "The credentials are missing or wrong.") from None
        except ApiError:
            raise
        except Exception as failure:
            # Also a fault of ours: a 500 of the gateway's would make some providers forget the batch.
            log.error("not stored: %s", failure if isinstance(failure, AwsError | ValueError) else find_place(failure))
            problem = "The batch could not be stored; send it again."
            raise ApiError(provider.ANSWERS.unavailable, "Service unavailable", problem) from failure
        log.info("stored", extra={"object_key": key, "bytes": len(request.body)})
        return Reply()

    def _find_secrets(self, provider: str) -> list[str]:
        live = self.secrets.find(provider)
        if provider == SES and self.mail_events_topic:
            live = [*live, f"signed:{self.mail_events_topic}"]
        if not live:
            log.log(
                logging.WARNING if provider in self.unsigned else logging.ERROR,
                "no secret for %s: add it to the secret %s",
                provider,
                self.secrets.secret_id,
            )
        return live


def find_place(failure: BaseException) -> str:
    """What failed and where, without the exception's text: it may hold a recipient or a secret."""
    *_, frame = extract_tb(failure.__traceback__)
    return f"{type(failure).__qualname__} at {frame.filename}:{frame.lineno}"


def _read_delivery(provider: Provider, request: WebhookRequest) -> WebhookRequest:
    """The request as a delivery of events: what a GET brings is its query. Raises `ApiError`."""
    if request.method not in provider.METHODS:
        raise ApiError(405, "Method not allowed", f"Send webhooks by {' or '.join(provider.METHODS)}.")
    if request.method == "GET":
        request = request._replace(
            body=request.query.encode(), query="", headers={**request.headers, "content-type": FORM}
        )
    if len(request.body) > LARGEST_BODY:
        raise ApiError(413, "Content too large", f"A batch may have {LARGEST_BODY} bytes; send smaller batches.")
    return request
