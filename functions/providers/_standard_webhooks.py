"""Standard Webhooks, which Svix sends: an id, a time and the body, signed by HMAC-SHA256.

Source: https://github.com/standard-webhooks/standard-webhooks. The headers are `webhook-id`, `webhook-timestamp` and
`webhook-signature`, or the same with `svix-`; a secret is base64, mostly after `whsec_`. The id stays the same when the
same message is sent again, the time does not. Signatures by public key (`v1a`) are passed over.
"""

from collections.abc import Sequence
from datetime import datetime

from providers import UnverifiedError, WebhookRequest
from providers._verification import check_hmac, check_recent, decode_base64, read_header, read_seconds

PREFIXES = ("webhook", "svix")
MARK = "whsec_"  # how a secret begins
VERSION = "v1,"
LONGEST_ID = 200  # what the listener keeps of it


def check_standard_webhook(request: WebhookRequest, secrets: Sequence[str], now: datetime) -> None:
    """One of the signatures must be right, under one of the live secrets, within five minutes of the signed time."""
    prefix = next((prefix for prefix in PREFIXES if f"{prefix}-id" in request.headers), PREFIXES[0])
    message_id = read_header(request, f"{prefix}-id")
    time = read_header(request, f"{prefix}-timestamp")
    given = [text for text in read_header(request, f"{prefix}-signature").split() if text.startswith(VERSION)]
    if not given:
        raise UnverifiedError("no signature of version v1")
    check_recent(read_seconds(time), now)
    keys = [key for key in map(_read_key, secrets) if key]
    if secrets and not keys:
        raise UnverifiedError("the secret that is configured is not base64")
    signed = f"{message_id}.{time}.".encode("utf-8", "surrogatepass") + request.body
    problem = UnverifiedError("wrong credentials")
    for text in given:
        try:
            check_hmac(decode_base64(text.removeprefix(VERSION)), keys, signed)
        except UnverifiedError as failure:
            problem = failure
        else:
            return
    raise problem


def find_message_id(request: WebhookRequest) -> str:
    """The id of the message, which is the event's."""
    headers = request.headers
    return next((headers[f"{prefix}-id"][:LONGEST_ID] for prefix in PREFIXES if headers.get(f"{prefix}-id")), "")


def _read_key(secret: str) -> bytes:
    text = secret.strip().removeprefix(MARK)
    try:
        return decode_base64(text + "=" * (-len(text) % 4))
    except UnverifiedError:
        return b""
