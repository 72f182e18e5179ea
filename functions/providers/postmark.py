"""Postmark: one JSON object a webhook, told apart by `RecordType`; it signs nothing: basic authentication or the path.

Source: the facts page and Postmark's documentation of webhooks and of its bounce types. Only bounces and complaints
have an id; of the others the whole record is the key. Refusing with 403 would stop Postmark's retries; it gets 401.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from common.events import (
    AUTORESPONDED,
    BLOCK,
    BLOCKED,
    BOUNCED,
    CLICKED,
    COMPLAINED,
    DEFERRED,
    DELIVERED,
    FAILED,
    HARD,
    INVALID,
    OPENED,
    OTHER,
    PREVIOUSLY_BOUNCED,
    PREVIOUSLY_UNSUBSCRIBED,
    REJECTED,
    SOFT,
    SPAM,
    SUBSCRIBED,
    UNDETERMINED,
    UNKNOWN,
    UNSUBSCRIBED,
    Event,
    Json,
    Kind,
    Unparseable,
)
from providers import Delivery, WebhookRequest
from providers._events import CACHED, Columns, make_columns, parse_json, pick, read_events, restore_item
from providers._fields import hash_canonical, read_epoch
from providers._smtp import read_smtp
from providers._verification import check_shared_secret

NAME = "postmark"

# Their RecordType → ours. Of bounces and complaints, `Type` says more.
TYPES = {
    "Delivery": DELIVERED,
    "Open": OPENED,
    "Click": CLICKED,
    "Bounce": BOUNCED,
    "SpamComplaint": COMPLAINED,
    "SubscriptionChange": UNKNOWN,  # see SUPPRESSIONS
    "SMTPApiError": FAILED,
    "SMTPAPIError": FAILED,
}
INBOUND = "Inbound"

# Type of a bounce → our type, kind of bounce, why.
BOUNCES: dict[str, tuple[str, str | None, str | None]] = {
    "HardBounce": (BOUNCED, HARD, PREVIOUSLY_BOUNCED),
    "SoftBounce": (BOUNCED, SOFT, PREVIOUSLY_BOUNCED),
    "Transient": (DEFERRED, SOFT, None),  # Postmark tries on
    "DnsError": (DEFERRED, SOFT, None),
    "OpenRelayTest": (DEFERRED, None, None),
    "Unknown": (BOUNCED, UNDETERMINED, OTHER),
    "Undeliverable": (BOUNCED, UNDETERMINED, OTHER),
    "Blocked": (BOUNCED, BLOCK, BLOCKED),  # by the receiving provider, for content or reputation
    "SpamNotification": (BOUNCED, BLOCK, SPAM),  # a filter's verdict, not the recipient's
    "VirusNotification": (BOUNCED, BLOCK, BLOCKED),
    "DMARCPolicy": (REJECTED, BLOCK, BLOCKED),
    "BadEmailAddress": (REJECTED, HARD, INVALID),
    "ManuallyDeactivated": (REJECTED, None, BLOCKED),
    "Unconfirmed": (REJECTED, None, OTHER),
    "SpamComplaint": (COMPLAINED, None, SPAM),
    "Unsubscribe": (UNSUBSCRIBED, None, PREVIOUSLY_UNSUBSCRIBED),
    "Subscribe": (SUBSCRIBED, None, None),
    "AutoResponder": (AUTORESPONDED, None, None),
    "AddressChange": (AUTORESPONDED, None, None),
    "ChallengeVerification": (AUTORESPONDED, None, None),
    "SMTPApiError": (FAILED, None, None),
    "TemplateRenderingFailed": (FAILED, None, None),
    "InboundError": (UNKNOWN, None, None),  # of a mail that was received
}
# SuppressionReason → the like, where mail is suppressed; where it no longer is, the recipient is back.
SUPPRESSIONS: dict[str, tuple[str, str | None, str | None]] = {
    "HardBounce": (BOUNCED, HARD, PREVIOUSLY_BOUNCED),
    "SpamComplaint": (COMPLAINED, None, SPAM),
    "ManualSuppression": (UNSUBSCRIBED, None, PREVIOUSLY_UNSUBSCRIBED),
}
# When it happened, by whichever name the record has.
TIMES = ("BouncedAt", "DeliveredAt", "ReceivedAt", "ChangedAt")

TAKEN = {
    "recipient": ("Recipient",),  # bounces and complaints have `Email`, which stays in the detail
    "message_id": ("MessageID",),
    "metadata": ("Metadata",),
    "subject": ("Subject",),
    "address": ("From",),
    "reason": ("Details",),
    "url": ("OriginalLink",),
    "user_agent": ("UserAgent",),
    "ip_address": ("Geo", "IP"),
}


def verify(request: WebhookRequest, secrets: Sequence[str], _now: datetime) -> None:
    """Basic authentication, or the secret in the path."""
    check_shared_secret(request, secrets)


def parse(body: bytes, _delivery: Delivery) -> Iterator[Event | Unparseable]:
    """The body's one record."""
    return read_events(lambda: [parse_json(body)], _read, TAKEN, body=body)


