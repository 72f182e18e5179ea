"""Loops: what its payloads alone don't show. How Standard Webhooks are signed: test_standard_webhooks.py."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.events import Event, Unparseable
from providers import Delivery, UnverifiedError, find_provider
from providers.loops import TYPES, find_batch_id, parse, restore, verify
from tests.unit.providers.payloads import flatten, list_payloads
from tests.unit.providers.standard_webhooks import Case, list_accepted, list_refused, sign

PAYLOADS = {payload.name.removeprefix("loops/"): payload for payload in list_payloads("loops")}
GOLDEN = PAYLOADS["soft_bounced"]
REFUSED, ACCEPTED = list_refused(GOLDEN, "webhook"), list_accepted(GOLDEN, "webhook")
DELIVERY = Delivery(datetime(2026, 11, 21, 9, 30, tzinfo=UTC), "application/json", batch_id="evt_1")
ITEM: dict[str, Any] = {
    "eventName": "email.clicked",
    "eventTime": 1795168622,
    "webhookSchemaVersion": "1.0.0",
    "contactIdentity": {"id": "cm4ittmhq", "email": "ada@example.com", "userId": None},
    "email": {"id": "cm4t1sseg", "emailMessageId": "cm4ittv1v", "subject": "Winter"},
}


def read_event(**fields: Any) -> Event:
    """The event of a click with these fields, which it gives back whole."""
    (event,) = parse(json.dumps(ITEM | fields).encode(), DELIVERY)
    assert isinstance(event, Event), event
    assert restore(event) == ITEM | fields
    return event


def read(**fields: Any) -> dict[str, Any]:
    """The values of a click with these fields."""
    return flatten(read_event(**fields))


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_what_is_refused(case: Case) -> None:
    """Every bit counts, and the time within five minutes; the log says what was wrong."""
    with pytest.raises(UnverifiedError, match=case.problem):
        verify(case.request, case.secrets, case.now)


@pytest.mark.parametrize("case", ACCEPTED.values(), ids=ACCEPTED)
def test_what_gets_through(case: Case) -> None:
    """Any live secret, any of the signatures listed, either name of the headers, within five minutes."""
    verify(case.request, case.secrets, case.now)
    assert find_batch_id(case.request) == GOLDEN.request.headers["webhook-id"]


def test_event_sent_again_is_the_same() -> None:
    """An attempt has its own time and signature; the id in the header stays, and is the event's."""
    later = GOLDEN.now + timedelta(hours=10)
    again = sign(GOLDEN, "webhook", later)
    assert again.headers["webhook-signature"] != GOLDEN.request.headers["webhook-signature"]
    (first,) = parse(GOLDEN.body, GOLDEN.delivery)
    (second,) = parse(again.body, Delivery(later, "application/json", batch_id=find_batch_id(again)))
    assert first == second
    assert isinstance(first, Event)
    assert first.event_id == GOLDEN.request.headers["webhook-id"]


def test_without_the_header_the_whole_body_is_the_key() -> None:
    """In a trial without signatures there may be no id: the same body is the same event, a later click is not."""
    bare = DELIVERY._replace(batch_id="")
    ids = []
    for time in (1795168622, 1795168622, 1795168623):
        (event,) = parse(json.dumps(ITEM | {"eventTime": time}).encode(), bare)
        assert isinstance(event, Event)
        ids.append(event.event_id)
    assert ids[0].startswith("hash:")
    assert ids[0] == ids[1] != ids[2]


def test_usual_answers() -> None:
    """How it takes which answer is not known: the usual ones."""
    provider = find_provider("loops")
    assert provider is not None
    assert (provider.METHODS, tuple(provider.ANSWERS)) == (("POST",), (503, 401))


def test_call_that_tests_a_webhook_is_no_event() -> None:
    """The console's test is signed like the rest, gets 200, and leaves nothing behind."""
    payload = PAYLOADS["test"]
    verify(payload.request, payload.secrets, payload.now)
    assert list(parse(payload.body, payload.delivery)) == []


@pytest.mark.parametrize("word", sorted(TYPES))
def test_every_type_has_a_payload(word: str) -> None:
    """Each word that is known is shown in a whole request."""
    names = {json.loads(payload.body)["eventName"] for payload in PAYLOADS.values()}
    assert word in names


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("email.softBounced", ("bounced", "soft", "other")),
        ("email.hardBounced", ("bounced", "hard", "bounced")),
        ("email.spamReported", ("complained", None, "spam")),
        ("contact.unsubscribed", ("unsubscribed", None, None)),
        ("contact.mailingList.subscribed", ("subscribed", None, None)),
        ("contact.created", ("unknown", None, None)),
        ("email.teleported", ("unknown", None, None)),
    ],
)
def test_types_are_told_apart(word: str, expected: tuple[str, str | None, str | None]) -> None:
    """Hard and soft differ; what only concerns a contact is unknown, and so is a new word: neither is an error."""
    kind = read_event(eventName=word).kind
    assert (kind.event_type, kind.bounce_kind, kind.reject_reason) == expected
    assert kind.provider_type == word


def test_columns() -> None:
    """The mail's own id is that of the message; what sent it gives the campaign, by whichever name it has."""
    assert read()["message_id"] == "cm4t1sseg"
    campaign = read(campaignId="c1", campaignName="Winter sale")
    assert (campaign["transmission_id"], campaign["campaign"]) == ("c1", "Winter sale")
    loop = read(loopId="l1", loopName="Welcome")
    assert (loop["transmission_id"], loop["campaign"]) == ("l1", "Welcome")
    single = read(transactionalId="t1", transactionalName="Receipt")
    assert (single["template"], single["campaign"]) == ("t1", "Receipt")


@pytest.mark.parametrize("contact", [None, {}, {"email": None}, {"email": ["ada@example.com"]}, "ada@example.com", []])
def test_event_without_a_recipient(contact: object) -> None:
    """It is stored without one, not set aside."""
    assert "recipient" not in read(contactIdentity=contact)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON"),
        (b"[]", "not an object"),
        (b"{}", "no eventName"),
        (json.dumps(ITEM | {"eventName": ["email.sent"]}).encode(), "no eventName"),
        (json.dumps(ITEM | {"eventTime": None}).encode(), "timestamp"),
        (json.dumps(ITEM | {"eventTime": 1795168622000}).encode(), "timestamp"),
        (json.dumps(ITEM | {"eventTime": "ada, yesterday"}).encode(), "timestamp"),
    ],
)
def test_wrong_shapes_are_set_aside(body: bytes, reason: str) -> None:
    """Each with what is wrong in words, without what it says; a time in milliseconds is not taken for seconds."""
    (problem,) = parse(body, DELIVERY)
    assert isinstance(problem, Unparseable)
    assert reason in problem.reason
    assert "ada" not in problem.reason
