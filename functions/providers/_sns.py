"""Amazon SNS over HTTPS, and what speaks like it: envelopes signed by a certificate, subscriptions to confirm.

The secrets of such a provider are told apart by how they begin:
- `arn:…`: a topic that may send here. There must be one: anybody can subscribe a topic of their own to this URL, and
  its signature is as good;
- `signed:arn:…`: a topic whose signature is all that is asked for, whatever others must show beside theirs;
- `-----BEGIN CERTIFICATE-----…`: the certificate that signs. Then none is fetched;
- any other: `user:password`, which SNS sends when answered 401 with a challenge, or a password for the URL's path. It
  is then required beside the signature. Raw message delivery has no signature and comes in by this alone.

Source: "Verifying the signatures of Amazon SNS messages" and "Parsing message formats", SNS Developer Guide.
"""

import json
import logging
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlencode

from common.aws import AwsError
from common.events import Json
from providers import Reply, UnverifiedError, WebhookRequest
from providers._events import parse_json
from providers._fetching import Fetch, fetch
from providers._fields import read_epoch
from providers._verification import check_recent, check_shared_secret, decode_base64

NOTIFICATION = "Notification"
SUBSCRIPTION = "SubscriptionConfirmation"
UNSUBSCRIPTION = "UnsubscribeConfirmation"
CONFIRMATION_FIELDS = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
# What is signed of each type, in this order; what is absent is left out.
SIGNED_FIELDS = {
    NOTIFICATION: ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    SUBSCRIPTION: CONFIRMATION_FIELDS,
    UNSUBSCRIPTION: CONFIRMATION_FIELDS,
}
DIGESTS = {"1": "sha1", "2": "sha256"}  # SignatureVersion → digest
SIGNED = "signed:"  # before a topic
# Proofs that the raw body keeps, and that no event needs; who knows the last can end the subscription.
PROOF_FIELDS = ("Signature", "SignatureVersion", "SigningCertURL", "UnsubscribeURL")

RAW_HEADER = "x-amz-sns-rawdelivery"
ID_HEADER = "x-amz-sns-message-id"
TOPIC_HEADER = "x-amz-sns-topic-arn"

# The time signed is that of publishing. A retry policy may take an hour and SNS may be late; an event that comes again
# is the same event. So the window is wide: what is refused here, SNS never sends again.
WINDOW = timedelta(days=1)
CERTIFICATES = 16  # kept; a region signs with one at a time

_ARN = re.compile(r"arn:([a-z0-9-]+):sns:([a-z0-9-]+):[A-Za-z0-9-]+:[A-Za-z0-9_.-]+")
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)

log = logging.getLogger(__name__)


class Secrets(NamedTuple):
    """A provider's live secrets, by what they are."""

    topics: list[str]
    certificates: list[str]
    shared: list[str]


def sort_secrets(secrets: Sequence[str]) -> Secrets:
    """What each secret is."""
    sorted_ = Secrets([], [], [])
    for secret in map(str.strip, secrets):
        if secret.startswith(("arn:", SIGNED)):
            sorted_.topics.append(secret.removeprefix(SIGNED))
        elif secret.startswith("-----BEGIN"):
            sorted_.certificates.append(secret)
        else:
            sorted_.shared.append(secret)
    return sorted_


