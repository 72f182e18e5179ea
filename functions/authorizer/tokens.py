"""Tokens of an OpenID Connect issuer: JWTs, checked by the issuer's keys, their claims turned into a caller.

Sources: RFC 7519 for the claims, RFC 8725 for what to be careful with.
"""

import hashlib
import logging
import re
import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError, SecurityWarning
from joserfc.jwk import GuestProtocol
from joserfc.jws import JWSRegistry

from authorizer.callers import UNAVAILABLE, UNKNOWN, Caller
from authorizer.issuer import IssuerError, IssuerKeys, PublicKey, fetch_json
from common.settings import SettingError, read_text

ALGORITHMS = ("RS256", "ES256", "EdDSA", "Ed25519")  # by public keys only; Ed25519 is EdDSA's newer name (RFC 9864)
TYPES = ("jwt", "at+jwt", "application/at+jwt")  # of access tokens, and of those that don't say what they are
LEEWAY_SECONDS = 30  # between the issuer's clock and ours
MOST_CHARACTERS = 10_000  # API Gateway takes no longer headers
UNMAPPED_SCOPES = frozenset({"events:read", "pii:read"})  # `admin` is too common a word to be taken from others

log = logging.getLogger(__name__)


class TokenSettings(NamedTuple):
    """Whose tokens are taken, and what they allow."""

    issuer: str
    audiences: tuple[str, ...]
    scope_claim: str  # its name, or its path with dots
    scope_map: Mapping[str, tuple[str, ...]]  # a value of the claim → scopes; empty: values are scopes

    @classmethod
    def read(cls) -> "TokenSettings":
        """From the environment. Raises `SettingError`."""
        return cls(
            issuer=read_text("OIDC_ISSUER"),
            audiences=tuple(one.strip() for one in read_text("OIDC_AUDIENCE").split(",")),
            scope_claim=read_text("OIDC_SCOPE_CLAIM", "scope"),
            scope_map=read_scope_map(read_text("OIDC_SCOPE_MAP", "")),
        )


def read_scope_map(text: str) -> dict[str, tuple[str, ...]]:
    """`support=events:read+pii:read,owners=admin` as a dict. Raises `SettingError`."""
    scopes = {}
    for entry in filter(None, text.split(",")):
        value, found, given = entry.rpartition("=")
        if not found or not value.strip() or not given.strip():
            raise SettingError("OIDC_SCOPE_MAP must be like value=scope+scope,value=scope")
        scopes[value.strip()] = tuple(scope.strip() for scope in given.split("+"))
    return scopes


def read_claim(claims: Mapping[str, Any], path: str) -> frozenset[str]:
    """The values of a claim, a list of texts or one text with spaces between; none where it is missing or otherwise.

    A claim's name may hold dots itself; else they lead into objects: `realm_access.roles`.
    """
    value: object = claims
    for step in [path] if path in claims else path.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    if isinstance(value, str):
        return frozenset(value.split())
    return frozenset(one for one in value if isinstance(one, str)) if isinstance(value, list) else frozenset()


def map_scopes(values: frozenset[str], scope_map: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    """The scopes that a claim's values stand for."""
    if not scope_map:
        return values & UNMAPPED_SCOPES
    return frozenset(scope for value in values for scope in scope_map.get(value, ()))


def build_name(subject: str) -> str:
    """The name of a token's subject for logs: `oidc:` with the subject, hashed where it might be an address."""
    if re.fullmatch(r"[\w.:|/-]{1,128}", subject, re.ASCII):
        return f"oidc:{subject}"
    return f"oidc:sha256-{hashlib.sha256(subject.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


class Tokens:
    """Tells who comes with a token of one issuer."""

    def __init__(
        self, settings: TokenSettings, keys: IssuerKeys | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._keys = keys or IssuerKeys(settings.issuer, partial(fetch_json, loopback=loopback_allowed()), clock)
        self._clock = clock
        # Headers that nobody knows are ignored, as the RFC asks; `crit` names those that must not be.
        self._registry = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)

    def find(self, token: str) -> Caller:
        """Who comes with this token; nobody, whatever is wrong with it."""
        try:
            claims = self._verify(token)
        except IssuerError as failure:
            log.error("token not checked: %s", failure)
            return UNAVAILABLE
        except (JoseError, ValueError, TypeError) as failure:
            # The class alone: a message may hold a piece of the token.
            log.info("token refused", extra={"reason": type(failure).__name__})
            return UNKNOWN
        scopes = map_scopes(read_claim(claims, self._settings.scope_claim), self._settings.scope_map)
        return Caller(name=build_name(claims["sub"]), scopes=" ".join(sorted(scopes)))

    def _verify(self, token: str) -> dict[str, Any]:
        if len(token) > MOST_CHARACTERS:
            raise ValueError("too long")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)  # of EdDSA's old name
            decoded = jwt.decode(token, self.find_key, ALGORITHMS, self._registry)
        if str(decoded.header.get("typ", "jwt")).lower() not in TYPES:
            raise ValueError("not an access token")
        claims = decoded.claims
        # Cognito's access tokens name the client instead of an audience; its others say that they are no access tokens.
        if "aud" not in claims and "client_id" in claims:
            claims = {**claims, "aud": claims["client_id"]}
        if claims.get("token_use", "access") != "access":
            raise ValueError("not an access token")
        jwt.JWTClaimsRegistry(
            now=int(self._clock()),
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": self._settings.issuer},
            aud={"essential": True, "values": list(self._settings.audiences)},
            exp={"essential": True},
            sub={"essential": True},
        ).validate(claims)
        return claims

    def find_key(self, signed: GuestProtocol) -> PublicKey:
        """The key that a token says it is signed with. Raises `InvalidKeyIdError` and `IssuerError`."""
        key = self._keys.find(signed.headers().get("kid"))
        if key is None:
            raise InvalidKeyIdError
        return key


def loopback_allowed() -> bool:
    """Whether an issuer on 127.0.0.1 may do without TLS: on the local stack."""
    return read_text("OIDC_TLS", "always") == "not-on-loopback"
