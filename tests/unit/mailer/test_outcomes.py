"""What becomes of attempts."""

import socket
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from mailer.outcomes import (
    FAILED,
    LONGEST_PAUSE,
    PAUSES,
    RETRYING,
    SENT,
    UNKNOWN,
    Outcome,
    find_pause,
    postpone,
    read_retry_after,
)
from mailer.outgoing import Answer, ForbiddenTargetError, NoAnswerError, Outgoing
from mailer.ses import send_mail
from mailer.slack import build_blocks, send_slack
from mailer.webhooks import build_webhook, send_webhook, sign
from providers import WebhookRequest
from providers._standard_webhooks import check_standard_webhook

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECRETS = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"]
BODY: dict[str, Any] = {
    "id": "ntf-1-2-3",
    "created_at": "2026-11-21T12:00:00.000Z",
    "notification": {
        "name": "team",
        "cohort": "one",
        "cohort_title": "Ada & <others>",
        "subject": "user",
        "channel": {"webhook": {"url": "https://hooks.example.com/", "secret": "crm"}},
    },
    "period": {"from": "2026-11-21T11:45:00.000Z", "to": "2026-11-21T12:00:00.000Z"},
    "counts": {"added": 1, "removed": 0, "members": 7},
    "added": [{"id": "<@U1>", "entered_at": "2026-11-21T11:50:00.000Z", "fields": {"plan": "pro"}, "cause": {}}],
    "removed": [],
    "cut": False,
}


class Answering(Outgoing):
    """Answers as told, instead of the world."""

    def __init__(self, answer: Answer | Exception) -> None:
        super().__init__()
        self.answer = answer

    def post(self, url: str, body: bytes, headers: Any) -> Answer:
        """The answer."""
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "state", "pause"),
    [
        (Answer(200, {}, b""), SENT, None),
        (Answer(204, {}, b""), SENT, None),
        (Answer(302, {"location": "https://a.example"}, b""), FAILED, None),
        (Answer(404, {}, b""), FAILED, None),
        (Answer(410, {}, b""), FAILED, None),
        (Answer(429, {"retry-after": "90"}, b""), RETRYING, timedelta(seconds=90)),
        (Answer(503, {"retry-after": "Sat, 21 Nov 2026 12:10:00 GMT"}, b""), RETRYING, timedelta(minutes=10)),
        (Answer(500, {}, b""), RETRYING, None),
        (TimeoutError(), RETRYING, None),
        (NoAnswerError("TimeoutError"), RETRYING, None),
        (ForbiddenTargetError("it is inner"), FAILED, None),
    ],
)
def test_answers_of_webhooks(answer: Answer | Exception, state: str, pause: timedelta | None) -> None:
    """Gone is gone; what may be better later is tried again, when the other side asks for it."""
    outcome = send_webhook(Answering(answer), "https://a.example", "id", b"{}", SECRETS, NOW)
    assert (outcome.state, outcome.pause) == (state, pause)


@pytest.mark.parametrize(
    ("answer", "state", "pause"),
    [
        (Answer(200, {}, b"ok"), SENT, None),
        (Answer(404, {}, b"no_service"), FAILED, None),
        (Answer(429, {"retry-after": "90"}, b""), RETRYING, timedelta(seconds=90)),
        (Answer(503, {"retry-after": "90"}, b""), UNKNOWN, None),
        (ConnectionRefusedError(), RETRYING, None),
        (socket.gaierror(), RETRYING, None),
        (NoAnswerError("TimeoutError"), UNKNOWN, None),
        (ForbiddenTargetError("it is inner"), FAILED, None),
    ],
)
def test_answers_of_slack(answer: Answer | Exception, state: str, pause: timedelta | None) -> None:
    """It knows no id that came before: what may have been posted is not posted again by itself."""
    outcome = send_slack(Answering(answer), "https://a.example", BODY, NOW)
    assert (outcome.state, outcome.pause) == (state, pause)


def test_webhooks_are_signed_with_every_live_secret() -> None:
    """Whoever has one of them can check it, by the same scheme that we check others' by."""
    payload = build_webhook(BODY)
    headers = sign("ntf-1-2-3", NOW, payload, SECRETS)
    request = WebhookRequest("any", "POST", headers, payload)
    for secret in SECRETS:
        check_standard_webhook(request, [secret], NOW)
    assert headers["webhook-id"] == "ntf-1-2-3"