class Sns:
    """One provider's way of SNS.

    `hosts`: partition of a topic's ARN → host of its API, with `{region}`. `certificate_url`: where certificates may be
    fetched from; without it, a certificate or a shared secret must be configured.
    """

    def __init__(
        self, hosts: Mapping[str, str], certificate_url: re.Pattern[str] | None = None, fetch: Fetch = fetch
    ) -> None:
        self._hosts = hosts
        self._certificate_url = certificate_url
        self._fetch = fetch
        self._certificates: dict[str, str] = {}

    def verify(self, request: WebhookRequest, secrets: Sequence[str], now: datetime) -> None:
        """Shared secret (if configured), topic, time, signature. Raises `AwsError` if the certificate can't be had."""
        topics, certificates, shared = sort_secrets(secrets)
        if not topics:
            raise UnverifiedError("no topic's ARN is configured")
        if is_raw(request):
            if not shared:
                raise UnverifiedError("raw message delivery is not signed: turn it off, or configure user:password")
            check_shared_secret(request, shared)
            if request.headers.get(TOPIC_HEADER) not in topics:
                raise UnverifiedError("the topic is not one of those configured")
            return
        message = read_message(request.body)
        if SIGNED + message["TopicArn"] in secrets:
            shared = []
        if shared:
            check_shared_secret(request, shared)
        if message["TopicArn"] not in topics:
            raise UnverifiedError("the topic is not one of those configured")
        check_recent(read_time(message["Timestamp"]), now, WINDOW)
        if not certificates and self._certificate_url is None and shared:
            return
        given = decode_base64(message.get("Signature", ""))
        digest = DIGESTS.get(message.get("SignatureVersion", ""))
        if digest is None:
            raise UnverifiedError("unknown SignatureVersion")
        signed = build_signed(message)
        from providers._signatures import check_rsa

        check_rsa(given, certificates or [self._find_certificate(message.get("SigningCertURL", ""))], signed, digest)

    def handshake(self, request: WebhookRequest, secrets: Sequence[str], now: datetime) -> Reply | None:
        """Confirms a subscription of a configured topic, in the topic's region. Raises `AwsError` where that fails."""
        if request.method != "POST" or b"Confirmation" not in request.body or is_raw(request):
            return None
        try:
            message = read_message(request.body)
        except UnverifiedError:
            return None
        if message["Type"] == NOTIFICATION:
            return None
        self.verify(request, secrets, now)
        if message["Type"] == SUBSCRIPTION:
            self._confirm(message)
            log.info("confirmed the subscription of %s", message["TopicArn"])
        else:  # its SubscribeURL would undo it
            log.warning("%s sends here no longer: it was unsubscribed", message["TopicArn"])
        return Reply()

    def _confirm(self, message: Mapping[str, str]) -> None:
        """Calls the API itself, not the address in the message."""
        topic = message["TopicArn"]
        found = _ARN.fullmatch(topic)
        if found is None or found[1] not in self._hosts:
            raise UnverifiedError("a topic's ARN that is configured is none of this provider")
        query = {"Action": "ConfirmSubscription", "TopicArn": topic, "Token": message.get("Token", "")}
        answer = self._fetch(f"https://{self._hosts[found[1]].format(region=found[2])}/?{urlencode(query)}")
        if not 200 <= answer.status < 300:
            raise AwsError(answer.status, "", "ConfirmSubscription")

    def _find_certificate(self, url: str) -> str:
        if self._certificate_url is None:
            raise UnverifiedError("neither a certificate nor a shared secret is configured")
        if not self._certificate_url.fullmatch(url):
            raise UnverifiedError("SigningCertURL is not an address of SNS's certificates")
        if url not in self._certificates:
            answer = self._fetch(url)
            if answer.status >= 500 or answer.status == 429:
                raise AwsError(answer.status, "", "GET SigningCertURL")
            found = _CERTIFICATE.search(answer.body.decode("ascii", "replace"))
            if answer.status != 200 or found is None:
                raise UnverifiedError("there is no certificate at SigningCertURL")
            if len(self._certificates) == CERTIFICATES:
                self._certificates.clear()
            self._certificates[url] = found[0]
        return self._certificates[url]


def is_raw(request: WebhookRequest) -> bool:
    """Whether the body is the message alone ("raw message delivery")."""
    return request.headers.get(RAW_HEADER, "").lower() == "true"


def find_raw_id(request: WebhookRequest) -> str:
    """The message's id where the body can't say it."""
    return request.headers.get(ID_HEADER, "") if is_raw(request) else ""


def read_message(body: bytes) -> dict[str, str]:
    """The texts of an envelope. Raises `UnverifiedError` where the body is none."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise UnverifiedError("the body is not an envelope of SNS") from None
    if type(value) is not dict:
        raise UnverifiedError("the body is not an envelope of SNS")
    message = {name: text for name, text in value.items() if type(text) is str}
    if message.get("Type") not in SIGNED_FIELDS or not {"MessageId", "TopicArn", "Timestamp"} <= message.keys():
        raise UnverifiedError("the body is not an envelope of SNS")
    return message


def read_time(text: str) -> datetime:
    """The time in an envelope."""
    try:
        return read_epoch(text)
    except ValueError:
        raise UnverifiedError("malformed Timestamp") from None


def build_signed(message: Mapping[str, str]) -> bytes:
    """What SNS signs: name and value on a line each, the last line ended too."""
    names = [name for name in SIGNED_FIELDS[message["Type"]] if name in message]
    return "".join(f"{name}\n{message[name]}\n" for name in names).encode("utf-8", "surrogatepass")


def open_body(body: bytes, batch_id: str, ignored: str | tuple[str, ...] = ()) -> list[Any]:
    """The items of a stored body: the envelope without its proofs, its Message decoded.

    Of a message that came raw, an envelope of what is known. `ignored` is how a text begins that is no event. Raises
    `ValueError`.
    """
    value = parse_json(body)
    if type(value) is not dict:
        raise ValueError("the body is not an object")
    if value.get("Type") in (SUBSCRIPTION, UNSUBSCRIPTION):
        return []
    if value.get("Type") != NOTIFICATION or type(value.get("Message")) is not str:
        return [{"MessageId": batch_id, "Message": value} if batch_id else {"Message": value}]
    text = value["Message"]
    if text.startswith(ignored):
        return []
    for name in PROOF_FIELDS:
        value.pop(name, None)
    try:
        value["Message"] = parse_json(text.encode("utf-8", "surrogatepass"))
    except ValueError:
        raise ValueError("the notification's Message is not JSON: the topic carries something else") from None
    return [value]


def close_item(item: Json) -> Json:
    """The envelope with its Message decoded; of a message that came raw, the message."""
    message: Json = item["Message"]
    return item if "Type" in item else message
