"""SparkPost: JSON arrays of `{"msys": {"<class>": {…}}}`, basic authentication, its own event ids.

Source: SparkPost's event reference and samples (tests/payloads/sparkpost). Values come as text where one expects
numbers, and differ between the years: each is accepted in any form, and given back in the form that it came in.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple, cast

from common.event_keys import is_numeric
from common.events import (
    ADMIN,
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
    INJECTED,
    INVALID,
    OPENED,
    OTHER,
    REJECTED,
    SOFT,
    SPAM,
    SUBSCRIBED,
    TIMED_OUT,
    UNDETERMINED,
    UNKNOWN,
    UNSUBSCRIBED,
    Client,
    Event,
    Json,
    Kind,
    Mailing,
    Receiver,
    Sender,
    Unparseable,
)
from common.json_text import decode_json, encode_json
from providers import Delivery, WebhookRequest
from providers._fields import (
    LONGEST_INDEXED,
    NOTES,
    clean,
    format_epoch,
    hash_canonical,
    may_be_unstorable,
    read_epoch,
    read_text,
    split_domain,
    take_texts,
)
from providers._smtp import read_smtp
from providers._verification import check_shared_secret

NAME = "sparkpost"

# Their type → (their class, our type).
TYPES = {
    "injection": ("message_event", INJECTED),
    "delivery": ("message_event", DELIVERED),
    "delay": ("message_event", DEFERRED),
    "bounce": ("message_event", BOUNCED),
    "out_of_band": ("message_event", BOUNCED),  # accepted first, bounced by a mail later
    "policy_rejection": ("message_event", REJECTED),
    "spam_complaint": ("message_event", COMPLAINED),
    "sms_status": ("message_event", UNKNOWN),  # not a mail
    "generation_failure": ("gen_event", FAILED),
    "generation_rejection": ("gen_event", REJECTED),
    "open": ("track_event", OPENED),
    "initial_open": ("track_event", OPENED),  # the pixel at the top; `open` is the one at the bottom
    "click": ("track_event", CLICKED),
    "amp_open": ("track_event", OPENED),
    "amp_initial_open": ("track_event", OPENED),
    "amp_click": ("track_event", CLICKED),
    "list_unsubscribe": ("unsubscribe_event", UNSUBSCRIBED),
    "link_unsubscribe": ("unsubscribe_event", UNSUBSCRIBED),
    # A mail that came in and was handed on: it counts as none that was sent.
    **dict.fromkeys(
        ("relay_injection", "relay_delivery", "relay_tempfail", "relay_permfail", "relay_rejection"),
        ("relay_event", UNKNOWN),
    ),
    "ab_test_completed": ("ab_test_event", UNKNOWN),  # of a campaign, not of a message
    "ab_test_cancelled": ("ab_test_event", UNKNOWN),
    "success": ("ingest_event", UNKNOWN),  # of an upload to SparkPost
    "error": ("ingest_event", UNKNOWN),
}


class BounceClass(NamedTuple):
    """One of SparkPost's bounce classes."""

    bounce_kind: str
    event_type: str | None = None  # ours, where the class says more than the type
    reject_reason: str = OTHER
    words: str = ""  # what it says more than the kind, if it does


# Source: SparkPost's "Bounce Classification Codes". The first of each kind stands for bounces of no other class.
BOUNCE_CLASSES: Final[Mapping[int, BounceClass]] = {
    1: BounceClass(UNDETERMINED),
    10: BounceClass(HARD, reject_reason=INVALID, words="the recipient is invalid"),
    20: BounceClass(SOFT),
    21: BounceClass(SOFT, words="the domain could not be looked up"),
    22: BounceClass(SOFT, words="the mailbox is full"),
    23: BounceClass(SOFT, words="the message is too large"),
    24: BounceClass(SOFT, reject_reason=TIMED_OUT, words="the receiving server did not answer in time"),
    25: BounceClass(ADMIN, reject_reason=BLOCKED),
    30: BounceClass(HARD, reject_reason=INVALID, words="there is no such recipient"),
    40: BounceClass(SOFT),
    50: BounceClass(BLOCK, reject_reason=BLOCKED),
    51: BounceClass(BLOCK, reject_reason=SPAM, words="taken for spam, by the sender"),
    52: BounceClass(BLOCK, reject_reason=SPAM, words="taken for spam, by the content"),
    53: BounceClass(BLOCK, reject_reason=BLOCKED, words="an attachment is not allowed"),
    54: BounceClass(BLOCK, reject_reason=BLOCKED, words="the server does not relay"),
    60: BounceClass(SOFT, AUTORESPONDED),  # a vacation reply
    70: BounceClass(SOFT),
    80: BounceClass(ADMIN, SUBSCRIBED),
    90: BounceClass(HARD, UNSUBSCRIBED),
    100: BounceClass(SOFT, AUTORESPONDED),  # a challenge
}
UNCLASSIFIED: Final = BounceClass(UNDETERMINED)

