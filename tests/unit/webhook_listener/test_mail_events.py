"""What SES tells of our own mails comes in by the deployment's own topic, without anybody setting it up."""

import json
from datetime import UTC, datetime
from typing import cast

import pytest

from common.errors import ApiError
from common.objects import Bucket
from common.secrets import NamedSecrets
from local import sns
from providers import WebhookRequest, amazon_ses
from providers._fetching import Answer
from providers._sns import RAW_HEADER, TOPIC_HEADER
from tests.unit.webhook_listener.fakes import FakeBucket, FakeSecrets
from webhook_listener.receiving import Receiver

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
TOPIC = "arn:aws:sns:eu-central-1:123456789012:mailwake-MailEventsTopic-1"
OTHER = "arn:aws:sns:eu-central-1:210987654321:theirs"


class Web:
    """SNS's own server: its certificate, and what was asked of it."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def fetch(self, url: str) -> Answer:
        """The answer for a URL."""
        self.asked.append(url)
        return Answer(200, sns.make_certificate().encode() if url.endswith(".pem") else b"<ok/>")


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Web:
    """In place of the internet."""
    web = Web()
    monkeypatch.setattr(amazon_ses.SNS, "_fetch", web.fetch)
    monkeypatch.setattr(amazon_ses.SNS, "_certificates", {})
    return web


def build(topic: str, **secrets: list[str]) -> tuple[Receiver, FakeBucket]:
    """A listener whose deployment has this topic."""
    bucket = FakeBucket()
    receiver = Receiver(
        bucket=cast("Bucket", bucket),
        secrets=cast("NamedSecrets", FakeSecrets(**secrets)),
        mail_events_topic=topic,
        clock=lambda: NOW,
    )
    return receiver, bucket


def make_request(topic: str) -> WebhookRequest:
    """A notification of a topic, signed by SNS."""
    posted = sns.post(topic, '{"eventType":"Send"}', NOW)
    return WebhookRequest(
        "amazon_ses", "POST", {name.lower(): value for name, value in posted.headers.items()}, posted.body
    )


def test_own_topic_needs_no_secret(web: Web) -> None:
    """Its notifications are stored; SNS's signature is checked by the certificate that SNS shows."""
    receiver, bucket = build(TOPIC)
    assert receiver.receive(make_request(TOPIC), "r1").status == 200
    assert len(bucket.objects) == 1
    assert [url.endswith(".pem") for url in web.asked] == [True]
    forged = make_request(TOPIC)
    with pytest.raises(ApiError, match="Unauthorized"):
        receiver.receive(forged._replace(body=forged.body.replace(b"Send", b"Open")), "r2")


def test_other_topics_are_as_they_were(web: Web) -> None:
    """Somebody else's is refused, unless it is set up beside our own."""
    receiver, bucket = build(TOPIC)
    with pytest.raises(ApiError, match="Unauthorized"):
        receiver.receive(make_request(OTHER), "r1")
    assert not bucket.objects
    receiver, bucket = build(TOPIC, amazon_ses=[OTHER])
    for topic in (TOPIC, OTHER):
        assert receiver.receive(make_request(topic), topic).status == 200
    receiver, _ = build(TOPIC, amazon_ses=[OTHER, "user:password"])
    assert receiver.receive(make_request(TOPIC), "r2").status == 200, "what others must show is not asked of ours"
    with pytest.raises(ApiError, match="Unauthorized"):
        receiver.receive(make_request(OTHER), "r1")
    raw = WebhookRequest("amazon_ses", "POST", {RAW_HEADER: "true", TOPIC_HEADER: TOPIC}, b'{"eventType":"Send"}')
    with pytest.raises(ApiError, match="Unauthorized"):
        receiver.receive(raw, "r3")
    receiver, _ = build("")
    with pytest.raises(ApiError, match="Unauthorized"):
        receiver.receive(make_request(TOPIC), "r1")


def test_subscription_is_confirmed_by_itself(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the deployment subscribes the listener to its topic, nobody has to follow a link."""
    receiver, bucket = build(TOPIC)
    monkeypatch.setattr(amazon_ses.SNS, "verify", lambda *_: None)  # how it is signed: test_sns.py
    confirmation = {
        "Type": "SubscriptionConfirmation",
        "MessageId": "1",
        "Token": "token",
        "TopicArn": TOPIC,
        "Timestamp": "2026-11-21T09:30:00.000Z",
        "SubscribeURL": "https://evil.example/",
    }
    request = WebhookRequest("amazon_ses", "POST", {}, json.dumps(confirmation).encode())
    assert receiver.receive(request, "r1").status == 200
    query = f"Action=ConfirmSubscription&TopicArn={TOPIC.replace(':', '%3A')}&Token=token"
    assert web.asked == [f"https://sns.eu-central-1.amazonaws.com/?{query}"]
    assert not bucket.objects
