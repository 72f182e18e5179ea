"""Entry point of the webhooks: `POST /webhooks/{provider}`."""

import logging
from functools import cache
from typing import Any

from common.errors import ApiError
from common.responses import Response, build_error
from providers import find_provider
from webhook_listener.receiving import Receiver
from webhook_listener.requests import read_request

log = logging.getLogger(__name__)

CHALLENGE = {"www-authenticate": 'Basic realm="webhooks"'}


@cache
def _receiver() -> Receiver:
    return Receiver.build()


def handler(event: dict[str, Any], _context: object) -> Response:
    """Answers exactly 200 once the body is in S3."""
    provider = ""
    try:
        request = read_request(event)
        provider = request.provider
        reply = _receiver().receive(request, event["requestContext"]["requestId"])
    except ApiError as error:
        log.warning("refused", extra={"provider": provider[:50], "status": error.status})
        return build_error(error, _list_headers(error.status, provider))
    headers = {"content-type": "application/json", **reply.headers}
    return {"statusCode": reply.status, "headers": headers, "body": reply.body}


def _list_headers(status: int, provider: str) -> dict[str, str] | None:
    """What RFC 9110 wants beside a status."""
    found = find_provider(provider) if status == 405 else None
    return CHALLENGE if status == 401 else {"allow": ", ".join(found.METHODS)} if found else None
