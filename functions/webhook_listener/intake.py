"""From a client's behaviour to its stored body: `POST /v1/events` and the like. The authorizer has found who sends."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from common.aws import AwsError
from common.clock import now
from common.errors import ApiError
from common.objects import Bucket
from common.settings import read_text
from providers import Reply, WebhookRequest
from sources import find_name, find_source
from webhook_listener.receiving import LARGEST_BODY
from webhook_listener.storage import store

WRITE_EVENTS = "events:write"

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Intake:
    """What the listener keeps between invocations."""

    bucket: Bucket
    clock: Callable[[], datetime] = now

    @classmethod
    def build(cls) -> "Intake":
        """From the environment."""
        return cls(bucket=Bucket(read_text("RAW_BUCKET")))

    def take(self, request: WebhookRequest, caller: Mapping[str, str] | None, request_id: str) -> Reply:
        """Stores a body and gives its answer. Raises `ApiError` with what the client is told."""
        name = find_name(request.path)
        source = find_source(name) if name else None
        if name is None or source is None:
            raise ApiError(404, "Not found", "There is nothing at this path.")
        _check_caller(caller)
        reply = source.answer(request.path)
        if request.method != ("POST" if reply is None else "GET"):
            raise ApiError(405, "Method not allowed", f"Use {'POST' if reply is None else 'GET'}.")
        if reply is not None:
            return reply
        if len(request.body) > LARGEST_BODY:
            raise ApiError(413, "Content too large", f"A body may have {LARGEST_BODY} bytes; send smaller batches.")
        reply = source.accept(request)
        # What a body holds is said by the path alone: it takes the place of the query, and is noted with the body.
        request = request._replace(provider=name, query=source.COLLECTIONS[request.path])
        try:
            key = store(self.bucket, request, self.clock(), request_id, "")
        except AwsError as failure:
            log.error("not stored: %s", failure)
            raise ApiError(503, "Service unavailable", "The body could not be stored; send it again.") from failure
        log.info("stored", extra={"object_key": key, "bytes": len(request.body)})
        return reply


def _check_caller(caller: Mapping[str, str] | None) -> None:
    """Raises `ApiError` unless the authorizer found somebody who may send."""
    if caller and caller.get("refusal") == "unavailable":
        raise ApiError(503, "Service unavailable", "The issuer of the token can't be reached; try again.")
    if not caller or caller.get("refusal") or not caller.get("name"):
        raise ApiError(
            401,
            "Unauthorized",
            "Send a valid API key as X-Moesif-Application-Id, as the user of basic authentication or in Authorization.",
        )
    if not {WRITE_EVENTS, "admin"} & set(caller.get("scopes", "").split()):
        raise ApiError(403, "Forbidden", f"The key or token lacks the scope {WRITE_EVENTS}.")
