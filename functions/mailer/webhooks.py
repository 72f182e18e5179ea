"""Webhooks: JSON, signed as Standard Webhooks ask, with one id however often it is tried.

Source: https://github.com/standard-webhooks/standard-webhooks: `webhook-id`, `webhook-timestamp` (of the attempt) and
`webhook-signature`, one signature for each live secret; 410 means that nobody wants them any more.
"""

import base64
import binascii
import hmac
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from common.json_text import encode_json
from mailer.outcomes import FAILED, SENT, UNKNOWN, Outcome, retry
from mailer.outgoing import ForbiddenTargetError, NoAnswerError, Outgoing

MARK = "whsec_"


def build_webhook(body: dict[str, Any]) -> bytes:
    """The JSON of a digest: `{"type", "timestamp", "data": {cohort, period, counts, added, removed, cut}}`."""
    notification = body["notification"]
    data = {
        "notification": notification["name"],
        "cohort": {"name": notification["cohort"], "title": notification["cohort_title"]},
        "subject": notification["subject"],
        **{name: body[name] for name in ("period", "counts", "added", "removed", "cut")},
    }
    return encode_json({"type": "cohort.changed", "timestamp": body["created_at"], "data": data})


def sign(name: str, at: datetime, payload: bytes, secrets: Sequence[str]) -> dict[str, str]:
    """The headers of an attempt. Raises `ValueError` where a secret is no base64."""
    seconds = str(int(at.timestamp()))
    signed = f"{name}.{seconds}.".encode() + payload
    signatures = []
    for secret in secrets:
        text = secret.strip().removeprefix(MARK)
        try:
            key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        except binascii.Error:
            raise ValueError("a secret is not base64") from None
        signatures.append("v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode())
    return {"webhook-id": name, "webhook-timestamp": seconds, "webhook-signature": " ".join(signatures)}


def send_webhook(
    outgoing: Outgoing, url: str, name: str, payload: bytes, secrets: Sequence[str], now: datetime
) -> Outcome:
    """One attempt."""
    try:
        headers = sign(name, now, payload, secrets)
    except ValueError as failure:
        return Outcome(FAILED, str(failure))
    return post(outgoing, url, payload, headers, now, is_repeatable=True)


def post(
    outgoing: Outgoing, url: str, payload: bytes, headers: dict[str, str], now: datetime, *, is_repeatable: bool
) -> Outcome:
    """Posts JSON, and judges the answer. What may have been taken is tried again where the other side would notice."""
    given = {"content-type": "application/json", "user-agent": "Mailwake", **headers}
    try:
        answer = outgoing.post(url, payload, given)
    except ForbiddenTargetError as failure:
        return Outcome(FAILED, f"the URL may not be asked: {failure}")
    except OSError as failure:
        return retry(f"it can't be reached: {type(failure).__name__}")
    except NoAnswerError as failure:
        error = f"no answer came: {failure}"
        return retry(error) if is_repeatable else Outcome(UNKNOWN, error)
    if 200 <= answer.status < 300:
        return Outcome(SENT, status=answer.status)
    error = f"it was answered {answer.status}"
    if answer.status >= 500 and not is_repeatable:
        return Outcome(UNKNOWN, error, answer.status)
    if answer.status in (408, 425, 429) or answer.status >= 500:
        return retry(error, answer.status, answer.headers.get("retry-after", ""), now)
    if 300 <= answer.status < 400:
        error += ": redirects are not followed"
    return Outcome(FAILED, error, answer.status)
