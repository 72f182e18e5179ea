"""Brevo (Sendinblue): a JSON object a webhook, or an array where the webhook is `batched`; no signature, no event id.

Source: the facts page and Brevo's documentation of transactional and marketing webhooks. Brevo sends again only what
was answered 429, or not at all: any other error discards the event. So it is told 429, also where its proof is wrong:
what comes while a password is being changed is not lost.

Of Brevo's clocks only `ts_epoch` is UTC for certain. It is said to be in milliseconds and was seen in seconds; its
magnitude tells. Events without it have `ts_event`, which is taken for UTC, then `ts` and the dates, which are in the
zone of the account, and taken for UTC: they may be hours off. Documents disagree on which of `opened` and
`unique_opened` is the first open; it is taken to be the one called unique. An event that comes again is known by
message or campaign, recipient, type, time, link and reader; `id` is the webhook's.
"""

import hmac
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
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
    HARD,
    INJECTED,
    INVALID,
    OPENED,
    OTHER,
    PREVIOUSLY_BOUNCED,
    REJECTED,
    SOFT,
    SPAM,
    SUBSCRIBED,
    UNKNOWN,
    UNSUBSCRIBED,
    Event,
    Json,
    Kind,
    Unparseable,
)
from providers import Answers, Delivery, WebhookRequest
from providers._events import (
    CACHED,
    Columns,
    make_columns,
    parse_json,
    read_address,
    read_events,
    readdress,
    restore_item,
)
from providers._fields import decode_inner, hash_canonical, read_epoch, read_text
from providers._flat import get_first
from providers._smtp import read_smtp
from providers._times import read_utc
from providers._verification import check_equal, check_shared_secret

NAME = "brevo"

ANSWERS = Answers(unavailable=429, unauthorized=429)

HEADER_MARK = ": "  # between name and value, in a secret that is a header

# Their word, in lower case and without `_` → ours, and what of the kind it says. Webhooks are set up with other forms
# of the same words (`hardBounce`) than they send (`hard_bounce`).
TYPES: dict[str, tuple[str, Json]] = {
    "request": (INJECTED, {}),  # comes before `blocked` too
    "sent": (INJECTED, {}),
    "delivered": (DELIVERED, {}),
    "deferred": (DEFERRED, {"bounce_kind": SOFT}),
    "hardbounce": (BOUNCED, {"bounce_kind": HARD, "reject_reason": PREVIOUSLY_BOUNCED}),
    "softbounce": (BOUNCED, {"bounce_kind": SOFT, "reject_reason": OTHER}),
    **dict.fromkeys(("invalid", "invalidemail"), (BOUNCED, {"bounce_kind": HARD, "reject_reason": INVALID})),
    "blocked": (REJECTED, {"reject_reason": BLOCKED}),
    "error": (FAILED, {}),
    "opened": (OPENED, {}),
    "uniqueopened": (OPENED, {"first_open": True}),
    "proxyopen": (OPENED, {"machine_open": True}),
    **dict.fromkeys(("uniqueproxyopen", "uniqueproxyopened"), (OPENED, {"machine_open": True, "first_open": True})),
    "click": (CLICKED, {}),
    **dict.fromkeys(("spam", "complaint"), (COMPLAINED, {"reject_reason": SPAM})),
    **dict.fromkeys(("unsubscribe", "unsubscribed"), (UNSUBSCRIBED, {})),
    "listaddition": (SUBSCRIBED, {}),
    "contactupdated": (UNKNOWN, {}),  # of an address, not of a message
    "contactdeleted": (UNKNOWN, {}),
}
LEAST_MILLISECONDS = 10**11  # as seconds, the year 5138
MOST_MILLISECONDS = 10**14  # the same year

TAKEN = {
    "recipient": ("email",),
    "message_id": ("message-id",),
    "tags": ("tags",),
    "subject": ("subject",),
    "address": ("sender_email",),
    "sending_ip": ("sending_ip",),
    "reason": ("reason",),
    "url": ("link",),
    "user_agent": ("user_agent",),
    "campaign": ("campaign name",),
}


def verify(request: WebhookRequest, secrets: Sequence[str], _now: datetime) -> None:
    """Basic authentication or the secret in the path; a bearer's token; or a header of a name of one's own.

    A secret is `user:password` or a password alone, which is the token too; or a header: `Name: value`, with a space.
    """
    found = [_has_header(request, secret) for secret in secrets if HEADER_MARK in secret]
    if any(found):
        return
    others = [secret for secret in secrets if HEADER_MARK not in secret]
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and not request.path_secret:
        wanted = [secret.partition(":")[2] if ":" in secret else secret for secret in others]
        check_equal(token.strip().encode(errors="surrogatepass"), [value.encode() for value in wanted])
        return
    check_shared_secret(request, others)


