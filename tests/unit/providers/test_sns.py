"""SNS: signatures, certificates, topics, subscriptions. Amazon's way unless a test says Scaleway's."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from common.aws import AwsError
from providers import Reply, UnverifiedError, WebhookRequest
from providers._fetching import Answer
from providers._sns import Sns, build_signed, find_raw_id
from providers.amazon_ses import CERTIFICATE_URL, HOSTS
from tests.unit.providers.test_signatures import write_certificate

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
KEY = rsa.generate_private_key(65537, 2048)
CERTIFICATE = write_certificate(KEY)
TOPIC = "arn:aws:sns:eu-central-1:123456789012:mail-events"
URL = "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-9c6465fa7f48f5ca.pem"
NOTIFICATION = {
    "Type": "Notification",
    "MessageId": "d93936e1-daca-4c06-b5ff-0c03bb5d7385",
    "TopicArn": TOPIC,
    "Subject": "Amazon SES Email Event Notification",
    "Message": '{"eventType":"Send"}',
    "Timestamp": "2026-11-21T09:29:58.304Z",
    "SignatureVersion": "2",
    "SigningCertURL": URL,
}
CONFIRMATION = {
    "Type": "SubscriptionConfirmation",
    "MessageId": "165545c9-2a5c-472c-8df2-7ff2be2b3b1b",
    "Token": "2336412f37+/=",
    "TopicArn": TOPIC,
    "Message": "You have chosen to subscribe to the topic. To confirm, visit the SubscribeURL.",
    "SubscribeURL": "https://attacker.example.com/?Action=ConfirmSubscription",
    "Timestamp": "2026-11-21T09:29:58.304Z",
    "SignatureVersion": "1",
    "SigningCertURL": URL,
}


class Web:
    """Stands for the internet: answers by URL, and notes what was asked."""

    def __init__(self, **answers: Answer) -> None:
        self.asked: list[str] = []
        self.certificate = answers.get("certificate", Answer(200, CERTIFICATE.encode()))
        self.confirmation = answers.get("confirmation", Answer(200, b"<ConfirmSubscriptionResponse/>"))

    def fetch(self, url: str) -> Answer:
        """The answer for a URL."""
        self.asked.append(url)
        return self.certificate if url.endswith(".pem") else self.confirmation


def sign(message: dict[str, Any]) -> dict[str, Any]:
    """The message with its signature."""
    digest = hashes.SHA1() if message["SignatureVersion"] == "1" else hashes.SHA256()
    given = KEY.sign(build_signed(message), padding.PKCS1v15(), digest)
    return message | {"Signature": base64.b64encode(given).decode()}


def make_request(message: object, headers: Mapping[str, str] = {}) -> WebhookRequest:
    """A webhook with this message."""
    body = message if isinstance(message, bytes) else json.dumps(message, indent=2).encode()
    return WebhookRequest("amazon_ses", "POST", {"content-type": "text/plain; charset=UTF-8", **headers}, body)


def write_basic(text: str) -> dict[str, str]:
    """An Authorization header."""
    return {"authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}


def verify(
    message: object, secrets: list[str] | None = None, web: Web | None = None, headers: Mapping[str, str] = {}
) -> None:
    """Checks a webhook at a fixed time."""
    sns = Sns(HOSTS, CERTIFICATE_URL, (web or Web()).fetch)
    sns.verify(make_request(message, headers), [TOPIC] if secrets is None else secrets, NOW)


def greet(
    message: object, secrets: list[str] | None = None, web: Web | None = None, headers: Mapping[str, str] = {}
) -> Reply | None:
    """Shakes hands at a fixed time."""
    sns = Sns(HOSTS, CERTIFICATE_URL, (web or Web()).fetch)
    return sns.handshake(make_request(message, headers), [TOPIC] if secrets is None else secrets, NOW)


@pytest.mark.parametrize("version", ["1", "2"])
def test_both_signature_versions(version: str) -> None:
    """Version 1 is over SHA-1, version 2 over SHA-256."""
    verify(sign(NOTIFICATION | {"SignatureVersion": version}))


def test_what_is_signed() -> None:
    """Name and value on a line each, in the documented order, the last line ended; an absent Subject is left out."""
    signed = (
        'Message\n{"eventType":"Send"}\nMessageId\nd93936e1-daca-4c06-b5ff-0c03bb5d7385\n'
        "Subject\nAmazon SES Email Event Notification\nTimestamp\n2026-11-21T09:29:58.304Z\n"
        f"TopicArn\n{TOPIC}\nType\nNotification\n"
    )
    assert build_signed(NOTIFICATION).decode() == signed
    plain = {name: value for name, value in NOTIFICATION.items() if name != "Subject"}
    assert b"Subject" not in build_signed(plain)
    verify(sign(plain))
    verify(sign(plain) | {"Subject": None})
    assert build_signed(CONFIRMATION).decode().split("\n")[::2] == [
        *("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type", "")
    ]


@pytest.mark.parametrize("name", ["Message", "MessageId", "Subject", "Timestamp", "Signature"])
def test_any_change_is_refused(name: str) -> None:
    """One character of what is signed, or of the signature."""
    message = sign(NOTIFICATION)
    text = message[name]
    for changed in (text[:9] + ("1" if text[9] != "1" else "2") + text[10:], text + " ", ""):
        with pytest.raises(UnverifiedError):
            verify(message | {name: changed})


@pytest.mark.parametrize(
    "change",
    [
        {"SignatureVersion": "3"},
        {"SignatureVersion": 2},
        {"SignatureVersion": "1"},
        {"Signature": None},
        {"Signature": "ä"},
        {"SigningCertURL": None},
        {"Type": "Confirmation"},
        {"Type": ["Notification"]},
        {"Timestamp": "yesterday"},
        {"Timestamp": 1e999},
        {"Message": "\ud800"},
    ],
)
def test_malformed_fields(change: dict[str, Any]) -> None:
    """Whatever stands in a field: refused, and no other error."""
    with pytest.raises(UnverifiedError):
        verify(sign(NOTIFICATION) | change)


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b"{}", b"\xff", b"[" * 100_000, b'{"Type":"Notification"}'])
def test_bodies_that_are_no_envelope(body: bytes) -> None:
    """Whatever the body is: refused, and no other error."""
    with pytest.raises(UnverifiedError, match="not an envelope"):
        verify(body)
    assert greet(body) is None


def test_old_messages() -> None:
    """SNS may try for an hour, and be late; what is a day old, or of tomorrow, is refused."""
    for hours in (-23, 23):
        time = (NOW + timedelta(hours=hours)).isoformat()
        verify(sign(NOTIFICATION | {"Timestamp": time}))
    for hours in (-25, 25):
        time = (NOW + timedelta(hours=hours)).isoformat()
        with pytest.raises(UnverifiedError, match="too long ago"):
            verify(sign(NOTIFICATION | {"Timestamp": time}))


def test_only_configured_topics() -> None:
    """A stranger's topic is signed as well as ours: only configured ARNs count. Nothing is fetched for others."""
    web = Web()
    foreign = sign(NOTIFICATION | {"TopicArn": "arn:aws:sns:eu-central-1:666666666666:mail-events"})
    with pytest.raises(UnverifiedError, match="not one of those configured"):
        verify(foreign, web=web)
    with pytest.raises(UnverifiedError, match="no topic's ARN is configured"):
        verify(sign(NOTIFICATION), [], web)
    with pytest.raises(UnverifiedError, match="no topic's ARN is configured"):
        verify(sign(NOTIFICATION), ["user:password"], web)
    assert not web.asked
    verify(sign(NOTIFICATION), ["arn:aws:sns:us-east-1:123456789012:other", f" {TOPIC}\n"], web)


