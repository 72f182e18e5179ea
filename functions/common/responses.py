"""Answers in the shape that API Gateway takes from a Lambda (HTTP API, payload 2.0)."""

import json
from collections.abc import Mapping
from typing import Any

from common.errors import ApiError

Response = dict[str, Any]


def build_json(status: int, body: object, headers: Mapping[str, str] | None = None) -> Response:
    """An answer with a JSON body."""
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json", **(headers or {})},
        "body": json.dumps(body, ensure_ascii=False, separators=(",", ":")),
    }


def build_error(error: ApiError, headers: Mapping[str, str] | None = None) -> Response:
    """The one error body: `{"errors":[{"message","description","code"}]}`."""
    entry = {"message": error.message, "description": error.description, "code": error.code}
    return build_json(error.status, {"errors": [entry]}, headers)
