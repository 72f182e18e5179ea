"""Amazon SES through SNS: notifications of an identity and event publishing of a configuration set, in one format.

Source: the facts page; "Amazon SNS notification contents" and "Event data that Amazon SES publishes to Amazon SNS" in
the SES Developer Guide. How SNS proves itself, and which secrets it takes: providers/_sns.py.

An item is SNS's envelope with its `Message` decoded; the envelope's signature and addresses stay with the raw body. An
open or a click does not say whose it is: it becomes an event for each address that the mail went to.

SNS takes every 4xx as delivered: what could not be stored, and a certificate that could not be fetched, is answered
503. 401 is for the wrong sender, and for SNS's first attempt, which shows its credentials only when challenged.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from common.events import (
    BLOCKED,
    BOUNCED,
    CLICKED,
    COMPLAINED,
    DEFERRED,
    DELIVERED,
    FAILED,
    INJECTED,
    OPENED,
    REJECTED,
    SPAM,
    SUBSCRIBED,
    UNKNOWN,
    UNSUBSCRIBED,
    Event,
    Json,
    Kind,
    Unparseable,
)
from providers import Delivery
from providers._events import CACHED, Columns, pick, read_address, read_events, restore_item
from providers._fields import hash_canonical, read_epoch, read_text
from providers._mail_headers import read_mail_headers, unwrap
from providers._ses_bounces import classify_bounce, classify_delay
from providers._smtp import read_smtp
from providers._sns import Sns, close_item, find_raw_id, open_body

NAME = "amazon_ses"

HOSTS = {
    "aws": "sns.{region}.amazonaws.com",
    "aws-us-gov": "sns.{region}.amazonaws.com",
    "aws-cn": "sns.{region}.amazonaws.com.cn",
}
CERTIFICATE_URL = re.compile(
    r"https://sns\.[a-z]{2,5}(-[a-z]{2,15}){1,2}-\d{1,2}\.amazonaws\.com(\.cn)?"
    r"/SimpleNotificationService-[0-9A-Za-z]{1,64}\.pem"
)

SNS = Sns(HOSTS, CERTIFICATE_URL)
verify = SNS.verify
handshake = SNS.handshake
find_batch_id = find_raw_id

# Their eventType or notificationType → the object with what happened, our type.
TYPES = {
    "Send": ("send", INJECTED),
    "Delivery": ("delivery", DELIVERED),
    "DeliveryDelay": ("deliveryDelay", DEFERRED),
    "Bounce": ("bounce", BOUNCED),
    "Complaint": ("complaint", COMPLAINED),
    "Reject": ("reject", REJECTED),  # a virus
    "Rendering Failure": ("failure", FAILED),
    "Open": ("open", OPENED),
    "Click": ("click", CLICKED),
    "Subscription": ("subscription", UNKNOWN),  # to which side: see `_read_preferences`
}
# Where the object names the recipients that it is about: each an address, or an object with `emailAddress`.
RECIPIENTS = {
    "Bounce": "bouncedRecipients",
    "Complaint": "complainedRecipients",
    "Delivery": "recipients",
    "DeliveryDelay": "delayedRecipients",
}
# What of the object tells the type's sorts apart.
WORDS = {
    "Bounce": ("bounceType", "bounceSubType"),
    "Complaint": ("complaintFeedbackType", "complaintSubType"),
    "DeliveryDelay": ("delayType",),
    "Subscription": ("source",),
}
# Sent twice, under different ids, where an identity's notifications and event publishing are both on.
TWINS = frozenset({"Bounce", "Complaint", "Delivery"})
# When a topic is connected, SES says so: in words, or as a notification of this type.
VALIDATED = "Successfully validated SNS topic"
CONNECTED = "AmazonSnsSubscriptionSucceeded"
INBOUND = "Received"

TAKEN = {
    "message_id": ("Message", "mail", "messageId"),
    "address": ("Message", "mail", "source"),
    "subaccount": ("Message", "mail", "sendingAccountId"),
    "subject": ("Message", "mail", "commonHeaders", "subject"),
    "url": ("Message", "click", "link"),
    "template": ("Message", "failure", "templateName"),
}


def parse(body: bytes, delivery: Delivery) -> Iterator[Event | Unparseable]:
    """The events of the one notification, one for each recipient that it is about."""
    return read_events(lambda: open_body(body, delivery.batch_id, VALIDATED), _read, TAKEN, body=body)


def restore(event: Event) -> Json:
    """SNS's envelope with its `Message` decoded; where it came raw, SES's object alone."""
    return close_item(restore_item(event, TAKEN))


def _read(item: Json) -> list[Columns] | Columns | None:
    message = _object(item["Message"])
    word = message.get("eventType") or message.get("notificationType")
    if type(word) is not str:
        raise ValueError("the notification has neither eventType nor notificationType: it is not of SES's events")
    if word == CONNECTED:
        return None
    if word == INBOUND:
        raise ValueError("a mail that SES received, not an event: point the receipt rule at another endpoint")
    name, event_type = TYPES.get(word, (word, UNKNOWN))
    part, mail = _object(message.get(name)), _object(message.get("mail"))
    if word == "Subscription":
        event_type = _read_preferences(part)
    time = part.get("timestamp")
    occurred_at = read_epoch(time or mail.get("timestamp") or item.get("Timestamp"))
    before, after = _read_mail(mail, part)
    entries = _list_recipients(word, part, mail)
    if len(entries) == 1:
        recipient, reason = read_address(entries[0].get("emailAddress")), _find_reason(part, entries[0])
        kind = _find_kind(word, event_type, part, reason, entries[0].get("status"))
        event_id = _make_id(item, word, time, mail, recipient)
        return occurred_at, event_id, kind, recipient, *before, reason, *after
    found = {}
    for entry in entries:
        recipient, reason = read_address(entry.get("emailAddress")), _find_reason(part, entry)
        kind = _find_kind(word, event_type, part, reason, entry.get("status"))
        event_id = _make_id(item, word, time, mail, recipient, several=True)
        found[recipient] = occurred_at, event_id, kind, recipient, *before, reason, *after
    return list(found.values())


def _find_reason(part: Json, entry: Json) -> Any:
    """The receiving server's words, or SES's."""
    get = part.get
    return entry.get("diagnosticCode") or get("smtpResponse") or get("errorMessage") or get("reason")


def _object(value: Any) -> Json:
    return value if type(value) is dict else {}


def _make_id(item: Json, word: str, time: Any, mail: Json, recipient: str | None, *, several: bool = False) -> str:
    """SNS's id of the notification, which a retry keeps; of twins, what makes them the same event."""
    message_id = mail.get("messageId")
    if word in TWINS and type(message_id) is str:
        return f"{message_id}:{word}:{time}:{recipient}"
    sns_id = read_text(item.get("MessageId"))
    if sns_id is None:
        return hash_canonical([item["Message"], recipient])
    return f"{sns_id}:{recipient}" if several else sns_id