# Their field → where it is kept, in the order of `Sender`, `Mailing` and `Receiver`. Each is text, and left out of the
# detail.
EVENT_FIELDS = {
    "message_id": "message_id",
    "transmission_id": "transmission_id",
    "raw_reason": "reason",
    "target_link_url": "url",
    "ip_address": "ip_address",
}
SENDER_FIELDS = {
    "friendly_from": "address",
    "subaccount_id": "subaccount",
    "ip_pool": "ip_pool",
    "sending_ip": "sending_ip",
}
MAILING_FIELDS = {
    "campaign_id": "campaign",
    "template_id": "template",
    "subject": "subject",
    "ab_test_id": "ab_test",
    "ab_test_version": "ab_test_version",
}
RECEIVER_FIELDS = {
    "recipient_domain": "domain",
    "routing_domain": "routing_domain",
    "mailbox_provider": "mailbox_provider",
    "mailbox_provider_region": "mailbox_provider_region",
}
TEXT_FIELDS = (*EVENT_FIELDS, *SENDER_FIELDS, *MAILING_FIELDS, *RECEIVER_FIELDS, "user_agent")
# Fields without a column that a sender's mailings share; kept with it where they are text or true/false.
SHARED_FIELDS = (
    "customer_id",
    "template_version",
    "msg_from",
    "sending_domain",
    "open_tracking",
    "click_tracking",
    "initial_pixel",
    "amp_enabled",
    "transactional",
)
_SHARED_TYPES = frozenset({str, bool, type(None)})
INBOUND = "relay_message"  # the class of what SparkPost received

CACHED = 10_000  # kinds, and JSONs of shared fields

Read = Callable[[Any, int], Event | None]


def verify(request: WebhookRequest, secrets: Sequence[str], _now: datetime) -> None:
    """SparkPost signs nothing; it sends the basic authentication that its webhook is set up with."""
    check_shared_secret(request, secrets)


def find_batch_id(request: WebhookRequest) -> str:
    """SparkPost's id of the batch; hexadecimal, not always a UUID."""
    return request.headers.get("x-messagesystems-batch-id", "")


def parse(body: bytes, _delivery: Delivery | None = None) -> Iterator[Event | Unparseable]:
    """The events of a body, in order. A ping (`{"msys": {}}`) is no event."""
    if may_be_unstorable(body):
        yield from _parse_any(body, _read_carefully)
        return
    from providers._sparkpost_regular import ODD, parse_regular  # the listener never needs it

    regular = parse_regular(body)
    if regular is None:
        yield from _parse_any(body, _read_item)
        return
    items = None
    for position, event in enumerate(regular):
        if event is ODD:
            items = items or decode_json(body)
            yield from _read_one(items[position], position, _read_item)
        elif event is not None:
            yield cast("Event", event)


def _parse_any(body: bytes, read: Read) -> Iterator[Event | Unparseable]:
    """The events of a body in which anything may come."""
    try:
        items = decode_json(body)
    except (ValueError, RecursionError) as failure:
        yield Unparseable(None, f"the body is not JSON: {type(failure).__name__}", None)
        return
    if type(items) is not list:
        yield Unparseable(None, "the body is not an array of events", items)
        return
    for position, item in enumerate(items):
        yield from _read_one(item, position, read)


def _read_one(item: Any, position: int, read: Read) -> Iterator[Event | Unparseable]:
    try:
        event = read(item, position)
    except ValueError as problem:
        yield Unparseable(position, str(problem), item)
    else:
        if event is not None:
            yield event


def _read_carefully(item: Any, position: int) -> Event | None:
    """An item that may hold what Postgres can't: the columns get a clean copy, the original is kept whole."""
    try:
        cleaned = clean(item)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    event = _read_item(cleaned, position)
    if event is None or cleaned == item:
        return event
    return event._replace(detail=encode_json({NOTES: {"whole": item}}))


def _read_item(item: Any, position: int) -> Event | None:
    """One item of the array; None for a ping. Raises `ValueError` with what is wrong."""
    classes = item.get("msys") if type(item) is dict else None
    if type(classes) is not dict:
        raise ValueError('not an object of the form {"msys": {"<class>": {…}}}')
    if not classes:
        return None
    event_class, fields = next(iter(classes.items()))
    if type(fields) is not dict:
        raise ValueError(f"{event_class[:50]} is not an object")
    provider_type = fields.get("type")
    if type(provider_type) is not str:
        if event_class == INBOUND:
            raise ValueError("a mail that came in, not what became of one sent: give relay webhooks another URL")
        raise ValueError("the event has no type")
    notes: Json = {}
    detail = fields.copy()
    event = _build_event(fields, detail, notes, position)
    if len(classes) > 1 or event_class != TYPES.get(provider_type, ("", ""))[0] or NOTES in fields:
        detail, notes = {}, {"whole": item}
    elif len(item) > 1:
        notes["siblings"] = {name: value for name, value in item.items() if name != "msys"}
    return event._replace(detail=encode_json(detail | {NOTES: notes} if notes else detail))


