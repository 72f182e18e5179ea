"""Entry point of the authorizer: who asks, by an API key, a token of an OpenID Connect issuer, or the console's cookie.

It never refuses by itself: API Gateway's own refusal can't carry the one error body. It says who it is, or what is
wrong, and query_events answers (docs/decisions/0002-refusals-by-the-query-function.md).
"""

from functools import cache
from typing import TYPE_CHECKING, Any

from authorizer.callers import UNKNOWN, Caller
from authorizer.keys import ApiKeys
from common.sessions import Sessions, read_cookie
from common.settings import read_text

if TYPE_CHECKING:
    from authorizer.tokens import Tokens

# What the console's pages may do beside reading; each asks for its scope as ever.
CONSOLE_CHANGES = frozenset({"POST /api/v1/templates/{template}/preview", "DELETE /api/v1/suppressions"})
CONSOLE_HEADER = "x-mailwake-console"  # a form can't set it, and another origin's script must ask first


@cache
def _keys() -> ApiKeys:
    return ApiKeys(read_text("API_KEYS_TABLE"))


@cache
def _tokens() -> "Tokens":
    # Cryptography takes a while to import, for which nobody with an API key should wait.
    from authorizer.tokens import Tokens, TokenSettings

    return Tokens(TokenSettings.read())


@cache
def _sessions() -> Sessions:
    return Sessions(read_text("SESSIONS_TABLE"))


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """`isAuthorized` with a context: the caller's `name` and `scopes` (joined by a space), or a `refusal`."""
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    session_id = read_session_id(event, headers)
    caller = find_session(session_id) if session_id else find_caller(read_authorization(headers))
    return {"isAuthorized": True, "context": caller._asdict()}


def read_authorization(headers: dict[str, str]) -> str:
    """What a request authorises itself by; Moesif's client libraries send their key in a header of their own."""
    return headers.get("authorization") or headers.get("x-moesif-application-id", "")


def read_session_id(event: dict[str, Any], headers: dict[str, str]) -> str:
    """The id in the console's cookie; empty unless one of the console's own pages asks, and sends nothing else.

    A browser sends cookies whoever asks. `Sec-Fetch-Site` is the browser's own word that it is a page of this origin,
    which no script can set; the cookie is SameSite=Strict besides. What is more than reading must be of
    `CONSOLE_CHANGES`, and come with a header that only a script of this origin can send.
    """
    if headers.get("authorization") or headers.get("sec-fetch-site") != "same-origin":
        return ""
    method = event.get("requestContext", {}).get("http", {}).get("method")
    is_change = event.get("routeKey") in CONSOLE_CHANGES and headers.get(CONSOLE_HEADER) == "1"
    return read_cookie(event.get("cookies") or []) if method in ("GET", "HEAD") or is_change else ""


def find_session(session_id: str) -> Caller:
    """Who signed in to the console. With an API key it is the key that says what it allows, as long as it does."""
    session = _sessions().find(session_id)
    if session is None:
        return UNKNOWN
    return _keys().find_hash(session.key_hash) if session.key_hash else Caller(session.name, session.scopes)


def find_caller(authorization: str) -> Caller:
    """Who comes with this Authorization header."""
    scheme, _, token = authorization.strip().partition(" ")
    if scheme.lower() == "bearer" and token.count(".") == 2 and read_text("OIDC_ISSUER", ""):
        return _tokens().find(token.strip())
    return _keys().find(authorization)
