"""The keys with which an OpenID Connect issuer signs: fetched, kept, and fetched again when they change.

Sources: OpenID Connect Discovery 1.0 for where they are, RFC 7517 for their form.
"""

import http.client
import json
import logging
import time
import warnings
from collections.abc import Callable
from typing import Any
from urllib.parse import SplitResult, urlsplit

from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, OKPKey, RSAKey, import_key

FRESH_SECONDS = 3600  # then the keys are fetched again
KEPT_SECONDS = 6 * 3600  # for so long they go on being used while the issuer can't be reached
PAUSE_SECONDS = 60  # between two fetches, whatever keys are asked for
RETRY_SECONDS = 10  # the same after one that failed
TIMEOUT_SECONDS = 2.5  # for each of the two requests: API Gateway gives an authorizer 10 s in all
MOST_BYTES = 512 * 1024

PublicKey = RSAKey | ECKey | OKPKey
Fetch = Callable[[str], dict[str, Any]]

log = logging.getLogger(__name__)


class IssuerError(Exception):
    """The issuer can't be reached, or its answers are not what they should be; the message says which."""


def fetch_json(url: str, *, loopback: bool = False) -> dict[str, Any]:
    """The JSON object at an https URL; redirects are not followed. With `loopback`, plain http to 127.0.0.1 will do.

    Raises `IssuerError`.
    """
    try:
        parts = urlsplit(url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection = open_connection(parts, loopback=loopback)
        try:
            connection.request("GET", target, headers={"accept": "application/json"})
            response = connection.getresponse()
            body = response.read(MOST_BYTES)  # JSON that is cut short is none
        finally:
            connection.close()
        document = json.loads(body) if response.status == 200 else None
    except (OSError, http.client.HTTPException, ValueError, RecursionError) as failure:
        raise IssuerError(f"{type(failure).__name__} from {url}") from failure
    if not isinstance(document, dict):
        raise IssuerError(f"status {response.status} and no JSON object from {url}")
    return document


def open_connection(parts: SplitResult, *, loopback: bool) -> http.client.HTTPConnection:
    """A connection to the host of a URL. Raises `ValueError` for one that is not https."""
    if parts.scheme == "https":
        return http.client.HTTPSConnection(parts.netloc, timeout=TIMEOUT_SECONDS)
    if loopback and parts.scheme == "http" and parts.hostname == "127.0.0.1":
        return http.client.HTTPConnection(parts.netloc, timeout=TIMEOUT_SECONDS)
    raise ValueError("not https")


def read_keys(document: dict[str, Any]) -> dict[str, PublicKey]:
    """Public keys by their id (empty for one without) out of a JWK set; what is unfit for signatures is left out."""
    keys: dict[str, PublicKey] = {}
    listed = document.get("keys")
    for entry in listed if isinstance(listed, list) else []:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", SecurityWarning)  # of keys that are too short
                key = import_key(entry)
                key.check_use("sig")
        except (JoseError, SecurityWarning, ValueError, TypeError, KeyError):
            continue
        if isinstance(key, PublicKey):  # no shared secrets
            keys.setdefault(key.kid or "", key)
    return keys


class IssuerKeys:
    """The keys of one issuer."""

    def __init__(self, issuer: str, fetch: Fetch = fetch_json, clock: Callable[[], float] = time.time) -> None:
        self._issuer = issuer
        self._fetch = fetch
        self._clock = clock
        self._keys: dict[str, PublicKey] = {}
        self._fetched_at = float("-inf")
        self._next_fetch_at = float("-inf")

    def find(self, key_id: str | None) -> PublicKey | None:
        """The key of that id, None where the issuer has none; without an id the only key, if it is the only one.

        Raises `IssuerError` when there are no keys at all, or they are too old to be trusted.
        """
        key = self._pick(key_id)
        if key is None or self._clock() - self._fetched_at > FRESH_SECONDS:
            self._refresh()
            key = self._pick(key_id)
        if self._clock() - self._fetched_at > KEPT_SECONDS:
            raise IssuerError(f"no keys of {self._issuer}")
        return key

    def _pick(self, key_id: str | None) -> PublicKey | None:
        if key_id is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(key_id)

    def _refresh(self) -> None:
        """Fetches the keys, unless that was tried a moment ago."""
        began = self._clock()
        if began < self._next_fetch_at:
            return
        try:
            self._keys = self._fetch_keys()
        except IssuerError as failure:
            log.warning("keys not fetched: %s", failure)
            self._next_fetch_at = began + RETRY_SECONDS
        else:
            self._fetched_at = began
            self._next_fetch_at = began + PAUSE_SECONDS

    def _fetch_keys(self) -> dict[str, PublicKey]:
        discovered = self._fetch(self._issuer.rstrip("/") + "/.well-known/openid-configuration")
        if discovered.get("issuer") != self._issuer:
            raise IssuerError(f"{self._issuer} says that it is another issuer")
        keys = read_keys(self._fetch(str(discovered.get("jwks_uri"))))
        if not keys:
            raise IssuerError(f"{self._issuer} has no keys for signatures")
        return keys