def _build_event(fields: Json, detail: Json, notes: Json, position: int) -> Event:
    """The event without its detail, out of which what has a column is taken; what only a column has is noted."""
    absent: list[str] = []
    occurred_at = read_epoch(detail.get("timestamp"))
    if detail["timestamp"] == format_epoch(occurred_at):
        del detail["timestamp"]
    texts = take_texts(fields, TEXT_FIELDS, detail)
    message_id, transmission_id, reason, url, ip_address = texts[:5]
    domain, *receiver, user_agent = texts[14:]
    if message_id is not None and len(message_id) > LONGEST_INDEXED:
        detail["message_id"] = message_id
        message_id = message_id[:LONGEST_INDEXED]
    if reason is None and (reason := read_text(detail.get("reason"))) is not None:
        absent.append("raw_reason")
    recipient = _take_recipient(detail, absent)
    if domain is None and (domain := split_domain(recipient)) is not None:
        absent.append("recipient_domain")
    metadata = detail.get("rcpt_meta")
    if type(metadata) is dict and metadata:
        del detail["rcpt_meta"]
    else:
        metadata = None
    sender = Sender._make((*texts[5:9], _take_shared(fields, detail)))
    event = Event(
        occurred_at,
        _take_event_id(detail, absent, fields),
        _take_kind(detail, reason),
        Mailing._make((*texts[9:14], _take_tags(detail), sender)),
        Receiver._make((domain, *receiver)),
        None if user_agent is None else _take_client(detail, user_agent),
        recipient,
        message_id,
        transmission_id,
        None if metadata is None else encode_json(metadata),
        reason,
        url,
        ip_address,
        position,
        b"",
    )
    if absent:
        notes["absent"] = absent
    return event


def _take_event_id(detail: Json, absent: list[str], fields: Json) -> str:
    """SparkPost's id, or one made from the content. A numeric one is not kept: the event's key tells it."""
    event_id = read_text(detail.get("event_id"))
    if event_id is None:
        if "event_id" not in detail:
            absent.append("event_id")
        return hash_canonical(fields)
    if event_id == detail["event_id"] and is_numeric(event_id):
        del detail["event_id"]
    return event_id


def _take_recipient(detail: Json, absent: list[str]) -> str | None:
    """The address in lower case. `raw_rcpt_to` is not kept where it says the same."""
    given = detail.get("rcpt_to")
    if type(given) is not str or not given:
        return None
    recipient = given.strip().lower()[:LONGEST_INDEXED]
    if recipient == given:
        del detail["rcpt_to"]
    if "raw_rcpt_to" not in detail:
        absent.append("raw_rcpt_to")
    elif detail["raw_rcpt_to"] == recipient:
        del detail["raw_rcpt_to"]
    return recipient


def _take_kind(detail: Json, reason: str | None) -> Kind:
    """The classification, from type, bounce class, the receiving server's reply and the reading of the user agent."""
    bounce_class = detail.get("bounce_class")
    parsed = detail.get("user_agent_parsed")
    prefetched = type(parsed) is dict and parsed.get("is_prefetched") is True
    provider_type = detail.pop("type")
    reply = read_reply(detail.get("error_code"), reason)
    kind = find_kind(provider_type, bounce_class if type(bounce_class) is str else None, prefetched, *reply)
    if kind.bounce_class is not None:
        del detail["bounce_class"]
    return kind


def read_reply(error_code: object, reason: str | None) -> tuple[int | None, str | None]:
    """The reply code and the enhanced status of the receiving server; the field for the code wins over the words."""
    smtp_code, enhanced_status = read_smtp(reason)
    return read_smtp(read_text(error_code))[0] or smtp_code, enhanced_status


