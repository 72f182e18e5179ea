"""Notifications: what is told to whom of which cohort. docs/notifications.md describes the form."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from cohort_evaluator.reading import (
    DefinitionError,
    read_duration,
    read_object,
    read_path,
    read_text,
    read_zone,
)
from common.addresses import AddressError, read_address
from common.events import Json

MAIL: Final = "mail"
SENDS: Final = ("entered", "exited")
MOST_ENTRIES: Final = 1_000
USUAL_LIMIT: Final = 100
USUAL_PERIOD: Final = "15 minutes"
OPTIONAL: Final = ("hold_out", "quiet", "give_up", "ignores_caps")  # of a mail to members
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,99}\Z")
_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]\Z")
_SECRET = re.compile(r"[A-Za-z0-9_-]{1,100}\Z")


class Notification(NamedTuple):
    """A definition, read."""

    name: str
    cohort: str
    on: tuple[str, ...]  # entered, exited
    channel: str  # email, slack, webhook or mail
    settings: Json  # of the channel
    period: timedelta  # in which changes are collected; none of a mail
    fields: tuple[str, ...]  # address, or a trait's path
    limit: int  # entries of a message
    brief: bool  # whether those are told, too, who enter and leave within one period


def read_notification(definition: object) -> Notification:
    """`{"name", "cohort", "on", "channel", "period", "fields", "limit", "brief"}`. Raises `DefinitionError`."""
    given = read_object(
        definition,
        "definition",
        required=("name", "cohort", "on", "channel"),
        optional=("period", "fields", "limit", "brief"),
    )
    for key in ("name", "cohort"):
        read_name(given[key], key)
    on = given["on"]
    if type(on) is not list or not on or not set(map(str, on)) <= set(SENDS):
        raise DefinitionError("on", "is a list of entered, exited, or both")
    channels = read_object(given["channel"], "channel")
    if len(channels) != 1 or next(iter(channels)) not in _CHANNELS:
        raise DefinitionError("channel", f"has one of {', '.join(_CHANNELS)}")
    ((channel, settings),) = channels.items()
    _CHANNELS[channel](settings, f"channel.{channel}")
    if channel == MAIL and on != ["entered"]:
        raise DefinitionError("on", "is entered alone: members are mailed")
    fields = given.get("fields", [])
    if type(fields) is not list or len(fields) > 50:
        raise DefinitionError("fields", "is a list of up to 50: address, or a trait's path")
    limit = given.get("limit", USUAL_LIMIT)
    if type(limit) is not int or not 1 <= limit <= MOST_ENTRIES:
        raise DefinitionError("limit", f"is a whole number from 1 to {MOST_ENTRIES:,}")
    brief = given.get("brief", False)
    if type(brief) is not bool:
        raise DefinitionError("brief", "is true or false")
    return Notification(
        given["name"],
        given["cohort"],
        tuple(on),
        channel,
        settings,
        timedelta(0) if channel == MAIL else read_duration(given.get("period", USUAL_PERIOD), "period"),
        tuple(".".join(read_path(field, f"fields[{index}]")) for index, field in enumerate(fields)),
        limit,
        brief,
    )


def read_name(value: object, place: str) -> str:
    """The name of a cohort, a notification or a template. Raises `DefinitionError`."""
    if type(value) is not str or not _NAME.match(value):
        raise DefinitionError(place, "is 1 to 100 characters of a-z, 0-9 and dashes, and begins with none")
    return value


def _check_email(value: object, place: str) -> None:
    given = read_object(value, place, required=("to",))
    addresses = given["to"]
    if type(addresses) is not list or not 1 <= len(addresses) <= 20:
        raise DefinitionError(f"{place}.to", "is a list of 1 to 20 addresses")
    for index, address in enumerate(addresses):
        try:
            read_address(address if type(address) is str else "")
        except AddressError:
            raise DefinitionError(f"{place}.to[{index}]", "is an address, in ASCII before the @") from None


def _check_slack(value: object, place: str) -> None:
    given = read_object(value, place, required=("secret",))
    _check_secret(given["secret"], f"{place}.secret")


def _check_webhook(value: object, place: str) -> None:
    given = read_object(value, place, required=("url", "secret"))
    _check_secret(given["secret"], f"{place}.secret")
    url = read_text(given["url"], f"{place}.url")
    try:
        parts = urlsplit(url)
        usable = parts.scheme == "https" and parts.hostname and not parts.username and not parts.password
        usable = usable and parts.port in (None, 443, 8443)
    except ValueError:
        usable = False
    if not usable:
        raise DefinitionError(f"{place}.url", "is an https URL without a user, at port 443 or 8443")


def _check_mail(value: object, place: str) -> None:
    given = read_object(value, place, required=("template", "repeat"), optional=OPTIONAL)
    if type(given["template"]) is not str or not _NAME.match(given["template"]):
        raise DefinitionError(f"{place}.template", "is the name of a template")
    repeat = given["repeat"]
    if repeat != "once":
        every = read_object(repeat, f"{place}.repeat", required=("every",))
        read_duration(every["every"], f"{place}.repeat.every")
    share = given.get("hold_out", 0)
    if type(share) is bool or not isinstance(share, int | float) or not 0 <= share < 1:
        raise DefinitionError(f"{place}.hold_out", "is a number from 0 to below 1")
    if "quiet" in given:
        _check_quiet(given["quiet"], f"{place}.quiet")
    if "give_up" in given:
        read_duration(given["give_up"], f"{place}.give_up")
    if type(given.get("ignores_caps", False)) is not bool:
        raise DefinitionError(f"{place}.ignores_caps", "is true or false")


def _check_quiet(value: object, place: str) -> None:
    given = read_object(value, place, required=("from", "to", "time_zone"))
    for key in ("from", "to"):
        if type(given[key]) is not str or not _TIME.match(given[key]):
            raise DefinitionError(f"{place}.{key}", "is a time of the day, as 21:00")
    if given["from"] == given["to"]:
        raise DefinitionError(f"{place}.to", "is another time than from")
    read_zone(given["time_zone"], f"{place}.time_zone")


def _check_secret(value: object, place: str) -> None:
    if type(value) is not str or not _SECRET.match(value):
        raise DefinitionError(place, "is the name of a secret in NotificationSecret")


_CHANNELS: Final[dict[str, Callable[[Any, str], None]]] = {
    "email": _check_email,
    "slack": _check_slack,
    "webhook": _check_webhook,
    MAIL: _check_mail,
}
