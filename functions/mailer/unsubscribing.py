"""Links by which whoever got a mail gets no more of them: signed, so that nobody can unsubscribe others.

A token is `{payload}.{mac}`, both base64 for URLs; the payload is the JSON of [address, topic, id of the mail].
"""

import base64
import binascii
import hmac
import json
from collections.abc import Sequence
from typing import Final, NamedTuple

from common.secrets import KeptSecret

MAC_BYTES: Final = 20
LONGEST: Final = 2_000  # characters of a token
Keys = KeptSecret[list[bytes]]  # as `read_keys` reads them


class Subscription(NamedTuple):
    """What a link ends."""

    address: str  # lower case
    topic: str
    mail: str  # id in the outbox of the mail that the link came with


def read_keys(secret: str) -> list[bytes]:
    """The keys of the secret, a JSON object: all are taken, the last one signs. Raises `ValueError` without it."""
    try:
        document = json.loads(secret)
    except ValueError:
        raise ValueError("the secret of unsubscribing is no JSON") from None
    if (
        not isinstance(document, dict)
        or not document
        or not all(isinstance(key, str) and key for key in document.values())
    ):
        raise ValueError("the secret of unsubscribing is no JSON object of name: key")
    return [key.encode() for key in document.values()]


def make_token(subscription: Subscription, keys: Sequence[bytes]) -> str:
    """The token of a link."""
    payload = _encode(json.dumps(subscription, separators=(",", ":")).encode())
    return f"{payload}.{_encode(_sign(payload, keys[-1]))}"


def read_token(token: str, keys: Sequence[bytes]) -> Subscription | None:
    """What a token stands for; None where none of the keys has signed it."""
    payload, _, mac = token.partition(".")
    try:
        given = base64.urlsafe_b64decode(mac + "=" * (-len(mac) % 4))
        if len(token) > LONGEST or not any(hmac.compare_digest(given, _sign(payload, key)) for key in keys):
            return None
        return Subscription(*json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))
    except (ValueError, TypeError, binascii.Error):
        return None


def _sign(payload: str, key: bytes) -> bytes:
    return hmac.digest(key, b"unsubscribe\0" + payload.encode(), "sha256")[:MAC_BYTES]


def _encode(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).decode().rstrip("=")
