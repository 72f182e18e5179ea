"""Brevo: what its payloads alone don't show."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from common.events import Event, Unparseable
from providers import Delivery, UnverifiedError, find_provider
from providers.brevo import parse, restore, verify
from tests.unit.providers.payloads import flatten, list_payloads

DELIVERY = Delivery(datetime(2026, 11, 21, 9, 30, tzinfo=UTC), "application/json")
PAYLOADS = {payload.name.removeprefix("brevo/"): payload for payload in list_payloads("brevo")}
CLICK: dict[str, Any] = {
    "event": "click",
    "email": "ada@example.com",
    "id": 26224,
    "message-id": "<202611210938.1@smtp-relay.mailin.fr>",
    "ts_epoch": 1795252334567,
    "link": "https://shop.example.com/a",
}
OPTED_IN: dict[str, Any] = {"event": "list_addition", "email": "ada@example.com", "id": 1, "ts": 1795252334}
WAYS = {"path": "delivered", "basic": "batch", "bearer": "hard_bounce", "header": "soft_bounce"}


def parse_value(value: object) -> list[Event | Unparseable]:
    """What a body with this JSON becomes."""
    return list(parse(json.dumps(value).encode(), DELIVERY))


def read_event(item: dict[str, Any]) -> Event:
    """The event of an object, which it gives back whole."""
    (event,) = parse_value(item)
    assert isinstance(event, Event), event
    assert restore(event) == item
    return event


def read(**fields: Any) -> dict[str, Any]:
    """The values of a click with these fields; "absent": without."""
    return flatten(read_event({name: value for name, value in (CLICK | fields).items() if value != "absent"}))


@pytest.mark.parametrize("name", WAYS.values(), ids=WAYS)
def test_every_way_of_proof(name: str) -> None:
    """Basic authentication, the path, a bearer's token, a header of one's own: any live secret, and no other."""
    payload = PAYLOADS[name]
    verify(payload.request, payload.secrets, payload.now)
    verify(payload.request, payload.secrets[::-1], payload.now)
    for secrets in ([], payload.secrets[:1]):
        with pytest.raises(UnverifiedError):
            verify(payload.request, secrets, payload.now)
    bare = payload.request._replace(headers={}, path_secret="")
    with pytest.raises(UnverifiedError, match="no basic"):
        verify(bare, payload.secrets, payload.now)


@pytest.mark.parametrize(
    ("headers", "problem"),
    [
        ({"authorization": "Bearer Qe4-bt9Rz2"}, "wrong credentials"),
        ({"authorization": "Bearer brevo-hook:Qe4-bt9Rz1"}, "wrong credentials"),
        ({"authorization": "Bearer"}, "wrong credentials"),
        ({"authorization": "Bearer \ud800"}, "wrong credentials"),
        ({"authorization": "Bearer X-Token: t0ken"}, "wrong credentials"),
        ({"authorization": "Basic !"}, "malformed base64"),
        ({"authorization": "Basic WC1Ub2tlbjogdDBrZW4="}, "wrong credentials"),
        ({"x-token": "t0keN"}, "no basic"),
        ({"x-token": ""}, "no basic"),
        ({"x-token": "\ud800"}, "no basic"),
        ({"x-empty": ""}, "no basic"),
    ],
)
def test_wrong_proof(headers: dict[str, str], problem: str) -> None:
    """Each way demands its own form: a header's secret is no password, an empty one is none at all."""
    secrets = ["brevo-hook:Qe4-bt9Rz1", "X-Token: t0ken", "X-Empty: "]
    with pytest.raises(UnverifiedError, match=problem):
        verify(PAYLOADS["batch"].request._replace(headers=headers), secrets, DELIVERY.received_at)
    verify(PAYLOADS["batch"].request._replace(headers={"x-token": "t0ken"}), secrets, DELIVERY.received_at)


def test_errors_make_it_send_again() -> None:
    """Any 4xx and 5xx discards the event, but for 429."""
    provider = find_provider("brevo")
    assert provider is not None
    assert set(provider.ANSWERS) == {429}


