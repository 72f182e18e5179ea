"""Samples signed anew: where a provider signs the time, the proof that was recorded holds for minutes only.

What is signed by a key that nobody has here (Amazon's, Scaleway's) stays as it is.
"""

import base64
import functools
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from urllib.parse import parse_qsl, urlencode

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from local.samples import Payload
from providers import WebhookRequest

Sign = Callable[[WebhookRequest, Sequence[str], str], tuple[WebhookRequest, Sequence[str]]]  # with the secrets then


def sign_anew(payload: Payload, secrets: Sequence[str], now: datetime) -> tuple[Payload, Sequence[str]]:
    """The sample as the provider would send it at this time, and the secrets that prove it."""
    sign = SIGNERS.get(payload.request.provider)
    if sign is None or not secrets:
        return payload, secrets
    request, live = sign(payload.request, secrets, str(int(now.timestamp())))
    return payload._replace(request=request), live


def _with_headers(request: WebhookRequest, headers: Mapping[str, str]) -> WebhookRequest:
    return request._replace(headers={**request.headers, **headers})


def _digest(secret: str | bytes, signed: bytes) -> bytes:
    return hmac.digest(secret.encode() if isinstance(secret, str) else secret, signed, "sha256")


def sign_standard(request: WebhookRequest, secrets: Sequence[str], time: str) -> tuple[WebhookRequest, Sequence[str]]:
    """Standard Webhooks."""
    prefix = "svix" if "svix-id" in request.headers else "webhook"
    text = secrets[0].removeprefix("whsec_")
    key = base64.b64decode(text + "=" * (-len(text) % 4))
    signed = f"{request.headers[f'{prefix}-id']}.{time}.".encode() + request.body
    given = base64.b64encode(_digest(key, signed)).decode()
    return _with_headers(request, {f"{prefix}-timestamp": time, f"{prefix}-signature": f"v1,{given}"}), secrets


def sign_customerio(request: WebhookRequest, secrets: Sequence[str], time: str) -> tuple[WebhookRequest, Sequence[str]]:
    """Customer.io: version, time and body."""
    given = _digest(secrets[0], f"v0:{time}:".encode() + request.body).hex()
    return _with_headers(request, {"x-cio-timestamp": time, "x-cio-signature": given}), secrets


def sign_klaviyo(request: WebhookRequest, secrets: Sequence[str], time: str) -> tuple[WebhookRequest, Sequence[str]]:
    """Klaviyo: body and time."""
    given = _digest(secrets[0], request.body + time.encode()).hex()
    return _with_headers(request, {"klaviyo-timestamp": time, "klaviyo-signature": given}), secrets


def sign_mailgun(request: WebhookRequest, secrets: Sequence[str], time: str) -> tuple[WebhookRequest, Sequence[str]]:
    """Mailgun: time and token, in the body; only where that is JSON or an urlencoded form."""
    content_type = request.headers.get("content-type", "")
    if content_type.startswith("application/json"):
        body = json.loads(request.body)
        token = body["signature"]["token"]
        body["signature"] |= {"timestamp": time, "signature": _digest(secrets[0], (time + token).encode()).hex()}
        return request._replace(body=json.dumps(body).encode()), secrets
    if content_type.startswith("application/x-www-form-urlencoded"):
        pairs = parse_qsl(request.body.decode(), keep_blank_values=True)
        proof = {"timestamp": time, "signature": _digest(secrets[0], (time + dict(pairs)["token"]).encode()).hex()}
        changed = [(name, proof.get(name, value)) for name, value in pairs]
        return request._replace(body=urlencode(changed).encode()), secrets
    return request, secrets


def sign_zeptomail(request: WebhookRequest, secrets: Sequence[str], time: str) -> tuple[WebhookRequest, Sequence[str]]:
    """ZeptoMail: time in milliseconds, and body."""
    if "producer-signature" not in request.headers:
        return request, secrets
    told = f"{time}000"
    given = base64.b64encode(_digest(secrets[0], told.encode() + request.body)).decode().replace("=", "%3D")
    header = f"ts={told};s={given};s-algorithm=HmacSHA256"
    return _with_headers(request, {"producer-signature": header.replace("+", "%2B")}), secrets


def sign_sendgrid(request: WebhookRequest, _secrets: Sequence[str], time: str) -> tuple[WebhookRequest, Sequence[str]]:
    """SendGrid: time and body, by a key of our own."""
    key = _make_key()
    given = base64.b64encode(key.sign(time.encode() + request.body, ec.ECDSA(hashes.SHA256()))).decode()
    name = "x-twilio-email-event-webhook"
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    signed = _with_headers(request, {f"{name}-signature": given, f"{name}-timestamp": time})
    return signed, [base64.b64encode(public).decode()]


@functools.cache
def _make_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


SIGNERS: Mapping[str, Sign] = {
    "customerio": sign_customerio,
    "klaviyo": sign_klaviyo,
    "loops": sign_standard,
    "mailgun": sign_mailgun,
    "resend": sign_standard,
    "sendgrid": sign_sendgrid,
    "zeptomail": sign_zeptomail,
}
