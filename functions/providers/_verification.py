"""Whether a webhook comes from whom it says: pure checks, in constant time, against several live secrets."""

import base64
import binascii
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from providers import UnverifiedError, WebhookRequest

BASIC_USER = "mailwake"  # the user name where a secret is just a password
WINDOW = timedelta(minutes=5)  # what Standard Webhooks allows, for providers that sign a time


def check_shared_secret(request: WebhookRequest, secrets: Sequence[str]) -> None:
    """For providers that sign nothing: HTTP basic authentication (RFC 7617), or the secret in the URL's path.

    A secret is `user:password`, or a password alone, whose user is `mailwake`; in the path it is the password.
    """
    if request.path_secret:
        check_equal(
            request.path_secret.encode(errors="surrogatepass"),
            [secret.partition(":")[2].encode() if ":" in secret else secret.encode() for secret in secrets],
        )
        return
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        raise UnverifiedError("no basic authentication")
    wanted = [(secret if ":" in secret else f"{BASIC_USER}:{secret}").encode() for secret in secrets]
    check_equal(decode_base64(encoded.strip()), wanted)


def check_equal(given: bytes, wanted: Sequence[bytes]) -> None:
    """What was given must equal one of these. Every one is compared: the time taken does not tell which came close."""
    matches = [hmac.compare_digest(given, value) for value in wanted]
    if not any(matches):
        raise UnverifiedError("wrong credentials")


def check_hmac(given: bytes, secrets: Sequence[str | bytes], signed: bytes, digest: str = "sha256") -> None:
    """What was given must be the HMAC of the signed bytes under one of the live secrets."""
    keys = [secret.encode() if isinstance(secret, str) else secret for secret in secrets]
    check_equal(given, [hmac.digest(key, signed, digest) for key in keys])


def check_recent(signed_at: datetime, now: datetime, window: timedelta = WINDOW) -> None:
    """The time that the provider signed must be within the window, before or after now."""
    if abs(now - signed_at) > window:
        raise UnverifiedError("signed too long ago, or ahead of time")


def read_header(request: WebhookRequest, name: str) -> str:
    """A header that must be there; its name in lower case."""
    value = request.headers.get(name, "").strip()
    if not value:
        raise UnverifiedError(f"no header {name}")
    return value


def read_seconds(text: str) -> datetime:
    """The time of whole seconds since 1970."""
    if not (text.isascii() and text.isdigit() and len(text) < 12):
        raise UnverifiedError("malformed time")
    return datetime.fromtimestamp(int(text), UTC)


def decode_hex(text: str) -> bytes:
    """The bytes of hexadecimal text, in either case."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise UnverifiedError("malformed signature") from None


def decode_base64(text: str) -> bytes:
    """The bytes of base64 text."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise UnverifiedError("malformed base64") from None