@pytest.mark.parametrize(
    "url",
    [
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0.pem",
        "https://sns.us-gov-west-1.amazonaws.com/SimpleNotificationService-ab12.pem",
        "https://sns.ap-southeast-2.amazonaws.com/SimpleNotificationService-ab12.pem",
        "https://sns.cn-north-1.amazonaws.com.cn/SimpleNotificationService-ab12.pem",
    ],
)
def test_addresses_of_certificates(url: str) -> None:
    """SNS's own hosts, in every region."""
    web = Web()
    verify(sign(NOTIFICATION | {"SigningCertURL": url}), web=web)
    assert web.asked == [url]


@pytest.mark.parametrize(
    "url",
    [
        URL.replace("https", "http"),
        URL.replace("sns.eu-central-1", "attacker"),
        URL.replace("sns.eu-central-1", "sns.eu-central-1.s3"),
        URL.replace("sns.eu-central-1", "sns-bucket.s3.eu-central-1"),
        URL.replace("sns.eu-central-1", "sns.attacker"),
        URL.replace("amazonaws.com", "amazonaws.com.attacker.example"),
        URL.replace("amazonaws.com", "amazonaws.com:8443"),
        URL.replace("amazonaws.com/", "amazonaws.com@attacker.example/"),
        URL.replace("SimpleNotificationService-", "../SimpleNotificationService-"),
        URL.replace(".pem", ".pem?x=.pem"),
        URL + "\n",
        URL.replace("amazonaws.com", "amazonawsxcom"),
        "",
    ],
)
def test_other_addresses_are_not_fetched(url: str) -> None:
    """The address is checked before anything is fetched: not every host under amazonaws.com is SNS's."""
    web = Web()
    with pytest.raises(UnverifiedError, match="not an address of SNS's certificates"):
        verify(sign(NOTIFICATION | {"SigningCertURL": url}), web=web)
    assert not web.asked


