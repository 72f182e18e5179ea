"""Elastic Email: one event a request, the query of a GET by default, or a flat JSON object by POST; no id for events.

Source: the facts page and Elastic Email's documentation of web notifications, from memory. Which bytes its optional
signature covers is not documented: basic authentication or a secret in the path proves the sender instead. The names
of JSON's fields count in whatever case. `Sent` does not surely mean that the receiving server took the message.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache

from common.events import (
    BLOCK,
    BLOCKED,
    BOUNCED,
    CLICKED,
    COMPLAINED,
    DEFERRED,
    DELIVERED,
    HARD,
    INJECTED,
    INVALID,
    OPENED,
    OTHER,
    REJECTED,
    SOFT,
    SPAM,
    TIMED_OUT,
    UNDETERMINED,
    UNKNOWN,
    UNSUBSCRIBED,
    Event,
    Json,
    Kind,
    Unparseable,
)
from providers import Delivery, Reply, WebhookRequest
from providers._events import CACHED, Columns, make_columns, read_events, restore_item
from providers._fields import hash_canonical, read_text
from providers._flat import find_unstorable, get_first, read_flat
from providers._times import read_american
from providers._verification import check_shared_secret

NAME = "elastic_email"
METHODS = ("GET", "POST")

# Their status, in lower case → ours. The second and further words are those of its newer API.
TYPES = {
    **dict.fromkeys(("sent", "submission"), INJECTED),
    "delivered": DELIVERED,
    "failedattempt": DEFERRED,
    **dict.fromkeys(("error", "bounce", "bounced"), BOUNCED),
    **dict.fromkeys(("opened", "open"), OPENED),
    **dict.fromkeys(("clicked", "click"), CLICKED),
    **dict.fromkeys(("abusereport", "complaint"), COMPLAINED),
    **dict.fromkeys(("unsubscribed", "unsubscribe"), UNSUBSCRIBED),
}
# `category` of an error, in lower case → kind of bounce (None: it was never sent), why.
CATEGORIES: dict[str, tuple[str | None, str]] = {
    "unknown": (UNDETERMINED, OTHER),
    "ignore": (UNDETERMINED, OTHER),
    "spam": (BLOCK, SPAM),
    "blacklisted": (BLOCK, BLOCKED),
    "nomailbox": (HARD, INVALID),
    "greylisted": (SOFT, OTHER),
    "throttled": (SOFT, OTHER),
    "timeout": (SOFT, TIMED_OUT),
    "connectionproblem": (SOFT, OTHER),
    "connectionterminated": (SOFT, OTHER),
    "spfproblem": (BLOCK, BLOCKED),
    "whitelistingproblem": (BLOCK, BLOCKED),
    "contentfilter": (BLOCK, BLOCKED),
    "accountproblem": (SOFT, OTHER),
    "dnsproblem": (SOFT, OTHER),
    "codeerror": (UNDETERMINED, OTHER),
    "notdelivered": (None, OTHER),
    "notdeliveredcancelled": (None, OTHER),
    "manualcancel": (None, OTHER),
}

# Those of the documentation: no case to be changed.
FIELDS = frozenset(
    {
        *("transaction", "to", "from", "date", "status", "channel", "account", "category", "target", "messageid"),
        *("subject", "postback", "ip", "useragent", "message", "error"),
    }
)
TAKEN = {
    "recipient": ("to",),
    "message_id": ("messageid",),
    "transmission_id": ("transaction",),
    "url": ("target",),
    "subject": ("subject",),
    "address": ("from",),
    "subaccount": ("account",),
}


def verify(request: WebhookRequest, secrets: Sequence[str], _now: datetime) -> None:
    """Basic authentication, or the secret in the path."""
    check_shared_secret(request, secrets)


def handshake(request: WebhookRequest, _secrets: Sequence[str], _now: datetime) -> Reply | None:
    """A GET without a query asks whether the URL is there, and is told so."""
    return Reply() if request.method == "GET" and not request.query else None


def parse(body: bytes, delivery: Delivery) -> Iterator[Event | Unparseable]:
    """The body's one event."""
    return read_events(lambda: read_flat(body, delivery.content_type), _read, TAKEN, body=find_unstorable(body))


def restore(event: Event) -> Json:
    """The query's names and values, or the JSON object."""
    return restore_item(event, TAKEN)


def _read(item: Json) -> Columns:
    fields = item if FIELDS.issuperset(item) else {name.lower(): value for name, value in item.items()}
    get = fields.get
    status = get("status")
    if type(status) is not str or not status:
        raise ValueError("the event has no field status")
    if not get("date"):
        raise ValueError("the event has no field date")
    postback = get("postback")
    return make_columns(
        read_american(get("date")),
        hash_canonical(item),
        find_kind(status, read_text(get("category"))),
        recipient=get("to"),
        message_id=get("messageid"),
        transmission_id=get("transaction"),
        metadata=None if postback in (None, "") else {"postback": postback},
        tags=get("channel"),
        url=get("target"),
        ip_address=get_first(fields, "ip", "ipaddress"),
        user_agent=get_first(fields, "useragent", "user_agent"),
        subject=get("subject"),
        address=get_first(fields, "from", "fromemail"),
        subaccount=get("account"),
        reason=get_first(fields, "message", "error"),
    )


@lru_cache(CACHED)
def find_kind(status: str, category: str | None) -> Kind:
    """The kind of a status and of an error's category."""
    event_type = TYPES.get(status.lower(), UNKNOWN)
    bounce_kind = reject_reason = None
    if event_type == BOUNCED:
        word = (category or "unknown").replace(" ", "").lower()
        bounce_kind, reject_reason = CATEGORIES.get(word, (UNDETERMINED, OTHER))
        if bounce_kind is None:
            event_type = REJECTED
    shown = f"{status}/{category}" if category and event_type in (BOUNCED, REJECTED) else status
    return Kind(
        NAME,
        shown,
        event_type,
        bounce_kind=bounce_kind,
        reject_reason=reject_reason,
    )
