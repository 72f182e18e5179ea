"""Entry point of the authorizer: who asks, by an API key or by a token of an OpenID Connect issuer.

It never refuses by itself: API Gateway's own refusal can't carry the one error body. It says who it is, or what is
wrong, and query_events answers (docs/decisions/0002-refusals-by-the-query-function.md).
"""

from functools import cache
from typing import TYPE_CHECKING, Any

from authorizer.callers import Caller
from authorizer.keys import ApiKeys
from common.settings import read_text

if TYPE_CHECKING:
    from authorizer.tokens import Tokens


@cache
def _keys() -> ApiKeys:
    return ApiKeys(read_text("API_KEYS_TABLE"))


@cache
def _tokens() -> "Tokens":
    # Cryptography takes a while to import, for which nobody with an API key should wait.
    from authorizer.tokens import Tokens, TokenSettings

    return Tokens(TokenSettings.read())


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """`isAuthorized` with a context: the caller's `name` and `scopes` (joined by a space), or a `refusal`."""
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    caller = find_caller(headers.get("authorization", ""))
    return {"isAuthorized": True, "context": caller._asdict()}


def find_caller(authorization: str) -> Caller:
    """Who comes with this Authorization header."""
    scheme, _, token = authorization.strip().partition(" ")
    if scheme.lower() == "bearer" and token.count(".") == 2 and read_text("OIDC_ISSUER", ""):
        return _tokens().find(token.strip())
    return _keys().find(authorization)