def test_the_certificate_is_fetched_once() -> None:
    """It is kept for the next message; another address is another certificate, and not all are kept for ever."""
    web = Web()
    sns = Sns(HOSTS, CERTIFICATE_URL, web.fetch)
    for _ in range(3):
        sns.verify(make_request(sign(NOTIFICATION)), [TOPIC], NOW)
    assert web.asked == [URL]
    for number in range(40):
        url = URL.replace("9c64", f"{number:04}")
        sns.verify(make_request(sign(NOTIFICATION | {"SigningCertURL": url})), [TOPIC], NOW)
    assert len(web.asked) == 41
    assert len(sns._certificates) <= 16


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_certificate_that_cannot_be_had_now(status: int) -> None:
    """No verdict: the listener answers 503, so that SNS sends again, which it would not after a 4xx."""
    web = Web(certificate=Answer(status, b""))
    sns = Sns(HOSTS, CERTIFICATE_URL, web.fetch)
    with pytest.raises(AwsError):
        sns.verify(make_request(sign(NOTIFICATION)), [TOPIC], NOW)
    web.certificate = Answer(200, CERTIFICATE.encode())
    sns.verify(make_request(sign(NOTIFICATION)), [TOPIC], NOW)
    assert len(web.asked) == 2


@pytest.mark.parametrize(
    "answer",
    [
        Answer(404, b""),
        Answer(302, CERTIFICATE.encode()),
        Answer(200, b"<html>"),
        Answer(200, b"\xff"),
        Answer(200, b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"),
    ],
)
def test_no_certificate_there(answer: Answer) -> None:
    """An address that holds none proves nothing; a redirect is not followed."""
    with pytest.raises(UnverifiedError):
        verify(sign(NOTIFICATION), web=Web(certificate=answer))


def test_a_certificate_among_the_secrets() -> None:
    """Then none is fetched, and no other counts; while it is being replaced, both do."""
    web = Web()
    other = write_certificate(rsa.generate_private_key(65537, 2048))
    verify(sign(NOTIFICATION), [TOPIC, other, CERTIFICATE], web)
    with pytest.raises(UnverifiedError, match="wrong signature"):
        verify(sign(NOTIFICATION), [TOPIC, other], web)
    assert not web.asked


def test_credentials_beside_the_signature() -> None:
    """With user:password configured SNS must show it too, after the 401 to its first attempt, or in the path."""
    secrets = [TOPIC, "sns:first", "sns:second"]
    message = sign(NOTIFICATION)
    for password in ("first", "second"):
        verify(message, secrets, headers=write_basic(f"sns:{password}"))
    web = Web()
    with pytest.raises(UnverifiedError, match="no basic authentication"):
        verify(message, secrets, web)
    with pytest.raises(UnverifiedError, match="wrong credentials"):
        verify(message, secrets, web, headers=write_basic("sns:third"))
    assert not web.asked
    with pytest.raises(UnverifiedError, match="wrong signature"):
        verify(message | {"Message": "{}"}, secrets, headers=write_basic("sns:first"))
    request = make_request(message)._replace(path_secret="second")
    Sns(HOSTS, CERTIFICATE_URL, web.fetch).verify(request, secrets, NOW)


RAW = {"x-amz-sns-rawdelivery": "true", "x-amz-sns-topic-arn": TOPIC, "x-amz-sns-message-id": "d93936e1"}


def test_raw_delivery() -> None:
    """A message without envelope has no signature: it comes in by user:password alone, of a configured topic."""
    secrets = [TOPIC, "sns:password"]
    shown = write_basic("sns:password")
    verify(b'{"eventType":"Send"}', secrets, headers=RAW | shown)
    verify(b"not JSON", secrets, headers=RAW | shown)
    with pytest.raises(UnverifiedError):
        verify(b'{"eventType":"Send"}', secrets, headers=RAW)
    with pytest.raises(UnverifiedError, match="raw message delivery is not signed"):
        verify(b'{"eventType":"Send"}', [TOPIC], headers=RAW | shown)
    with pytest.raises(UnverifiedError, match="not one of those configured"):
        verify(b'{"eventType":"Send"}', secrets, headers=RAW | shown | {"x-amz-sns-topic-arn": "arn:"})


def test_the_id_of_a_raw_message_is_in_a_header() -> None:
    """An envelope says its id itself."""
    assert find_raw_id(make_request(b"", RAW)) == "d93936e1"
    assert find_raw_id(make_request(b"", {"x-amz-sns-message-id": "d93936e1"})) == ""


@pytest.mark.parametrize(
    ("topic", "host"),
    [
        (TOPIC, "sns.eu-central-1.amazonaws.com"),
        ("arn:aws:sns:ap-south-1:123456789012:t", "sns.ap-south-1.amazonaws.com"),
        ("arn:aws-us-gov:sns:us-gov-west-1:123456789012:t", "sns.us-gov-west-1.amazonaws.com"),
        ("arn:aws-cn:sns:cn-north-1:123456789012:t", "sns.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_subscriptions_are_confirmed_in_the_topics_region(topic: str, host: str) -> None:
    """At the API of the topic's region, wherever this runs and whatever SubscribeURL says."""
    web = Web()
    assert greet(sign(CONFIRMATION | {"TopicArn": topic}), [topic], web) == Reply(200)
    escaped = topic.replace(":", "%3A")
    wanted = f"https://{host}/?Action=ConfirmSubscription&TopicArn={escaped}&Token=2336412f37%2B%2F%3D"
    assert web.asked == [URL, wanted]


def test_foreign_subscriptions_are_not_confirmed() -> None:
    """Nor unsigned ones, nor those of a topic that only looks like one."""
    for message, secrets in [
        (sign(CONFIRMATION), []),
        (sign(CONFIRMATION), ["user:password"]),
        (sign(CONFIRMATION), ["arn:aws:sns:eu-central-1:123456789012:other"]),
        (CONFIRMATION, [TOPIC]),
        (sign(CONFIRMATION) | {"Token": "other"}, [TOPIC]),
        (sign(CONFIRMATION | {"TopicArn": "arn:aws:sns:a.example/:1:t"}), ["arn:aws:sns:a.example/:1:t"]),
        (sign(CONFIRMATION | {"TopicArn": "arn:other:sns:eu-1:1:t"}), ["arn:other:sns:eu-1:1:t"]),
    ]:
        web = Web()
        with pytest.raises(UnverifiedError):
            greet(message, secrets, web)
        assert [url for url in web.asked if url != URL] == []


@pytest.mark.parametrize("status", [302, 400, 404, 500, 503])
def test_a_confirmation_that_fails(status: int) -> None:
    """SNS is told to send it again."""
    with pytest.raises(AwsError, match="ConfirmSubscription"):
        greet(sign(CONFIRMATION), web=Web(confirmation=Answer(status, b"")))


def test_the_end_of_a_subscription_is_not_undone() -> None:
    """UnsubscribeConfirmation carries an address that would subscribe again: nobody calls it."""
    web = Web()
    assert greet(sign(CONFIRMATION | {"Type": "UnsubscribeConfirmation"}), web=web) == Reply(200)
    assert web.asked == [URL]
    with pytest.raises(UnverifiedError):
        greet(CONFIRMATION | {"Type": "UnsubscribeConfirmation"})


def test_events_are_no_handshake() -> None:
    """Notifications go on to be stored, even one that speaks of a SubscriptionConfirmation; so does what came raw."""
    assert greet(sign(NOTIFICATION)) is None
    assert greet(sign(NOTIFICATION | {"Message": "SubscriptionConfirmation"})) is None
    assert greet(b'{"Type":"SubscriptionConfirmation"}', headers=RAW) is None
    request = make_request(sign(CONFIRMATION))._replace(method="GET")
    assert Sns(HOSTS, CERTIFICATE_URL, Web().fetch).handshake(request, [TOPIC], NOW) is None
