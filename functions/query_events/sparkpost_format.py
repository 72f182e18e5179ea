"""Events as SparkPost's events API gives them: one flat object each, with its types of value.

Source: SparkPost's "Events" API and its guide for those who move to it from message-events.
"""

from collections.abc import Callable, Mapping

from common.clock import format_instant
from common.events import Event, Json
from providers import find_provider


def to_int(value: object) -> object:
    """The whole number that a text says; anything else as it is."""
    if isinstance(value, str) and value.removeprefix("-").isdigit() and value.isascii():
        return int(value) if len(value) < 19 else value
    return value


def to_float(value: object) -> object:
    """The number that a text says; anything else as it is."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


# Fields whose values differ from those of webhooks.
VALUES: Mapping[str, Callable[[object], object]] = {"customer_id": to_int, "subaccount_id": to_int}
GEO_VALUES = ("latitude", "longitude", "zip")


def represent(event: Event) -> Json:
    """One result of the events API."""
    provider = find_provider(event.kind.provider)
    if provider is None:
        raise LookupError(f"no provider {event.kind.provider}")
    result: Json
    (result,) = provider.restore(event)["msys"].values()
    result["timestamp"] = format_instant(event.occurred_at)
    if "event_id" not in result:
        result["event_id"] = event.event_id
    if event.receiver.domain and "recipient_domain" not in result:
        result["recipient_domain"] = event.receiver.domain
    result.pop("tdate", None)
    for name, convert in VALUES.items():
        value = result.get(name)
        if type(value) is str:
            result[name] = convert(value)
    geo = result.get("geo_ip")
    if type(geo) is dict:
        result["geo_ip"] = {name: to_float(value) if name in GEO_VALUES else value for name, value in geo.items()}
    return result