@pytest.mark.parametrize(
    ("clocks", "expected"),
    [
        ({"ts_epoch": 1795252334567}, "2026-11-21T09:12:14.567Z"),
        ({"ts_epoch": 1795252334}, "2026-11-21T09:12:14.000Z"),
        ({"ts_epoch": "1795252334567"}, "2026-11-21T09:12:14.567Z"),
        ({"ts_epoch": "1795252334"}, "2026-11-21T09:12:14.000Z"),
        ({"ts_epoch": 1795252334567.0}, "2026-11-21T09:12:14.567Z"),
        ({"ts_event": 1, "ts": 2, "date": "2026-11-21 10:12:14"}, "2026-11-21T09:12:14.567Z"),
        ({"ts_epoch": None, "ts_event": 1795252334, "ts": 1795255934}, "2026-11-21T09:12:14.000Z"),
        ({"ts_epoch": "", "ts": 1795252334, "date": "2026-11-21 10:12:14"}, "2026-11-21T09:12:14.000Z"),
        ({"ts_epoch": "absent", "date": "2026-11-21 10:12:14"}, "2026-11-21T10:12:14.000Z"),
        ({"ts_epoch": "absent", "date_event": "2026-11-21 10:12:14"}, "2026-11-21T10:12:14.000Z"),
    ],
)
def test_clocks(clocks: dict[str, Any], expected: str) -> None:
    """Of several clocks the one that is UTC counts, in milliseconds or, against the documentation, in seconds."""
    assert read(**clocks)["occurred_at"] == expected


@pytest.mark.parametrize("value", ["soon", -(10**30), 10**18, 1e300, [], True, "9" * 40, "²"])
def test_times_of_no_known_magnitude(value: object) -> None:
    """Neither seconds nor milliseconds: set aside, not stored under a date that nobody meant."""
    (problem,) = parse_value(CLICK | {"ts_epoch": value})
    assert isinstance(problem, Unparseable)


@pytest.mark.parametrize(
    ("fields", "tags"),
    [
        ({"tags": ["a", "b"], "tag": "c"}, ["a", "b"]),
        ({"tags": "a"}, ["a"]),
        ({"tag": "Order confirmation"}, ["Order confirmation"]),
        ({"tag": '["a","b"]'}, ["a", "b"]),
        ({"tag": "[draft"}, ["[draft"]),
        ({"tags": [], "tag": ""}, None),
        ({"tags": None, "tag": None}, None),
        ({"tags": [None, "", "a"]}, ["a"]),
    ],
)
def test_tags(fields: dict[str, Any], tags: list[str] | None) -> None:
    """A list, a single one (which may be the template's name), or the text of a list: always a list of texts."""
    assert read(**fields).get("tags") == tags


@pytest.mark.parametrize(
    ("custom", "metadata"),
    [
        ('{"order": 7}', {"order": 7}),
        ("some_custom_header", {"X-Mailin-custom": "some_custom_header"}),
        ("a:1|b:2", {"X-Mailin-custom": "a:1|b:2"}),
        ('{"order": 7, "na', {"X-Mailin-custom": '{"order": 7, "na'}),
        ("[1]", {"X-Mailin-custom": "[1]"}),
        ({"order": 7}, {"order": 7}),
        (7, {"X-Mailin-custom": 7}),
        ("{}", None),
        ("", None),
        (None, None),
    ],
)
def test_what_the_sender_attached(custom: object, metadata: object) -> None:
    """JSON if the sender sent JSON, else any text; it was once cut off in the middle."""
    assert read(**{"X-Mailin-custom": custom}).get("metadata") == metadata


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("unique_opened", ("opened", False, True)),
        ("opened", ("opened", False, False)),
        ("proxy_open", ("opened", True, False)),
        ("unique_proxy_open", ("opened", True, True)),
        ("unique_proxy_opened", ("opened", True, True)),
        ("complaint", ("complained", False, False)),
        ("hardBounce", ("bounced", False, False)),
        ("error", ("failed", False, False)),
        ("reactivated", ("unknown", False, False)),
    ],
)
def test_types_are_told_apart(word: str, expected: tuple[str, bool, bool]) -> None:
    """Words came unannounced and in several spellings; a new one is unknown, not an error."""
    kind = read_event(CLICK | {"event": word}).kind
    assert (kind.event_type, kind.machine_open, kind.first_open) == expected
    assert kind.provider_type == word


