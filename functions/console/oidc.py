"""Signing in with an OpenID Connect issuer: authorization code with PKCE, done here, not in the browser.

Sources: OpenID Connect Core 1.0, RFC 7636 (PKCE), RFC 9207 (`iss` in the answer), RFC 9700 (what to be careful with).
"""

import base64
import hashlib
import http.client
import json
import logging
import secrets
import time
import warnings
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from joserfc import jwt
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jws import JWSRegistry

from authorizer.callers import Caller
from authorizer.issuer import IssuerError, IssuerKeys, fetch_json, open_connection
from authorizer.tokens import ALGORITHMS, LEEWAY_SECONDS, Tokens, TokenSettings, loopback_allowed
from common.settings import read_text

MOST_BYTES = 256 * 1024
DISCOVERED_SECONDS = 3600

log = logging.getLogger(__name__)


class SignInError(Exception):
    """Nobody is signed in; the message is for a person."""


class Attempt(NamedTuple):
    """A sign-in that has begun: what its answer must match."""

    state: str
    nonce: str
    verifier: str

    @classmethod
    def make(cls) -> "Attempt":
        """A new one, of random values."""
        return cls(*(secrets.token_urlsafe(32) for _ in cls._fields))

    def encode(self) -> str:
        """As a cookie's value."""
        return ".".join(self)

    @classmethod
    def decode(cls, text: str) -> "Attempt | None":
        """What `encode` made; None for anything else."""
        parts = text.split(".")
        return cls(*parts) if len(parts) == len(cls._fields) and all(parts) else None


class SignedIn(NamedTuple):
    """Who signed in, and how long the token says so, in seconds since 1970."""

    caller: Caller
    expires_at: int


class Issuer:
    """The issuer of the API's tokens, as the console's."""

    def __init__(self) -> None:
        self._settings = TokenSettings.read()
        self._client_id = read_text("OIDC_CLIENT_ID")
        self._scope = read_text("OIDC_CLIENT_SCOPE", "openid")
        self._loopback = loopback_allowed()
        fetch = partial(fetch_json, loopback=self._loopback)
        self._fetch = fetch
        self._keys = IssuerKeys(self._settings.issuer, fetch)
        self._tokens = Tokens(self._settings, self._keys)
        self._registry = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
        self._discovered: tuple[float, dict[str, Any]] = (float("-inf"), {})

    def build_url(self, attempt: Attempt, redirect_uri: str) -> str:
        """Where the browser goes to sign in. Raises `SignInError`."""
        challenge = hashlib.sha256(attempt.verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": redirect_uri,
            "scope": self._scope,
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": base64.urlsafe_b64encode(challenge).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
            "audience": self._settings.audiences[0],  # what Auth0 asks for; others ignore it
        }
        endpoint = self._find_endpoint("authorization_endpoint")
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"

    def finish(self, attempt: Attempt, code: str, issuer: str, redirect_uri: str) -> SignedIn:
        """Who comes back with a code; `issuer` says who sends it, empty where nobody does. Raises `SignInError`."""
        if issuer and issuer != self._settings.issuer:
            raise SignInError("The answer came from another issuer than the one that was asked.")
        tokens = self._exchange(attempt, code, redirect_uri)
        subject = self._check_id_token(str(tokens.get("id_token")), attempt.nonce)
        access_token = str(tokens.get("access_token"))
        caller = self._tokens.find(access_token)
        if caller.refusal:
            raise SignInError("The issuer's access token is not one for this API: see OidcAudience in docs/console.md.")
        claims = _read_claims(access_token)
        if claims.get("sub") != subject:
            raise SignInError("The issuer's two tokens are not about the same person.")
        return SignedIn(caller, int(claims["exp"]))

    def _exchange(self, attempt: Attempt, code: str, redirect_uri: str) -> dict[str, Any]:
        body = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "client_id": self._client_id,
            "code_verifier": attempt.verifier,
        }
        headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        parts = urlsplit(self._find_endpoint("token_endpoint"))
        try:
            connection = open_connection(parts, loopback=self._loopback)
            try:
                target = parts.path + (f"?{parts.query}" if parts.query else "")
                connection.request("POST", target, body=urlencode(body), headers=headers)
                response = connection.getresponse()
                answer = json.loads(response.read(MOST_BYTES))
            finally:
                connection.close()
        except (OSError, http.client.HTTPException, ValueError, RecursionError) as failure:
            log.error("code not exchanged: %s", type(failure).__name__)
            raise SignInError("The issuer can't be reached; try again.") from None
        if response.status != 200 or not isinstance(answer, dict):
            log.error("code not exchanged: status %s", response.status)
            raise SignInError("The issuer did not take the sign-in; try again.")
        return answer

    def _check_id_token(self, token: str, nonce: str) -> str:
        """The subject of an ID token that is the issuer's, ours and the answer to this attempt."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SecurityWarning)  # of EdDSA's old name
                decoded = jwt.decode(token, self._tokens.find_key, ALGORITHMS, self._registry)
            jwt.JWTClaimsRegistry(
                now=int(time.time()),
                leeway=LEEWAY_SECONDS,
                iss={"essential": True, "value": self._settings.issuer},
                aud={"essential": True, "value": self._client_id},
                exp={"essential": True},
                sub={"essential": True},
                nonce={"essential": True, "value": nonce},
            ).validate(decoded.claims)
        except IssuerError as failure:
            log.error("ID token not checked: %s", failure)
            raise SignInError("The issuer's keys can't be had; try again.") from None
        except (JoseError, ValueError, TypeError) as failure:
            log.warning("ID token refused", extra={"reason": type(failure).__name__})
            raise SignInError("The issuer's answer is not for this sign-in; try again.") from None
        return str(decoded.claims["sub"])

    def _find_endpoint(self, name: str) -> str:
        if time.monotonic() - self._discovered[0] > DISCOVERED_SECONDS:
            try:
                found = self._fetch(self._settings.issuer.rstrip("/") + "/.well-known/openid-configuration")
            except IssuerError as failure:
                log.error("issuer not discovered: %s", failure)
                raise SignInError("The issuer can't be reached; try again.") from None
            if found.get("issuer") != self._settings.issuer:
                raise SignInError("The issuer says that it is another one: see OidcIssuer.")
            self._discovered = (time.monotonic(), found)
        endpoint = str(self._discovered[1].get(name, ""))
        if not endpoint.startswith(("https://", "http://127.0.0.1:") if self._loopback else "https://"):
            raise SignInError("The issuer does not say where to sign in.")
        return endpoint


def _read_claims(token: str) -> dict[str, Any]:
    """The claims of a token that has been checked."""
    part = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims
