"""Entry point of what is sent to us: `POST /webhooks/{provider}`, and behaviour, as in `POST /v1/events`."""

import logging
from functools import cache
from typing import Any

from common.errors import ApiError
from common.responses import Response, build_error
from providers import find_provider
from webhook_listener.intake import Intake
from webhook_listener.receiving import Receiver
from webhook_listener.requests import read_request

log = logging.getLogger(__name__)

CHALLENGE = {"www-authenticate": 'Basic realm="webhooks"'}


@cache
def _receiver() -> Receiver:
    return Receiver.build()


@cache
def _intake() -> Intake:
    return Intake.build()


def handler(event: dict[str, Any], _context: object) -> Response:
    """Answers a webhook exactly 200 once its body is in S3; behaviour as its clients expect."""
    provider = ""
    try:
        request = read_request(event)
        provider = request.provider
        context = event["requestContext"]
        if request.path.startswith("/webhooks/"):
            reply = _receiver().receive(request, context["requestId"])
        else:
            reply = _intake().take(request, context.get("authorizer", {}).get("lambda"), context["requestId"])
    except ApiError as error:
        log.warning("refused", extra={"provider": provider[:50], "status": error.status})
        return build_error(error, _list_headers(error.status, provider))
    headers = {"content-type": "application/json", **reply.headers}
    return {"statusCode": reply.status, "headers": headers, "body": reply.body}


def _list_headers(status: int, provider: str) -> dict[str, str] | None:
    """What RFC 9110 wants beside a status."""
    found = find_provider(provider) if status == 405 else None
    return CHALLENGE if status == 401 else {"allow": ", ".join(found.METHODS)} if found else None
