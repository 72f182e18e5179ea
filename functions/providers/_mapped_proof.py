"""How the sender of a mapped provider's webhook proves who it is."""

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from common.events import Json
from providers import UnverifiedError, WebhookRequest
from providers._mapped_times import build_read_time
from providers._standard_webhooks import check_standard_webhook
from providers._verification import (
    WINDOW,
    check_equal,
    check_hmac,
    check_recent,
    check_shared_secret,
    decode_base64,
    decode_hex,
    read_header,
)

Verify = Callable[[WebhookRequest, Sequence[str], datetime], None]

_SEPARATORS = re.compile("[,;]")
DECODERS = {"hex": decode_hex, "base64": decode_base64}


def build_verify(proof: Json) -> Verify:
    """The check that a mapping's `proof` describes."""
    builders: dict[str, Callable[[Json], Verify]] = {
        "shared_secret": lambda _proof: lambda request, secrets, _now: check_shared_secret(request, secrets),
        "standard_webhooks": lambda _proof: check_standard_webhook,
        "header": _build_header_check,
        "hmac": _build_hmac_check,
    }
    return builders[proof["how"]](proof)


def _build_header_check(proof: Json) -> Verify:
    header, prefix = proof["header"].lower(), proof.get("prefix", "")

    def verify(request: WebhookRequest, secrets: Sequence[str], _now: datetime) -> None:
        given = _cut_prefix(read_header(request, header), prefix)
        check_equal(given.encode("utf-8", "surrogatepass"), [secret.encode() for secret in secrets])

    return verify


def _build_hmac_check(proof: Json) -> Verify:
    header, prefix = proof["header"].lower(), proof.get("prefix", "")
    fields, timestamp = proof.get("fields"), proof.get("timestamp", {})
    time_header = timestamp.get("header", "").lower()
    read_time = build_read_time(timestamp.get("format", "seconds"))
    window = timedelta(seconds=timestamp.get("window_seconds", WINDOW.total_seconds()))
    pieces = re.split(r"\{(\w+)\}", proof.get("signed", "{body}"))  # text, name, text, …
    decode = DECODERS[proof.get("encoding", "hex")]
    digest = proof.get("digest", "sha256")
    form = proof.get("secret", "text")

    def verify(request: WebhookRequest, secrets: Sequence[str], now: datetime) -> None:
        given = read_header(request, header)
        if fields is None:
            signatures, time = [given], read_header(request, time_header) if time_header else ""
        else:
            found = [part.strip().partition("=") for part in _SEPARATORS.split(given)]
            signatures = [value for name, _, value in found if name == fields["signature"]]
            times = [value for name, _, value in found if name == fields.get("timestamp")]
            time = times[0] if times else read_header(request, time_header) if time_header else ""
        if "timestamp" in pieces[1::2]:
            try:
                check_recent(read_time(time), now, window)
            except ValueError:
                raise UnverifiedError("malformed time") from None
        parts = {"body": request.body, "timestamp": _encode(time), "url": _encode(request.url)}
        signed = b"".join(parts[piece] if place % 2 else _encode(piece) for place, piece in enumerate(pieces))
        keys = _read_keys(secrets, form)
        problem = UnverifiedError("no signature")
        for text in signatures:
            try:
                check_hmac(decode(_cut_prefix(text, prefix)), keys, signed, digest)
            except UnverifiedError as failure:
                problem = failure
            else:
                return
        raise problem

    return verify


def _cut_prefix(text: str, prefix: str) -> str:
    if not text.startswith(prefix):
        raise UnverifiedError("the header begins with another word")
    return text.removeprefix(prefix)


def _read_keys(secrets: Sequence[str], form: str) -> list[str | bytes]:
    """The keys of the live secrets. Raises `UnverifiedError` where there are some, but none of that form."""
    if form == "text":
        return list(secrets)
    keys: list[str | bytes] = []
    for secret in secrets:
        try:
            keys.append(DECODERS[form](secret.strip()))
        except UnverifiedError:
            continue
    if secrets and not any(keys):
        raise UnverifiedError(f"the secret that is configured is not {form}")
    return [key for key in keys if key]


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
