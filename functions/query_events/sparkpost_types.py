"""SparkPost's word for every event: its own for its own events, for another provider's the one that means the same.

What results show and what `events=` and `bounce_classes=` search by comes from these tables and SparkPost's own.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from common.events import (
    BOUNCED,
    CLICKED,
    COMPLAINED,
    DEFERRED,
    DELIVERED,
    FAILED,
    INJECTED,
    OPENED,
    REJECTED,
    UNSUBSCRIBED,
    Kind,
)
from providers import sparkpost

SPARKPOST: Final = sparkpost.NAME


class Word(NamedTuple):
    """One row: `sparkpost_type` is said of our `event_type` where the kind's `attribute` is true, if there is one."""

    event_type: str
    attribute: str | None
    sparkpost_type: str


# The first row that fits counts; an event type without a row keeps our word.
WORDS: Final = (
    Word(INJECTED, None, "injection"),
    Word(DELIVERED, None, "delivery"),
    Word(DEFERRED, None, "delay"),
    Word(BOUNCED, "out_of_band", "out_of_band"),
    Word(BOUNCED, None, "bounce"),
    Word(REJECTED, None, "policy_rejection"),
    Word(FAILED, None, "generation_failure"),
    Word(OPENED, "first_open", "initial_open"),
    Word(OPENED, None, "open"),
    Word(CLICKED, None, "click"),
    Word(COMPLAINED, None, "spam_complaint"),
    Word(UNSUBSCRIBED, None, "link_unsubscribe"),
)
# SparkPost's number for a kind of bounce, where the provider has no numbers: the first and most general one.
BOUNCE_CLASSES: Final[Mapping[str, int]] = {
    found.bounce_kind: number for number, found in sorted(sparkpost.BOUNCE_CLASSES.items(), reverse=True)
}


def name_type(kind: Kind) -> str:
    """The type that SparkPost's clients see."""
    if kind.provider == SPARKPOST:
        return kind.provider_type
    for word in WORDS:
        if word.event_type == kind.event_type and (word.attribute is None or getattr(kind, word.attribute)):
            return word.sparkpost_type
    return kind.event_type


def find_bounce_class(kind: Kind) -> int | None:
    """The bounce class that SparkPost's clients see."""
    if kind.provider == SPARKPOST or kind.bounce_class is not None:
        return kind.bounce_class
    return BOUNCE_CLASSES.get(kind.bounce_kind or "")