def restore(event: Event) -> Json:
    """The webhook's body."""
    return restore_item(event, TAKEN)


def _read(item: Json) -> Columns:
    get = item.get
    record = _find_record(item)
    time = next((value for name in TIMES if (value := get(name))), None)
    if time is None:
        raise ValueError("the record has no time: none of " + ", ".join(TIMES))
    details = get("Details") or get("Description")
    geo: Any = get("Geo")
    return make_columns(
        read_epoch(time),
        _find_id(item, record),
        find_kind(
            record,
            _text(get("SuppressionReason" if record == "SubscriptionChange" else "Type")),
            _text(details),
            suppressed=get("SuppressSending") is not False,
            first_open=get("FirstOpen") is True,
        ),
        get("Recipient") or get("Email"),
        message_id=get("MessageID"),
        metadata=get("Metadata"),
        tags=get("Tag"),
        reason=details,
        url=get("OriginalLink"),
        ip_address=pick(geo, "IP"),
        user_agent=get("UserAgent"),
        subject=get("Subject"),
        address=get("From"),
        subaccount=get("ServerID"),
    )


def _text(value: Any) -> str:
    return value if type(value) is str else ""


def _find_record(item: Json) -> str:
    """The RecordType; of records from before 2018, which have none, what their fields say."""
    record = item.get("RecordType")
    if record == INBOUND or (record is None and "FromFull" in item):
        raise ValueError("a mail that Postmark received, not an event: give this URL to an outbound stream's webhooks")
    if type(record) is str and record:
        return record
    for name, old in (
        ("SuppressSending", "SubscriptionChange"),
        ("BouncedAt", "Bounce"),
        ("DeliveredAt", "Delivery"),
        ("OriginalLink", "Click"),
        ("FirstOpen", "Open"),
    ):
        if name in item:
            return old
    raise ValueError("the record has no RecordType")


def _find_id(item: Json, record: str) -> str:
    """A bounce's own id (the same for all records about it, so with the type); else the whole record's hash."""
    given = item.get("ID")
    if type(given) is int and given > 0:
        return f"{record}:{given}"
    return hash_canonical(item)


@lru_cache(CACHED)
def find_kind(record: str, word: str, details: str, *, suppressed: bool, first_open: bool) -> Kind:
    """The kind of a record: its type, its `Type` or `SuppressionReason`, its diagnostic text."""
    event_type = TYPES.get(record, UNKNOWN)
    bounce_kind: str | None = None
    reject_reason: str | None = None
    if record == "SubscriptionChange":
        event_type, bounce_kind, reject_reason = SUPPRESSIONS.get(word, (UNSUBSCRIBED, None, OTHER))
        if not suppressed:
            event_type, bounce_kind, reject_reason = SUBSCRIBED, None, None
    elif record in ("Bounce", "SpamComplaint"):
        other = BOUNCES["Unknown" if record == "Bounce" else record]
        event_type, bounce_kind, reject_reason = BOUNCES.get(word, other)
    smtp_code, enhanced_status = read_smtp(details)
    return Kind(
        NAME,
        f"{record}/{word}" if word else record,
        event_type,
        bounce_kind=bounce_kind,
        first_open=first_open and event_type == OPENED,
        reject_reason=reject_reason,
        smtp_code=smtp_code,
        enhanced_status=enhanced_status,
    )
