"""SMTP.com: what its payloads alone don't show."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from common.events import Event, Unparseable
from providers import Delivery, UnverifiedError
from providers.smtp_com import parse, restore, verify
from tests.unit.providers.payloads import flatten, list_payloads

DELIVERY = Delivery(datetime(2026, 11, 21, 9, 30, tzinfo=UTC))
ITEM = {"id": "a", "rcpt_to": "ada@example.com", "tracking_id": "t-1", "time_started": 1795252320}


def parse_items(*items: object) -> list[Event | Unparseable]:
    """What the items of one body become."""
    return list(parse(json.dumps(items).encode(), DELIVERY))


def read(**fields: Any) -> dict[str, Any]:
    """The values of one event with these fields."""
    (event,) = parse_items(ITEM | fields)
    assert isinstance(event, Event), event
    assert restore(event) == ITEM | fields
    return flatten(event)


def make_key(event: Event | Unparseable) -> tuple[datetime, str]:
    """What tells an event that came again."""
    assert isinstance(event, Event), event
    return event.occurred_at, event.event_id


def test_wrong_credentials() -> None:
    """Without the secret, or with another one, nothing gets in, in the path neither."""
    payloads = {payload.name.partition("/")[2]: payload for payload in list_payloads("smtp_com")}
    by_header, by_path = payloads["delivered"], payloads["bounced"]
    for request in (by_header.request._replace(headers={}), by_path.request._replace(path_secret="Zt5-vgk2Qq")):
        with pytest.raises(UnverifiedError):
            verify(request, by_header.secrets, by_header.now)
    for payload in (by_header, by_path):
        verify(payload.request, payload.secrets[::-1], payload.now)
        with pytest.raises(UnverifiedError, match="wrong credentials"):
            verify(payload.request, payload.secrets[:1], payload.now)


def test_arguments_are_merged_flat() -> None:
    """What is no field of SMTP.com's was attached by the sender, whatever its name and value."""
    arguments = {"user_id": "4711", "arguments": {"a": 1}, "metadata": None, "": "x", "reason": "Hi"}
    assert read(event="opened", **arguments)["metadata"] == arguments
    assert "metadata" not in read(event="opened", resp_code=250)


@pytest.mark.parametrize(
    ("fields", "kind", "why"),
    [
        ({"event": "bounced", "resp_class": "hard"}, "hard", "bounced"),
        ({"event": "hard_bounce"}, "hard", "bounced"),
        ({"event": "Hard Bounced"}, "hard", "bounced"),
        ({"event": "bounced", "resp_class": "hard", "resp_code": 452}, "soft", "other"),
        ({"event": "bounced", "resp_class": "hard", "resp_msg": "550 4.2.2 full"}, "soft", "other"),
        ({"event": "soft-bounce", "resp_code": 550}, "soft", "other"),
        ({"event": "bounced", "resp_class": "spam-content"}, "block", "blocked"),
        ({"event": "bounced", "resp_msg": "550 5.1.1 No such user"}, "hard", "invalid"),
        ({"event": "bounced", "resp_msg": "550 5.7.1 Refused"}, "block", "blocked"),
        ({"event": "bounced", "resp_code": "421"}, "soft", "other"),
        ({"event": "bounced", "resp_code": 550}, "undetermined", "other"),
        ({"event": "bounced"}, "undetermined", "other"),
        ({"event": "bounced", "resp_code": [1], "resp_class": {}, "resp_msg": None}, "undetermined", "other"),
    ],
)
def test_kinds_of_bounces(fields: dict[str, Any], kind: str, why: str) -> None:
    """Only what is surely permanent is hard: a temporary reply never is, nor a permanent one that may be a block."""
    values = read(**fields)
    assert (values["event_type"], values["bounce_kind"], values["reject_reason"]) == ("bounced", kind, why)


def test_failed_is_a_bounce_where_a_server_replied() -> None:
    """Else the message was never handed on."""
    assert read(event="failed", resp_code=550)["event_type"] == "bounced"
    assert read(event="failed", resp_code=0)["event_type"] == "failed"
    assert read(event="failed")["event_type"] == "failed"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Recipient unsubscribed", "unsubscribed"),
        ("Complained before", "spam"),
        ("Hard bounced earlier", "bounced"),
        ("Something new", "other"),
        (None, "other"),
    ],
)
def test_reasons_of_drops(text: str | None, why: str) -> None:
    """The text names the list that the address is on."""
    assert read(event="dropped", resp_msg=text)["reject_reason"] == why


def test_time_is_that_of_the_attempts_end() -> None:
    """Its beginning where the end is missing."""
    assert read(event="delivered", time_finished=1795252321)["occurred_at"] == "2026-11-21T09:12:01.000Z"
    assert read(event="delivered", time_finished=None)["occurred_at"] == "2026-11-21T09:12:00.000Z"


def test_copies_have_one_key() -> None:
    """A batch that comes again later, regrouped, holds the same events; another click is another event."""
    click = {"event": "clicked", **ITEM}
    first = parse_items(click, click | {"id": "b"})
    again = parse_items(click | {"id": "b"}, dict(reversed(click.items())))
    assert [make_key(event) for event in first] == [make_key(event) for event in again[::-1]]
    assert len({make_key(event) for event in first}) == 2
    bare = {name: value for name, value in click.items() if name != "id"}
    bare_events = parse_items(bare, dict(reversed(bare.items())), bare | {"url": "https://example.com/2"})
    assert len({make_key(event) for event in bare_events}) == 2


def test_unknown_words_are_kept() -> None:
    """An event that nobody has heard of is stored as such."""
    values = read(event="teleported")
    assert (values["event_type"], values["provider_type"]) == ("unknown", "teleported")


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (7, "the event is not an object"),
        (ITEM, "the event has no field event"),
        (ITEM | {"event": ["open"]}, "the event has no field event"),
        ({"event": "opened", "id": "a"}, "the event has neither time_finished nor time_started"),
        (ITEM | {"event": "opened", "time_started": "soon"}, "timestamp is neither"),
        (ITEM | {"event": "opened", "time_started": 10**30}, "timestamp is neither"),
    ],
)
def test_wrong_shapes_are_set_aside(item: object, reason: str) -> None:
    """Each with what is wrong; the events beside it load."""
    good = ITEM | {"event": "opened"}
    before, bad, after = parse_items(good, item, good)
    assert isinstance(before, Event)
    assert isinstance(after, Event)
    assert isinstance(bad, Unparseable)
    assert bad.reason.startswith(reason)


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b"\xff", b"[" * 100_000])
def test_wrong_bodies_are_set_aside(body: bytes) -> None:
    """A body that is no array is set aside as a whole."""
    (bad,) = parse(body, DELIVERY)
    assert isinstance(bad, Unparseable)
    assert bad.position is None