def _list_recipients(word: str, part: Json, mail: Json) -> list[Json]:
    """An object with `emailAddress` for each recipient; one without, where there is none."""
    entries = part.get(RECIPIENTS[word]) if word in RECIPIENTS else None
    if type(entries) is not list or not entries:
        entries = mail.get("destination")
    if type(entries) is not list:
        return [{}]
    return [entry if type(entry) is dict else {"emailAddress": entry} for entry in entries] or [{}]


def _read_mail(mail: Json, part: Json) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The columns that all of the item's events share: from the message's id to the reason, and from there on."""
    tags, metadata = read_mail_headers(mail.get("headers"))
    given = _object(mail.get("tags"))
    headers = _object(mail.get("commonHeaders"))
    own = {name: value for name, value in given.items() if name[:4] != "ses:"}
    sender = headers.get("from")
    get = part.get
    before = (mail.get("messageId"), None, unwrap(own) | metadata, tags or None)
    return before, (
        get("link"),
        get("ipAddress") or get("remoteMtaIp"),
        get("userAgent"),
        _first(given.get("campaign")),
        get("templateName"),
        headers.get("subject"),
        None,  # of an A/B test
        None,
        read_address(sender[0] if type(sender) is list and sender else mail.get("source")),
        mail.get("sendingAccountId"),
        None,  # a pool's name
        _first(given.get("ses:outgoing-ip")),
        None,  # where it was routed to
        _first(given.get("ses:recipient-isp")),
        None,  # its region
    )


def _first(value: Any) -> Any:
    return value[0] if type(value) is list and value else None


def _read_preferences(part: Json) -> str:
    """Whether a contact left a list or a topic, or came back."""
    new, old = (_read_topics(part.get(name)) for name in ("newTopicPreferences", "oldTopicPreferences"))
    changed = {status for topic, status in new.items() if old.get(topic) != status}
    if "OptOut" in changed:
        return UNSUBSCRIBED
    return SUBSCRIBED if "OptIn" in changed else UNKNOWN


def _read_topics(preferences: Any) -> dict[str, str]:
    """Topic → OptIn or OptOut; the empty name is for all topics."""
    everything = "OptOut" if pick(preferences, "unsubscribeAll") is True else "OptIn"
    topics = pick(preferences, "topicSubscriptionStatus")
    found = {"": everything}
    for entry in topics if type(topics) is list else []:
        name, status = pick(entry, "topicName"), pick(entry, "subscriptionStatus")
        if type(name) is str and type(status) is str:
            found[name] = status
    return found


def _find_kind(word: str, event_type: str, part: Json, reason: Any, status: Any) -> Kind:
    words = (*[part.get(name) for name in WORDS.get(word, ())], reason, status)
    try:
        return make_ses_kind(word, event_type, words)
    except TypeError:  # of a list or an object: it can't be looked up
        return make_ses_kind(word, event_type, tuple([text if type(text) is str else None for text in words]))


@lru_cache(CACHED)
def make_ses_kind(word: str, event_type: str, texts: tuple[Any, ...]) -> Kind:
    """The kind of a type and of what tells its sorts apart: the texts of `WORDS`, the reason, the enhanced status."""
    *words, reason, status = [text if type(text) is str else "" for text in texts]
    attributes: Json = {"event_type": event_type}
    if word == "Bounce":
        attributes = classify_bounce(words[0], words[1])
    elif word == "DeliveryDelay":
        attributes = classify_delay(words[0])
    elif word == "Reject":
        attributes["reject_reason"] = BLOCKED
    elif word == "Complaint":
        attributes["reject_reason"] = SPAM
        if words[1] == "OnAccountSuppressionList":  # not tried: the recipient complained before
            attributes["event_type"] = REJECTED
        elif words[0] == "not-spam":  # a report of the contrary
            attributes = {"event_type": UNKNOWN}
    smtp_code, enhanced_status = read_smtp(reason)
    return Kind(
        NAME,
        "/".join([word, *filter(None, words)]),
        smtp_code=smtp_code,
        enhanced_status=read_smtp(status)[1] or enhanced_status,
        **attributes,
    )
