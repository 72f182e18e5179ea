"""Settings of mails to members."""

from typing import Any

import pytest

from cohort_evaluator.channels import read_notification
from cohort_evaluator.people import find_zone
from cohort_evaluator.reading import DefinitionError

QUIET: dict[str, Any] = {"from": "21:00", "to": "08:00", "time_zone": "Europe/Berlin"}

NO_ZONES: list[Any] = [
    *("Europe/Atlantis", "", "../../etc/passwd", "Europe", "zone.tab", "a\0b", "\ud800", "a" * 999),
    *(1, None, []),
]


def read(**settings: Any) -> Any:
    """Of a notification with such a channel."""
    channel = {"mail": {"template": "hello", "repeat": "once", **settings}}
    return read_notification({"name": "one", "cohort": "one", "on": ["entered"], "channel": channel}).settings


def test_settings_are_read() -> None:
    """All of them may be missing."""
    given = {"quiet": QUIET, "give_up": "2 days", "ignores_caps": True}
    assert read(**given) == {"template": "hello", "repeat": "once", **given}
    assert read() == {"template": "hello", "repeat": "once"}


@pytest.mark.parametrize(
    ("settings", "place"),
    [
        ({"quiet": {"from": "21:00", "to": "08:00"}}, "channel.mail.quiet: needs time_zone"),
        ({"quiet": {**QUIET, "days": []}}, "channel.mail.quiet.days: is unknown"),
        ({"quiet": {**QUIET, "from": "24:00"}}, "channel.mail.quiet.from: is a time"),
        ({"quiet": {**QUIET, "from": "9:00"}}, "channel.mail.quiet.from: is a time"),
        ({"quiet": {**QUIET, "to": 8}}, "channel.mail.quiet.to: is a time"),
        ({"quiet": {**QUIET, "to": "21:00"}}, "channel.mail.quiet.to: is another time"),
        *(({"quiet": {**QUIET, "time_zone": zone}}, "channel.mail.quiet.time_zone: is the name") for zone in NO_ZONES),
        ({"give_up": "3"}, "channel.mail.give_up: is a number of"),
        ({"ignores_caps": 1}, "channel.mail.ignores_caps: is true or false"),
    ],
)
def test_refusals_say_where(settings: dict[str, Any], place: str) -> None:
    """And why."""
    with pytest.raises(DefinitionError) as refused:
        read(**settings)
    assert str(refused.value).startswith(place)


def read_email(*to: Any) -> Any:
    """Of a notification by email."""
    definition = {"name": "one", "cohort": "one", "on": ["entered"], "channel": {"email": {"to": list(to)}}}
    return read_notification(definition).settings


def test_addresses_of_digests_are_those_that_can_be_mailed() -> None:
    """As the mailer reads them, so that no digest fails for what could be told when it was saved."""
    to = ["team@example.com", "Team+one@bücher.example"]
    assert read_email(*to) == {"to": to}


@pytest.mark.parametrize(
    "address",
    [
        *("a\0b@x.com", "\ud800@x.com", "a@\ud800.com", "тест@example.com", "a@localhost", "a..b@example.com"),
        *("a@example.com, b@example.com", "", "a", 1, None, "a" * 400 + "@example.com"),
    ],
)
def test_addresses_of_digests_that_can_not_be_mailed_are_refused(address: Any) -> None:
    """With their place."""
    with pytest.raises(DefinitionError) as refused:
        read_email("team@example.com", address)
    assert str(refused.value) == "channel.email.to[1]: is an address, in ASCII before the @"


@pytest.mark.parametrize(
    ("traits", "zone"),
    [
        ({}, None),
        ({"metadata": {"timezone": "Asia/Kolkata"}, "geo_ip": {"timezone": "Europe/Berlin"}}, "Asia/Kolkata"),
        ({"metadata": {"timezone": "nowhere"}, "geo_ip": {"timezone": "Europe/Berlin"}}, "Europe/Berlin"),
        ({"metadata": {"time_zone": {"name": "UTC"}}, "geo_ip": [1]}, None),
    ],
)
def test_own_time_zone_is_the_first_that_is_known(traits: dict[str, Any], zone: str | None) -> None:
    """Whatever a trait may hold."""
    found = find_zone(traits)
    assert (found and found.key) == zone
