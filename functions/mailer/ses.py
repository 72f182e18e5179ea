"""SES: raw mails, and what its refusals mean.

Source: the SES v2 API reference, and "Amazon SES API v2 errors". SES has no idempotency token: an attempt without an
answer may have gone. A kept connection that was closed meanwhile looks the same: app.py keeps none for long.
"""

from datetime import timedelta
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, EndpointConnectionError

from mailer.outcomes import FAILED, SENT, UNKNOWN, Outcome, postpone, retry

# SES takes no more today, or was told to pause: waiting is no fault of the mail.
DEFERRED: Final = ("SendingPausedException", "ConfigurationSetSendingPausedException")
DAY_IS_FULL: Final = "Daily message quota exceeded"
THROTTLED: Final = ("TooManyRequestsException", "Throttling", "ThrottlingException", "LimitExceededException")
HOURS: Final = timedelta(hours=1)


def send_mail(client: Any, raw: bytes, recipients: list[str], configuration_set: str, tags: dict[str, str]) -> Outcome:
    """One attempt; the client must not retry by itself. `tags` are letters, digits, dashes and underscores."""
    given: dict[str, Any] = {
        "Destination": {"ToAddresses": recipients},
        "Content": {"Raw": {"Data": raw}},
        "EmailTags": [{"Name": name, "Value": value} for name, value in tags.items()],
    }
    if configuration_set:
        given["ConfigurationSetName"] = configuration_set
    try:
        answer = client.send_email(**given)
    except ClientError as failure:
        return judge_refusal(failure)
    except (ConnectTimeoutError, EndpointConnectionError) as failure:
        return retry(f"SES can't be reached: {type(failure).__name__}")
    except BotoCoreError as failure:
        return Outcome(UNKNOWN, f"SES gave no answer: {type(failure).__name__}")
    return Outcome(SENT, message_id=answer["MessageId"])


def judge_refusal(failure: ClientError) -> Outcome:
    """What a refusal of SES means."""
    code, text = failure.response["Error"]["Code"], failure.response["Error"].get("Message", "")
    status = failure.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in DEFERRED or DAY_IS_FULL in text:
        return postpone(f"SES takes no more mails now: {code}", status, HOURS)
    if code in THROTTLED or "Maximum sending rate exceeded" in text:
        return postpone(f"SES is asked too fast: {code}", status)
    if status >= 500:
        return Outcome(UNKNOWN, f"SES failed: {code}", status)
    return Outcome(FAILED, f"SES refuses the mail: {code}", status)