def test_batches() -> None:
    """A webhook may be set to send arrays; an event is the same alone, and goes on behind a wrong one."""
    (alone,) = parse_value(CLICK)
    first, problem, last = parse_value([CLICK, {"event": "click"}, CLICK | {"email": "grace@example.net"}])
    assert first == alone
    assert isinstance(problem, Unparseable)
    assert problem.position == 1
    assert isinstance(last, Event)
    assert last.position == 2
    assert parse_value([]) == []


def test_same_event_again() -> None:
    """Without an id: also through a second webhook it is the same, and any other click or message is another event."""
    first = read_event(CLICK)
    assert first.event_id.startswith("hash:")
    assert read_event(CLICK | {"id": 5, "ts": 7, "template_id": 1}).event_id == first.event_id
    others: list[dict[str, Any]] = [
        {"ts_epoch": 1795252334568},
        {"link": "https://shop.example.com/b"},
        {"email": "grace@example.net"},
        {"message-id": "<202611210938.2@smtp-relay.mailin.fr>"},
        {"event": "opened"},
        {"ip": "192.0.2.1"},
        {"user_agent": "Thunderbird"},
    ]
    assert len({first.event_id, *(read_event(CLICK | other).event_id for other in others)}) == len(others) + 1
    campaign: dict[str, Any] = {
        "event": "click",
        "email": "ada@example.com",
        "camp_id": 7,
        "ts_event": 1795252334,
        "URL": "a",
    }
    assert read_event(campaign).event_id != read_event(campaign | {"URL": "b"}).event_id
    assert read_event(campaign).event_id != read_event(campaign | {"camp_id": 8}).event_id


def test_contacts_are_known_by_all_they_say() -> None:
    """What belongs to no message has no id either: all but the webhook's own id counts."""
    first = read_event(OPTED_IN | {"list_id": [3]})
    assert read_event(OPTED_IN | {"list_id": [3], "id": 2}).event_id == first.event_id
    assert read_event(OPTED_IN | {"list_id": [4]}).event_id != first.event_id


def test_one_event_for_each_contact() -> None:
    """Where a webhook names several addresses, each has an event of its own, and each gives the whole back."""
    item = OPTED_IN | {"event": "contact_deleted", "email": ["Ada@example.com", "grace@example.net"]}
    events = [event for event in parse_value(item) if isinstance(event, Event)]
    assert [event.recipient for event in events] == ["ada@example.com", "grace@example.net"]
    assert len({event.event_id for event in events}) == 2
    assert [restore(event) for event in events] == [item, item]
    (nobody,) = parse_value(item | {"email": []})
    assert isinstance(nobody, Event)
    assert nobody.recipient is None


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("text", "neither an event nor an array"),
        ([[]], "not an object"),
        ({}, "the event has no event"),
        (CLICK | {"event": {"a": 1}}, "the event has no event"),
        ({"event": "click", "email": "ada@example.com"}, "the event has no time"),
        ({"event": "click", "email": "ada@example.com", "ts_event": {}}, "timestamp"),
        ({"items": [{"From": {"Address": "ada@example.com"}}]}, "mails that came in"),
    ],
)
def test_wrong_shapes_are_set_aside(value: object, reason: str) -> None:
    """Each with what is wrong in words, without what it says; a mail that came in is called what it is."""
    (problem,) = parse_value(value)
    assert isinstance(problem, Unparseable)
    assert reason in problem.reason
    assert "ada" not in problem.reason
