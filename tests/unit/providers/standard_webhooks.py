"""Requests signed as Standard Webhooks, changed in every way that must not, or must, get through."""

import base64
import hmac
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from providers import WebhookRequest
from tests.unit.providers.payloads import Payload

WINDOW = timedelta(minutes=5)
SECOND = timedelta(seconds=1)


class Case(NamedTuple):
    """A request, the live secrets, when it comes, and, if it is refused, what the log must say."""

    request: WebhookRequest
    secrets: list[str]
    now: datetime
    problem: str = ""


def sign(payload: Payload, prefix: str, time: datetime, *, secret: str = "", named: str = "") -> WebhookRequest:
    """The payload's request as it is sent at another time, under another secret or with other names of the headers."""
    message_id, seconds = payload.request.headers[f"{prefix}-id"], str(int(time.timestamp()))
    key = base64.b64decode((secret or payload.secrets[-1]).removeprefix("whsec_"))
    signed = f"{message_id}.{seconds}.".encode() + payload.request.body
    signature = "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    names = {name: text for name, text in payload.request.headers.items() if not name.startswith(prefix)}
    prefix = named or prefix
    headers = {f"{prefix}-id": message_id, f"{prefix}-timestamp": seconds, f"{prefix}-signature": signature}
    return payload.request._replace(headers=names | headers)


def list_refused(payload: Payload, prefix: str) -> dict[str, Case]:
    """What must be refused, by what is wrong with it; the payload's last secret is the one that signed."""
    request, secrets, now = payload.request, payload.secrets, payload.now
    headers = request.headers
    id_name, time_name, name = (f"{prefix}-{part}" for part in ("id", "timestamp", "signature"))
    signature = headers[name]
    raw = base64.b64decode(signature.removeprefix("v1,"))
    signed_at = datetime.fromtimestamp(int(headers[time_name]), UTC)

    def change(**changed: str) -> WebhookRequest:
        names = {"id": id_name, "time": time_name, "signature": name}
        return request._replace(headers={**headers, **{names[part]: text for part, text in changed.items()}})

    def drop(*dropped: str) -> WebhookRequest:
        return request._replace(headers={key: text for key, text in headers.items() if key not in dropped})

    def encode(value: bytes) -> str:
        return "v1," + base64.b64encode(value).decode()

    wrong, malformed = "wrong credentials", "malformed base64"
    other = "webhook" if prefix == "svix" else "svix"
    changed = {
        "first bit of the signature": (change(signature=encode(bytes([raw[0] ^ 128]) + raw[1:])), wrong),
        "last bit of the signature": (change(signature=encode(raw[:-1] + bytes([raw[-1] ^ 1]))), wrong),
        "signature cut short": (change(signature=encode(raw[:16])), wrong),
        "bit of the body": (request._replace(body=bytes([request.body[0] ^ 1]) + request.body[1:]), wrong),
        "line break after the body": (request._replace(body=request.body + b"\n"), wrong),
        "another id": (change(id=headers[id_name] + "0"), wrong),
        "another time": (change(time=str(int(headers[time_name]) + 1)), wrong),
        "no id": (drop(id_name), "no header webhook-id"),
        "no time": (drop(time_name), f"no header {time_name}"),
        "no signature": (drop(name), f"no header {name}"),
        "no headers": (drop(id_name, time_name, name), "no header webhook-id"),
        "names of two kinds": (
            drop(time_name)._replace(headers={**drop(time_name).headers, f"{other}-timestamp": headers[time_name]}),
            f"no header {time_name}",
        ),
        "empty signature": (change(signature=" "), f"no header {name}"),
        "no base64": (change(signature="v1,!"), malformed),
        "hexadecimal": (change(signature="v1," + raw.hex()), wrong),
        "no version": (change(signature=signature.removeprefix("v1,")), "no signature of version v1"),
        "another version": (change(signature=signature.replace("v1,", "v2,")), "no signature of version v1"),
        "public key's version": (change(signature=signature.replace("v1,", "v1a,")), "no signature of version v1"),
        "only wrong signatures": (change(signature=f"{encode(raw[::-1])} v1,! {encode(b'')}"), wrong),
        "time in words": (change(time="soon"), "malformed time"),
        "time in milliseconds": (change(time=headers[time_name] + "000"), "malformed time"),
    }
    stale, early = signed_at + WINDOW + SECOND, signed_at - WINDOW - SECOND
    return {
        **{what: Case(changed_request, secrets, now, problem) for what, (changed_request, problem) in changed.items()},
        "stale": Case(request, secrets, stale, "too long ago"),
        "from the future": Case(request, secrets, early, "ahead of time"),
        "signed with a retired secret": Case(request, ["whsec_YSByZXRpcmVkIG9uZQ=="], now, wrong),
        "no secret": Case(request, [], now, wrong),
        "secret of another form": Case(request, ["mailwake:a password"], now, "not base64"),
    }


def list_accepted(payload: Payload, prefix: str) -> dict[str, Case]:
    """What must get through."""
    request, secrets, now = payload.request, payload.secrets, payload.now
    name = f"{prefix}-signature"
    signature = request.headers[name]
    signed_at = datetime.fromtimestamp(int(request.headers[f"{prefix}-timestamp"]), UTC)
    coming, later = "whsec_bmV4dCB5ZWFyJ3Mgc2VjcmV0", now + timedelta(hours=10)
    listed = f"v1a,AAAA v1,! v1,{base64.b64encode(b'x' * 32).decode()} {signature} v2,AAAA"
    return {
        "as it was sent": Case(request, secrets[-1:], now),
        "a secret that is being replaced": Case(request, [secrets[-1], coming], now),
        "its successor": Case(sign(payload, prefix, now, secret=coming), [secrets[-1], coming], now),
        "a secret without its mark": Case(request, [secrets[-1].removeprefix("whsec_")], now),
        "several signatures": Case(request._replace(headers={**request.headers, name: listed}), secrets, now),
        "as late as may be": Case(request, secrets, signed_at + WINDOW),
        "as early as may be": Case(request, secrets, signed_at - WINDOW),
        "sent again": Case(sign(payload, prefix, later), secrets, later),
        "the headers' other name": Case(
            sign(payload, prefix, now, named="webhook" if prefix == "svix" else "svix"), secrets, now
        ),
    }