@lru_cache(CACHED)
def find_kind(
    provider_type: str,
    bounce_class: str | None,
    prefetched: bool,  # noqa: FBT001 - a key's part
    smtp_code: int | None = None,
    enhanced_status: str | None = None,
) -> Kind:
    """The kind of these."""
    event_type = TYPES.get(provider_type, (None, UNKNOWN))[1]
    number = None
    if bounce_class is not None and bounce_class.isascii() and bounce_class.isdigit() and len(bounce_class) < 6:
        number = int(bounce_class) if str(int(bounce_class)) == bounce_class else None
    bounce_kind = reject_reason = None
    found = BOUNCE_CLASSES.get(number or 1, UNCLASSIFIED)
    if event_type == BOUNCED:
        bounce_kind, event_type = found.bounce_kind, found.event_type or event_type
    if event_type in {BOUNCED, DEFERRED}:
        reject_reason = found.reject_reason
    elif event_type == REJECTED:  # by SparkPost; which list an address is on, it doesn't say
        reject_reason = BLOCKED if number in {None, 1} else found.reject_reason
    return Kind(
        provider=NAME,
        provider_type=provider_type,
        event_type=event_type,
        bounce_class=number,
        bounce_kind=bounce_kind if event_type == BOUNCED else None,
        out_of_band=provider_type == "out_of_band",
        machine_open=prefetched and event_type == OPENED,
        first_open=provider_type in ("initial_open", "amp_initial_open"),
        reject_reason=reject_reason,
        smtp_code=smtp_code,
        enhanced_status=enhanced_status,
    )


def _take_shared(fields: Json, detail: Json) -> str:
    """The JSON of what a sender's mailings share."""
    size = len(detail)
    pop = detail.pop
    values = tuple([pop(name, None) for name in SHARED_FIELDS])
    if not _SHARED_TYPES.issuperset(map(type, values)) or len(detail) + len(values) - values.count(None) != size:
        kept = {name: fields[name] for name in SHARED_FIELDS if type(fields.get(name, "")) not in (str, bool)}
        detail |= kept
        values = tuple([None if name in kept else fields.get(name) for name in SHARED_FIELDS])
    return build_shared(values)


@lru_cache(CACHED)
def build_shared(values: tuple[str | bool | None, ...]) -> str:
    """The JSON of SHARED_FIELDS with these values."""
    pairs = zip(SHARED_FIELDS, values, strict=True)
    return encode_json({name: value for name, value in pairs if value is not None}).decode()


def _take_tags(detail: Json) -> tuple[str, ...]:
    tags = detail.get("rcpt_tags")
    if type(tags) is list and tags and all(type(tag) is str for tag in tags):
        del detail["rcpt_tags"]
        return tuple(tags)
    return ()


def _take_client(detail: Json, user_agent: str) -> Client:
    parsed = detail.get("user_agent_parsed")
    if type(parsed) is not dict:
        return Client(user_agent)
    del detail["user_agent_parsed"]
    return Client(user_agent, encode_json(parsed).decode())


def restore(event: Event) -> Json:
    """The event as SparkPost sent it: `{"msys": {"<class>": {…}}}`."""
    fields: Json = decode_json(event.detail)
    notes = fields.pop(NOTES, None) or {}
    if "whole" in notes:
        whole: Json = notes["whole"]
        return whole
    values: Json = {
        "type": event.kind.provider_type,
        "timestamp": format_epoch(event.occurred_at),
        "event_id": event.event_id,
        **_restore_mailing(event.mailing),
        **_restore_receiver(event.receiver),
    }
    if event.recipient is not None:
        values["rcpt_to"] = values["raw_rcpt_to"] = event.recipient
    for theirs, ours in EVENT_FIELDS.items():
        value = getattr(event, ours)
        if value is not None:
            values[theirs] = value
    if event.kind.bounce_class is not None:
        values["bounce_class"] = str(event.kind.bounce_class)
    if event.metadata is not None:
        values["rcpt_meta"] = decode_json(event.metadata)
    if event.client is not None:
        values |= _restore_client(event.client)
    for name in notes.get("absent", ()):
        values.pop(name, None)
    event_class = TYPES[event.kind.provider_type][0]
    return {"msys": {event_class: values | fields}, **notes.get("siblings", {})}


# A page's events share most of the following.


@lru_cache(CACHED)
def _restore_mailing(mailing: Mailing) -> Json:
    values = _rename(MAILING_FIELDS, mailing) | _rename(SENDER_FIELDS, mailing.sender)
    if mailing.tags:
        values["rcpt_tags"] = list(mailing.tags)
    values |= decode_json(mailing.sender.shared.encode() or b"{}")
    return values


@lru_cache(CACHED)
def _restore_receiver(receiver: Receiver) -> Json:
    return _rename(RECEIVER_FIELDS, receiver)


@lru_cache(CACHED)
def _restore_client(client: Client) -> Json:
    values: Json = {"user_agent": client.user_agent}
    if client.parsed:
        values["user_agent_parsed"] = decode_json(client.parsed.encode())
    return values


def _rename(fields: dict[str, str], source: Sender | Mailing | Receiver) -> Json:
    values = {theirs: getattr(source, ours) for theirs, ours in fields.items()}
    return {theirs: value for theirs, value in values.items() if value is not None}
