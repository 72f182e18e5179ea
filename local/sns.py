"""SNS as far as the stack plays it: what a topic delivers over HTTPS, signed as SNS signs, by a key of our own.

The listener checks it as it checks SNS: the stack keeps the certificate in WebhookSecret, where SNS's would be fetched.
"""

import base64
import functools
import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from common.clock import format_instant
from providers import WebhookRequest
from providers._sns import ID_HEADER, build_signed, is_raw

SUBJECT = "Amazon SES Email Event Notification"
AGENT = "Amazon Simple Notification Service Agent"


class Posted(NamedTuple):
    """A notification as it is posted."""

    headers: dict[str, str]
    body: bytes


@functools.cache
def _make_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@functools.cache
def make_certificate() -> str:
    """The certificate of the key that `sign` uses, as PEM."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.amazonaws.com")])
    began = datetime.now(UTC) - timedelta(days=1)
    builder = x509.CertificateBuilder(name, name, _make_key().public_key(), 1, began, began + timedelta(days=365))
    return builder.sign(_make_key(), hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def post(topic: str, message: str, now: datetime, message_id: str = "") -> Posted:
    """A topic's notification, without raw delivery; the id is a new one where none is given."""
    region = topic.split(":")[3]
    envelope = {
        "Type": "Notification",
        "MessageId": message_id or str(uuid.uuid4()),
        "TopicArn": topic,
        "Subject": SUBJECT,
        "Message": message,
        "Timestamp": format_instant(now),
        "SignatureVersion": "2",
    }
    signature = _make_key().sign(build_signed(envelope), padding.PKCS1v15(), hashes.SHA256())
    host = f"https://sns.{region}.amazonaws.com"
    envelope |= {
        "Signature": base64.b64encode(signature).decode(),
        "SigningCertURL": f"{host}/SimpleNotificationService-{'0' * 32}.pem",
        "UnsubscribeURL": f"{host}/?Action=Unsubscribe&SubscriptionArn={topic}:00000000-0000-0000-0000-000000000000",
    }
    headers = {
        "x-amz-sns-message-type": "Notification",
        ID_HEADER: envelope["MessageId"],
        "x-amz-sns-topic-arn": topic,
        "Content-Type": "text/plain; charset=UTF-8",
        "User-Agent": AGENT,
    }
    return Posted(headers, json.dumps(envelope, indent=2).encode())


def post_again(request: WebhookRequest, topic: str, now: datetime) -> Posted:
    """What SNS delivered elsewhere, raw or not, as this topic would deliver it now."""
    if is_raw(request):
        return post(topic, request.body.decode(), now, request.headers[ID_HEADER])
    envelope = json.loads(request.body)
    return post(topic, envelope["Message"], now, envelope["MessageId"])