def _has_header(request: WebhookRequest, header: str) -> bool:
    name, _, value = header.partition(HEADER_MARK)
    given = request.headers.get(name.strip().lower(), "").strip().encode(errors="surrogatepass")
    wanted = value.strip().encode()
    return hmac.compare_digest(given, wanted) and wanted != b""


def parse(body: bytes, _delivery: Delivery) -> Iterator[Event | Unparseable]:
    """The body's one event, or those of a batch."""
    return read_events(lambda: _find_items(body), _read, TAKEN, body=body)


def restore(event: Event) -> Json:
    """The event's object."""
    return restore_item(event, TAKEN)


def _find_items(body: bytes) -> list[Any]:
    value = parse_json(body)
    if type(value) not in (list, dict):
        raise ValueError("the body is neither an event nor an array of events")
    return value if type(value) is list else [value]


def _read(item: Json) -> Columns | list[Columns]:
    get = item.get
    word = get("event")
    if type(word) is not str or not word:
        if type(get("items")) is list:
            raise ValueError("mails that came in, not what became of one sent: give inbound parsing another URL")
        raise ValueError("the event has no event")
    message_id, campaign_id = get("message-id"), get("camp_id")
    url = get("link") or get("URL")
    agent, ip = get("user_agent"), get("ip")
    reason = get("reason")
    time = get("ts_epoch")
    if type(time) is int and LEAST_MILLISECONDS <= time < MOST_MILLISECONDS:
        occurred_at = datetime.fromtimestamp(time / 1000, UTC)
    else:
        time, occurred_at = _find_time(item)
    given = get("email")
    if message_id or campaign_id:
        event_id = hash_canonical([message_id, campaign_id, given, word, time, url, agent, ip])
    else:
        event_id = hash_canonical({name: value for name, value in item.items() if name != "id"})
    custom = get("X-Mailin-custom")
    columns = make_columns(
        occurred_at,
        event_id,
        find_kind(word, reason if type(reason) is str else ""),
        given,
        message_id=message_id,
        transmission_id=campaign_id,
        metadata=_read_metadata(custom) if custom else None,
        tags=get("tags") or _read_tags(get("tag")),
        reason=reason,
        url=url,
        ip_address=ip,
        user_agent=agent,
        campaign=get("campaign name"),
        template=read_text(get("template_id")),
        subject=get("subject"),
        address=get("sender_email"),
        sending_ip=get("sending_ip"),
    )
    if type(given) is not list:
        return columns
    recipients = list(dict.fromkeys(map(read_address, given)))
    if len(recipients) < 2:
        return readdress(columns, recipients[0] if recipients else None, event_id)
    return [readdress(columns, address, f"{event_id}:{address}") for address in recipients]


def _find_time(item: Json) -> tuple[Any, datetime]:
    """When it happened: as Brevo says it, and as a time."""
    get = item.get
    epoch = get("ts_epoch")
    if epoch not in (None, ""):
        return epoch, _read_magnitude(epoch)
    time = get_first(item, "ts_event", "ts", "date_event", "date")
    if time is None:
        raise ValueError("the event has no time: none of ts_epoch, ts_event, ts, date_event, date")
    return time, read_utc(time)


def _read_magnitude(value: Any) -> datetime:
    """Milliseconds since 1970, or seconds. Raises `ValueError`."""
    if type(value) is str and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if type(value) in (int, float) and LEAST_MILLISECONDS <= value < MOST_MILLISECONDS:
        value /= 1000
    return read_epoch(value)


def _read_tags(value: Any) -> Any:
    """A list, a tag, or a tag whose text is a JSON array of tags."""
    if type(value) is str and value[:1] == "[":
        try:
            tags = decode_inner(value)
        except ValueError:
            return value
        return tags if type(tags) is list else value
    return value or None


def _read_metadata(value: Any) -> Json:
    """The header `X-Mailin-custom` that the sender set: a JSON object, or any text, which may be cut off."""
    if type(value) is dict:
        return value
    if type(value) is str and value.lstrip()[:1] == "{":
        try:
            decoded = decode_inner(value)
        except ValueError:
            decoded = None
        if type(decoded) is dict:
            return decoded
    return {"X-Mailin-custom": value}


@lru_cache(CACHED)
def find_kind(word: str, reason: str) -> Kind:
    """The kind of a type and of the words in which its reason is given."""
    event_type, attributes = TYPES.get(word.replace("_", "").lower(), (UNKNOWN, {}))
    smtp_code, enhanced_status = read_smtp(reason)
    return Kind(NAME, word, event_type, smtp_code=smtp_code, enhanced_status=enhanced_status, **attributes)