def test_secret_that_is_no_base64_is_told() -> None:
    """It would fail for ever."""
    outcome = send_webhook(Answering(Answer(200, {}, b"")), "https://a.example", "id", b"{}", ["whsec_*"], NOW)
    assert (outcome.state, outcome.error) == (FAILED, "a secret is not base64")


def test_slack_gets_no_markup_from_values() -> None:
    """A user's id can't call everybody."""
    blocks = build_blocks(BODY)
    assert "&lt;@U1&gt;" in blocks["blocks"][2]["text"]["text"]
    assert blocks["text"].startswith("Ada &amp; &lt;others&gt;: 1 entered")


def test_pauses_grow_and_end() -> None:
    """For about three days; longer where the other side asks for it, up to what SQS bears."""
    random = Random(1)
    pauses = [find_pause(Outcome(RETRYING), attempt, random) for attempt in range(1, len(PAUSES) + 2)]
    assert pauses[-1] is None
    total = sum((pause for pause in pauses if pause), timedelta(0))
    assert timedelta(days=1.5) < total < timedelta(days=4)
    asked = find_pause(Outcome(RETRYING, pause=timedelta(hours=1)), 1, random)
    assert asked == timedelta(hours=1)
    # SQS counts its twelve hours from when it handed the message out.
    assert find_pause(Outcome(RETRYING, pause=timedelta(days=3)), 1, random) == LONGEST_PAUSE < timedelta(hours=12)


def test_what_is_postponed_uses_no_attempt_up() -> None:
    """It waits for longer each time, up to an hour, as long as the other side takes none."""
    random = Random(1)
    pauses = [find_pause(postpone("", 429), 99, random, received) for received in (1, 2, 6, 300)]
    seconds = [pause.total_seconds() for pause in pauses if pause]
    assert [4 <= seconds[0] <= 6, 24 <= seconds[1] <= 36, *(2_880 <= one <= 4_320 for one in seconds[2:])] == [True] * 4
    assert find_pause(postpone("", 400, timedelta(hours=2)), 1, random, 1) == timedelta(hours=2)


@pytest.mark.parametrize("text", ["", "soon", "-5", "99999999999"])
def test_retry_after_that_says_nothing(text: str) -> None:
    """Is none."""
    assert read_retry_after(text, NOW) is None


class Ses:
    """SES, which refuses as told."""

    def __init__(self, failure: Exception | None) -> None:
        self.failure = failure

    def send_email(self, **_: Any) -> dict[str, str]:
        """Sends."""
        if self.failure:
            raise self.failure
        return {"MessageId": "m1"}


def refuse(code: str, message: str = "", status: int = 400) -> ClientError:
    """A refusal of SES."""
    error: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(error, "SendEmail")


@pytest.mark.parametrize(
    ("failure", "state", "pause"),
    [
        (None, SENT, None),
        (refuse("TooManyRequestsException", status=429), RETRYING, None),
        (refuse("Throttling", "Maximum sending rate exceeded."), RETRYING, None),
        (refuse("LimitExceededException", "Daily message quota exceeded."), RETRYING, timedelta(hours=1)),
        (refuse("SendingPausedException"), RETRYING, timedelta(hours=1)),
        (refuse("MessageRejected", "Email address is not verified."), FAILED, None),
        (refuse("MailFromDomainNotVerifiedException"), FAILED, None),
        (refuse("AccountSuspendedException"), FAILED, None),
        (refuse("InternalFailure", status=500), UNKNOWN, None),
        (EndpointConnectionError(endpoint_url="https://ses"), RETRYING, None),
        (ReadTimeoutError(endpoint_url="https://ses"), UNKNOWN, None),
    ],
)
def test_refusals_of_ses(failure: Exception | None, state: str, pause: timedelta | None) -> None:
    """Throttling is tried again, a full day later on; refusals are final; no answer may have been a mail."""
    outcome = send_mail(Ses(failure), b"", ["a@example.com"], "", {})
    assert (outcome.state, outcome.pause) == (state, pause)
    assert "@" not in outcome.error
