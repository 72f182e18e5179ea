"""Whether a webhook comes from whom it says: pure checks, in constant time, against several live secrets."""

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence
from typing import NamedTuple

BASIC_USER = "mailwake"  # the user name where a secret is just a password


class WebhookRequest(NamedTuple):
    """A webhook as it came in; header names are lower case."""

    provider: str
    method: str
    headers: Mapping[str, str]
    body: bytes


class UnverifiedError(Exception):
    """The sender did not prove who it is."""


def check_basic_auth(headers: Mapping[str, str], secrets: Sequence[str]) -> None:
    """HTTP basic authentication (RFC 7617): the user and password must be one of the secrets.

    A secret is `user:password`, or a password alone, whose user is `mailwake`. Every secret is compared, so that the
    time taken does not tell which one came close.
    """
    scheme, _, encoded = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        raise UnverifiedError("no basic authentication")
    try:
        given = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise UnverifiedError("malformed basic authentication") from None
    matches = [
        hmac.compare_digest(given, (secret if ":" in secret else f"{BASIC_USER}:{secret}").encode())
        for secret in secrets
    ]
    if not any(matches):
        raise UnverifiedError("wrong credentials")
