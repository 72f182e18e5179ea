import json
from pathlib import Path
from typing import Any

import pytest

from common.errors import ApiError
from common.events import Event, Json
from providers.sparkpost import TYPES as CLASS_OF_TYPE
from providers.sparkpost import parse, restore
from query_events.descriptions import CLASSES, FIELDS, OURS, TYPES, build_item
from query_events.documentation import ROUTES, build_event
from query_events.routing import READ_EVENTS, Caller, Request
from query_events.sparkpost_format import represent, represent_v1
from tests.integration.conftest import NOW

PAYLOADS = Path(__file__).parents[2] / "payloads/sparkpost/webhook-samples.json"
SEARCHES = ("/api/v1/events/message", "/api/v1/message-events/events")
# What the dialects show in another form than webhooks; the search gives an event without an id a number.
DIFFERENT = {"timestamp", "customer_id", "subaccount_id"}


def ask(path: str, **given: str) -> Any:
    """The results of a route, which asks no database."""

    def connect() -> Any:
        raise AssertionError("no database is needed")

    (route,) = [route for route in ROUTES if route.path == path]
    answer = route.answer(Request(connect, NOW, Caller("dev", frozenset({READ_EVENTS})), path, given=given))
    assert isinstance(answer, bytes)
    return json.loads(answer)["results"]


def read_payloads() -> list[Event]:
    """SparkPost's own samples."""
    return [event for event in parse(PAYLOADS.read_bytes()) if isinstance(event, Event)]


def test_every_type_and_class_is_described() -> None:
    """The description knows the types that the provider knows."""
    assert TYPES.keys() == CLASS_OF_TYPE.keys()
    assert CLASSES.keys() == {event_class for event_class, _ in CLASS_OF_TYPE.values()}


@pytest.mark.parametrize("show", [represent, represent_v1])
def test_every_field_of_real_events_is_described(show: Any) -> None:
    """Each field that the search gives for SparkPost's own samples is in the description of that type."""
    events = read_payloads()
    assert len(events) == 19
    for event in events:
        described = show(build_event(event.kind.provider_type))
        assert show(event).keys() - described.keys() == set(), event.kind.provider_type


@pytest.mark.parametrize("event_type", TYPES)
def test_samples_pass_through_the_parser(event_type: str) -> None:
    """A sample of webhooks is a whole regular event: parsed and restored it is the same."""
    item = build_item(event_type)
    (event,) = parse(json.dumps([item]).encode())
    assert isinstance(event, Event)
    assert event.kind.provider_type == event_type
    assert restore(event) == item
    assert "whole" not in (json.loads(event.detail).get("") or {})  # as is what the parser does not recognise


@pytest.mark.parametrize("event_type", TYPES)
def test_samples_of_the_search_say_what_the_webhooks_say(event_type: str) -> None:
    """Field by field the same value, but for the few that the dialects give another type."""
    ((sent),) = build_item(event_type)["msys"].values()
    for show in (represent, represent_v1):
        shown = show(build_event(event_type))
        assert {name: shown[name] for name in sent if name not in DIFFERENT} == {
            name: value for name, value in sent.items() if name not in DIFFERENT
        }
        assert shown.keys() - sent.keys() <= OURS.keys() | {"event_id", "recipient_domain"}
    result = represent(build_event(event_type))
    assert (result["timestamp"], result["customer_id"], result["subaccount_id"]) == ("2026-11-21T09:12:33.000Z", 1, 101)
    result = represent_v1(build_event(event_type))
    assert (result["timestamp"], result["customer_id"]) == ("2026-11-21T09:12:33.000+00:00", "1")


@pytest.mark.parametrize("path", SEARCHES)
def test_documentation_of_the_search_has_an_entry_for_each_type(path: str) -> None:
    """Each field has a description and a sample; the type's name and what happened stand among them."""
    entries = ask(f"{path}/documentation")
    samples = ask(f"{path}/samples")
    assert [entry["type"]["sampleValue"] for entry in entries] == [*TYPES]
    for entry, sample in zip(entries, samples, strict=True):
        assert {name: field["sampleValue"] for name, field in entry.items()} == sample | {
            "display_name": TYPES[sample["type"]][0],
            "event_description": TYPES[sample["type"]][1],
        }
        assert all(field["description"] for field in entry.values())


def test_documentation_of_webhooks_goes_by_class() -> None:
    """Class, its types, their fields, as in webhooks."""
    results = ask("/api/v1/webhooks/events/documentation")
    assert {name: [*entry["events"]] for name, entry in results.items()} == {
        name: [each for each in TYPES if CLASS_OF_TYPE[each][0] == name] for name in CLASSES
    }
    bounce = results["message_event"]["events"]["bounce"]
    assert (bounce["display_name"], bounce["description"]) == TYPES["bounce"]
    assert bounce["event"]["timestamp"] == {
        "description": FIELDS["timestamp"].description,
        "sampleValue": FIELDS["timestamp"].sample,
    }


@pytest.mark.parametrize("path", [*SEARCHES, "/api/v1/webhooks/events"])
def test_samples_can_be_chosen_by_type(path: str) -> None:
    """`events` lists types, separated by commas; without it there is one of each."""

    def find_type(sample: Json) -> str:
        ((fields),) = sample["msys"].values() if "msys" in sample else [sample]
        return str(fields["type"])

    assert [find_type(sample) for sample in ask(f"{path}/samples", events="click, bounce")] == ["bounce", "click"]
    assert [find_type(sample) for sample in ask(f"{path}/samples")] == [*TYPES]
    with pytest.raises(ApiError) as caught:
        ask(f"{path}/samples", events="bounce,bounced")
    assert (caught.value.status, caught.value.code) == (400, "1200")
    assert "no type bounced" in caught.value.description
