"""The normalised event: one shape for all providers.

An event is split along what it shares with others, because Postgres stores it so: `Kind`, `Sender`, `Mailing`,
`Receiver` and `Client` are the same for many events and are stored once each (docs/decisions/0001-event-layout.md).
"""

from datetime import datetime
from typing import Any, Final, NamedTuple

# What happened to a message, in our words.
INJECTED: Final = "injected"  # the provider accepted it for sending
DELIVERED: Final = "delivered"  # the receiving server accepted it
DEFERRED: Final = "deferred"  # the receiving server put it off; the provider tries again
BOUNCED: Final = "bounced"  # the receiving server refused it
REJECTED: Final = "rejected"  # the provider refused it before sending (policy, suppression)
FAILED: Final = "failed"  # the provider could not make it (a template's error)
OPENED: Final = "opened"
CLICKED: Final = "clicked"
COMPLAINED: Final = "complained"  # the recipient called it spam
UNSUBSCRIBED: Final = "unsubscribed"
SUBSCRIBED: Final = "subscribed"
AUTORESPONDED: Final = "autoresponded"  # a robot answered: vacation, challenge
UNKNOWN: Final = "unknown"  # anything else; the provider's word and the whole event are kept
EVENT_TYPES: Final = frozenset(
    {INJECTED, DELIVERED, DEFERRED, BOUNCED, REJECTED, FAILED, OPENED, CLICKED, COMPLAINED}
    | {UNSUBSCRIBED, SUBSCRIBED, AUTORESPONDED, UNKNOWN}
)

HARD: Final = "hard"  # never mail this address again
SOFT: Final = "soft"  # may work later
BLOCK: Final = "block"  # refused for the content or the sender's reputation
ADMIN: Final = "admin"  # refused by configuration
UNDETERMINED: Final = "undetermined"
BOUNCE_KINDS: Final = frozenset({HARD, SOFT, BLOCK, ADMIN, UNDETERMINED})

# Why a message was rejected, bounced or deferred; on a rejected one it names the suppression list.
INVALID: Final = "invalid"  # the address does not exist or is malformed
PREVIOUSLY_BOUNCED: Final = "bounced"
TIMED_OUT: Final = "timed_out"
BLOCKED: Final = "blocked"  # by policy, content or reputation
SPAM: Final = "spam"  # the recipient, or a filter, called it spam
PREVIOUSLY_UNSUBSCRIBED: Final = "unsubscribed"
OTHER: Final = "other"
REJECT_REASONS: Final = frozenset(
    {INVALID, PREVIOUSLY_BOUNCED, TIMED_OUT, BLOCKED, SPAM, PREVIOUSLY_UNSUBSCRIBED, OTHER}
)

Json = dict[str, Any]


class Kind(NamedTuple):
    """What happened, classified: our word, the provider's word, and the attributes that types hide."""

    provider: str  # who said it, as in the webhook's URL
    provider_type: str  # their word
    event_type: str  # ours, of EVENT_TYPES
    bounce_class: int | None = None  # SparkPost's number
    bounce_kind: str | None = None  # of BOUNCE_KINDS
    out_of_band: bool = False  # a bounce that came back later as a mail
    machine_open: bool = False  # opened by a proxy or scanner, not by a person
    first_open: bool = False  # the first open of this message
    reject_reason: str | None = None  # of REJECT_REASONS
    smtp_code: int | None = None  # the receiving server's reply, 200 to 599
    enhanced_status: str | None = None  # its enhanced status code (RFC 3463), as in 5.1.1


class Sender(NamedTuple):
    """What the mailings of one sender share."""

    address: str | None = None  # in From
    subaccount: str | None = None
    ip_pool: str | None = None
    sending_ip: str | None = None
    shared: str = ""  # JSON object of the provider's other fields that its mailings share


class Mailing(NamedTuple):
    """What the messages of one mailing share."""

    campaign: str | None = None
    template: str | None = None
    subject: str | None = None
    ab_test: str | None = None
    ab_test_version: str | None = None
    tags: tuple[str, ...] = ()
    sender: Sender = Sender()


class Receiver(NamedTuple):
    """The receiving side."""

    domain: str | None = None  # of the recipient's address
    routing_domain: str | None = None  # where the provider routed it to
    mailbox_provider: str | None = None
    mailbox_provider_region: str | None = None


class Client(NamedTuple):
    """The program that opened or clicked."""

    user_agent: str
    parsed: str = ""  # JSON object: the provider's reading of the user agent


class Event(NamedTuple):
    """One normalised event."""

    occurred_at: datetime  # the provider's time, aware, UTC
    event_id: str  # the provider's own id, or a hash of the canonical event where it has none
    kind: Kind
    mailing: Mailing
    receiver: Receiver
    client: Client | None
    recipient: str | None  # lower case
    message_id: str | None
    transmission_id: str | None
    metadata: bytes | None  # JSON object that the sender attached
    reason: str | None  # why: the receiving server's words
    url: str | None  # the link that was clicked
    ip_address: str | None  # of who opened or clicked, or of the receiving server
    position: int  # its place in the batch
    detail: bytes  # JSON object of everything else that the provider sent


class Unparseable(NamedTuple):
    """A part of a batch that is not an event; it goes to the quarantine."""

    position: int | None  # its place in the batch; None: the whole body
    reason: str  # what is wrong, for a person
    item: object  # what it was, as far as it could be decoded
