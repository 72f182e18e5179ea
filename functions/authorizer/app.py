"""Entry point of the authorizer: who asks, by an API key.

It never refuses by itself: API Gateway's own refusal can't carry the one error body. It says who it is, or what is
wrong, and query_events answers (docs/decisions/0002-refusals-by-the-query-function.md).
"""

from functools import cache
from typing import Any

from authorizer.keys import ApiKeys
from common.settings import read_text


@cache
def _keys() -> ApiKeys:
    return ApiKeys(read_text("API_KEYS_TABLE"))


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """`isAuthorized` with a context: the key's `name` and `scopes` (joined by a space), or a `refusal`."""
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    caller = _keys().find(headers.get("authorization", ""))
    return {"isAuthorized": True, "context": caller._asdict()}
