import pytest

from common.events import BOUNCE_KINDS, BOUNCED, EVENT_TYPES, OPENED, Kind
from query_events.sparkpost_types import BOUNCE_CLASSES, find_bounce_class, name_type

WORDS = {
    "injected": "injection",
    "delivered": "delivery",
    "deferred": "delay",
    "bounced": "bounce",
    "rejected": "policy_rejection",
    "failed": "generation_failure",
    "opened": "open",
    "clicked": "click",
    "complained": "spam_complaint",
    "unsubscribed": "link_unsubscribe",
    "subscribed": "subscribed",
    "autoresponded": "autoresponded",
    "unknown": "unknown",
}


@pytest.mark.parametrize(("ours", "theirs"), WORDS.items())
def test_other_providers_events_get_sparkposts_words(ours: str, theirs: str) -> None:
    """Clients written for SparkPost understand every provider's events; what it has no word for keeps ours."""
    assert name_type(Kind("sendgrid", "their-word", ours)) == theirs


def test_every_event_type_is_tested() -> None:
    """A new type of event needs a word, or a decision that it has none."""
    assert set(WORDS) == EVENT_TYPES


def test_attributes_that_sparkpost_has_a_type_for_decide() -> None:
    """A bounce that came back by mail, and the first open of a message, are types of their own there."""
    assert name_type(Kind("sendgrid", "bounce", BOUNCED, out_of_band=True)) == "out_of_band"
    assert name_type(Kind("sendgrid", "open", OPENED, first_open=True)) == "initial_open"


def test_sparkposts_own_events_keep_their_word() -> None:
    """Also where the class of a bounce says something else, and where the type is unknown."""
    assert name_type(Kind("sparkpost", "bounce", "autoresponded", 60)) == "bounce"
    assert name_type(Kind("sparkpost", "list_unsubscribe", "unsubscribed")) == "list_unsubscribe"
    assert name_type(Kind("sparkpost", "brand_new", "unknown")) == "brand_new"


def test_bounces_of_other_providers_have_a_class() -> None:
    """Clients that group by SparkPost's numbers find each kind of bounce; SparkPost's own numbers stay."""
    assert set(BOUNCE_CLASSES) == BOUNCE_KINDS
    assert BOUNCE_CLASSES == {"undetermined": 1, "hard": 10, "soft": 20, "admin": 25, "block": 50}
    assert find_bounce_class(Kind("sendgrid", "bounce", BOUNCED, None, "hard")) == 10
    assert find_bounce_class(Kind("sendgrid", "open", OPENED)) is None
    assert find_bounce_class(Kind("sparkpost", "bounce", BOUNCED, 30, "hard")) == 30
    assert find_bounce_class(Kind("sparkpost", "bounce", BOUNCED, None, "undetermined")) is None
