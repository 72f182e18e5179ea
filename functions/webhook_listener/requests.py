"""API Gateway's event as a webhook request.

Source: "Lambda proxy integrations for HTTP APIs", payload format 2.0, in the API Gateway Developer Guide.
"""

import base64
import binascii
from typing import Any

from common.errors import ApiError
from providers import WebhookRequest


def read_request(event: dict[str, Any]) -> WebhookRequest:
    """The request with its body as it was sent. Raises `ApiError` where the body can't be decoded."""
    body = event.get("body") or ""
    if event.get("isBase64Encoded"):
        try:
            content = base64.b64decode(body, validate=True)
        except (binascii.Error, ValueError):
            raise ApiError(400, "Bad request", "The body is not valid base64.") from None
    else:
        content = body.encode("utf-8", "surrogatepass")
    variables = event.get("pathParameters") or {}
    return WebhookRequest(
        provider=variables.get("provider", ""),
        method=event["requestContext"]["http"]["method"],
        headers={name.lower(): value for name, value in (event.get("headers") or {}).items()},
        body=content,
        query=event.get("rawQueryString", ""),
        path=event["rawPath"],
        path_secret=variables.get("secret", ""),
    )
