"""What the stack's SNS delivers passes the listener's own checks, and nothing else does."""

from datetime import UTC, datetime

import pytest

from local import sns
from local.samples import list_payloads
from providers import Delivery, UnverifiedError, WebhookRequest, amazon_ses

TOPIC = "arn:aws:sns:us-east-1:123456789012:mails"
NOW = datetime(2031, 5, 1, 12, tzinfo=UTC)


def make_request(posted: sns.Posted) -> WebhookRequest:
    """As the listener gets it."""
    headers = {name.lower(): value for name, value in posted.headers.items()}
    return WebhookRequest("amazon_ses", "POST", headers, posted.body)


def test_signature_is_checked_as_snss() -> None:
    """It holds for the topic and the certificate of the stack; a changed body, another topic and a late one fail."""
    request = make_request(sns.post(TOPIC, '{"eventType":"Send"}', NOW))
    secrets = [sns.make_certificate(), TOPIC]
    amazon_ses.verify(request, secrets, NOW)
    changed = request._replace(body=request.body.replace(b"Send", b"Open"))
    for wrong, live, now in (
        (changed, secrets, NOW),
        (request, [sns.make_certificate(), TOPIC + "x"], NOW),
        (request, secrets, NOW.replace(year=2032)),
    ):
        with pytest.raises(UnverifiedError):
            amazon_ses.verify(wrong, live, now)


def test_samples_are_delivered_again() -> None:
    """Raw or not, each as the same events as before."""
    for payload in list_payloads("amazon_ses"):
        request = make_request(sns.post_again(payload.request, TOPIC, NOW))
        amazon_ses.verify(request, [sns.make_certificate(), TOPIC], NOW)
        before = list(amazon_ses.parse(payload.body, payload.delivery))
        after = list(amazon_ses.parse(request.body, Delivery(NOW)))
        keys = [[(one.event_id, one.occurred_at) for one in found] for found in (before, after)]  # type: ignore[union-attr]
        assert keys[0] == keys[1], payload.name
