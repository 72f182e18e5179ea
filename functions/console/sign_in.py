"""Signing in and out, and how long a session goes on."""

import time
from collections.abc import Sequence
from functools import cache
from secrets import compare_digest
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from authorizer.callers import Caller
from authorizer.keys import ApiKeys, hash_key
from common.responses import Response
from common.sessions import COOKIE, Session, Sessions, read_cookie
from common.settings import read_number, read_text
from console.pages import show_sign_in
from console.requests import Request, answer_json, answer_nothing, answer_redirect, build_cookie

if TYPE_CHECKING:
    from console.oidc import Issuer

ATTEMPT_COOKIE = "__Host-mailwake-sign-in"
ATTEMPT_SECONDS = 600
LONGEST_SECONDS = 12 * 3600  # of a session by an API key, which itself does not end
RETURN_PATH = "/console/signed-in"
HOME = "/console"
FORGET = (build_cookie(COOKIE, "", seconds=0),)
ATTEMPTED = (build_cookie(ATTEMPT_COOKIE, "", seconds=0),)
NEEDED = "events:read"


@cache
def _keys() -> ApiKeys:
    return ApiKeys(read_text("API_KEYS_TABLE"))


@cache
def _sessions() -> Sessions:
    return Sessions(read_text("SESSIONS_TABLE"))


@cache
def _issuer() -> "Issuer":
    # Cryptography takes a while to import, for which no page should wait.
    from console.oidc import Issuer

    return Issuer()


def find_issuer_host() -> str:
    """The host at which one signs in; empty where it is done with an API key."""
    return urlsplit(read_text("OIDC_ISSUER", "")).netloc if read_text("OIDC_CLIENT_ID", "") else ""


def _idle_seconds() -> int:
    return read_number("SESSION_IDLE_MINUTES", 30) * 60


def show_form(request: Request) -> Response:
    """The page on which one signs in."""
    return show_sign_in(host=find_issuer_host(), reason=request.query.get("reason", ""))


def take_key(request: Request) -> Response:
    """Signs in with an API key, where that is how it is done."""
    if find_issuer_host():
        return show_form(request)
    if not request.is_own:
        return _refuse("That did not come from this page; try again.", 403)
    key = request.form.get("key", "").strip()
    caller = _keys().find_hash(hash_key(key))
    if caller.refusal:
        return _refuse("This is no valid API key. Keys are shown once, when they are made; a revoked one is gone.", 401)
    return _enter(request, caller, hash_key(key), int(time.time()) + LONGEST_SECONDS)


def start(request: Request) -> Response:
    """Sends the browser to the issuer."""
    from console.oidc import Attempt, SignInError

    attempt = Attempt.make()
    try:
        url = _issuer().build_url(attempt, request.origin + RETURN_PATH)
    except SignInError as failure:
        return _refuse(str(failure), 503)
    # Lax: the issuer's page sends the browser back, and with Strict the cookie would not come along.
    cookie = build_cookie(ATTEMPT_COOKIE, attempt.encode(), same_site="Lax", seconds=ATTEMPT_SECONDS)
    return answer_redirect(url, [cookie])


def finish(request: Request) -> Response:
    """Takes the issuer's answer."""
    from console.oidc import Attempt, SignInError

    attempt = Attempt.decode(read_cookie(request.cookies, ATTEMPT_COOKIE))
    if attempt is None or not compare_digest(request.query.get("state", "").encode(), attempt.state.encode()):
        return _refuse("This sign-in has run out, or began in another window; try again.", 400)
    if "code" not in request.query:
        return _refuse("You were not signed in: the issuer refused it, or you stopped. Try again.", 403, ATTEMPTED)
    try:
        code, issuer = request.query["code"], request.query.get("iss", "")
        caller, expires_at = _issuer().finish(attempt, code, issuer, request.origin + RETURN_PATH)
    except SignInError as failure:
        return _refuse(str(failure), 403, ATTEMPTED)
    return _enter(request, caller, "", expires_at)


def _enter(request: Request, caller: Caller, key_hash: str, expires_at: int) -> Response:
    """Makes a session, instead of one that the browser may have had."""
    if not {NEEDED, "admin"} & set(caller.scopes.split()):
        return _refuse(
            f"You may not look at events: whoever runs Mailwake can give you the scope {NEEDED}.", 403, ATTEMPTED
        )
    if former := read_cookie(request.cookies):
        _sessions().end(former)
    session_id = _sessions().start(
        caller.name, caller.scopes, key_hash, idle_seconds=_idle_seconds(), expires_at=expires_at
    )
    return answer_redirect(HOME, [build_cookie(COOKIE, session_id), *ATTEMPTED])


def _refuse(problem: str, status: int, cookies: Sequence[str] = ()) -> Response:
    return show_sign_in(host=find_issuer_host(), problem=problem, status=status, cookies=cookies)


def show_session(request: Request) -> Response:
    """`{"name", "scopes", "ends_in", "expires_in"}` in seconds, 204 without a session. A POST prolongs it."""
    if not request.is_own:
        return answer_json(403, {})
    session_id = read_cookie(request.cookies)
    session: Session | None = None
    if session_id and request.method == "POST":
        session = _sessions().renew(session_id, idle_seconds=_idle_seconds())
    elif session_id:
        session = _sessions().find(session_id)
    if session is None:
        return answer_nothing(FORGET if session_id else ())
    caller = _keys().find_hash(session.key_hash) if session.key_hash else Caller(session.name, session.scopes)
    if caller.refusal:  # the key was revoked
        return answer_nothing(FORGET)
    now = int(time.time())
    body = {"name": caller.name, "scopes": caller.scopes.split(), "ends_in": session.ends_at - now}
    return answer_json(200, {**body, "expires_in": session.expires_at - now})


def sign_out(request: Request) -> Response:
    """Ends the session."""
    if not request.is_own:
        return answer_json(403, {})
    if session_id := read_cookie(request.cookies):
        _sessions().end(session_id)
    return answer_redirect("/console/sign-in?reason=signed-out", FORGET)
