"""Amazon SES's words for bounces, which providers that send through it use too.

Source: "Bounce types" and "DeliveryDelay object" in the SES Developer Guide.
"""

from common.events import (
    BLOCK,
    BLOCKED,
    BOUNCED,
    DEFERRED,
    HARD,
    INVALID,
    OTHER,
    PREVIOUSLY_BOUNCED,
    PREVIOUSLY_UNSUBSCRIBED,
    REJECTED,
    SOFT,
    SPAM,
    TIMED_OUT,
    UNDETERMINED,
    Json,
)

# bounceType → kind of bounce. SES has given up on all of them.
KINDS = {"Permanent": HARD, "Transient": SOFT, "Undetermined": UNDETERMINED}
# bounceSubType → why, and what it says more than the type does.
REASONS: dict[str, Json] = {
    "General": {"reject_reason": PREVIOUSLY_BOUNCED},
    "NoEmail": {"reject_reason": INVALID},
    # SES did not try: the address is on a suppression list, its own or the account's (which may hold complaints too).
    "Suppressed": {"event_type": REJECTED, "reject_reason": PREVIOUSLY_BOUNCED},
    "OnAccountSuppressionList": {"event_type": REJECTED, "reject_reason": OTHER},
    "UnsubscribedRecipient": {"event_type": REJECTED, "reject_reason": PREVIOUSLY_UNSUBSCRIBED},
    "MailboxFull": {"reject_reason": OTHER},
    "MessageTooLarge": {"bounce_kind": BLOCK, "reject_reason": BLOCKED},
    "ContentRejected": {"bounce_kind": BLOCK, "reject_reason": BLOCKED},
    "AttachmentRejected": {"bounce_kind": BLOCK, "reject_reason": BLOCKED},
    "MessageRejected": {"bounce_kind": BLOCK, "reject_reason": BLOCKED},  # Resend's word
    "CustomTimeoutExceeded": {"reject_reason": TIMED_OUT},
}
# delayType → what it says; any other is the receiving side's trouble, or SES's.
DELAYS: dict[str, Json] = {
    "SpamDetected": {"bounce_kind": BLOCK, "reject_reason": SPAM},
    "IPFailure": {"bounce_kind": BLOCK, "reject_reason": BLOCKED},
}


def classify_bounce(bounce_type: str, sub_type: str) -> Json:
    """Attributes of a `Kind`, with its `event_type`."""
    kind = KINDS.get(bounce_type, UNDETERMINED)
    return {"event_type": BOUNCED, "bounce_kind": kind, "reject_reason": OTHER} | REASONS.get(sub_type, {})


def classify_delay(delay_type: str) -> Json:
    """Attributes of a `Kind`, with its `event_type`."""
    return {"event_type": DEFERRED, "bounce_kind": SOFT} | DELAYS.get(delay_type, {})
