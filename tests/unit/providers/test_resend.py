"""Resend: what its payloads alone don't show. How Standard Webhooks are signed: test_standard_webhooks.py."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.events import Event, Unparseable
from providers import Delivery, UnverifiedError, find_provider
from providers.resend import find_batch_id, parse, restore, verify
from tests.unit.providers.payloads import flatten, list_payloads
from tests.unit.providers.standard_webhooks import Case, list_accepted, list_refused, sign

PAYLOADS = {payload.name.removeprefix("resend/"): payload for payload in list_payloads("resend")}
GOLDEN = PAYLOADS["bounced"]
REFUSED, ACCEPTED = list_refused(GOLDEN, "svix"), list_accepted(GOLDEN, "svix")
DELIVERY = Delivery(datetime(2026, 11, 21, 9, 30, tzinfo=UTC), "application/json", batch_id="msg_1")
ADA, GRACE, MARY = "ada@example.com", "grace@example.net", "mary@example.org"
REFUSAL = {"message": "The mail server refused it.", "type": "Permanent", "subType": "General"}


def parse_event(word: object, *, outer: dict[str, Any] | None = None, **data: Any) -> list[Event | Unparseable]:
    """What an event of this type becomes."""
    told = {"email_id": "56761188", "from": "orders@shop.example.com", "to": [ADA], "created_at": "2026-11-20 08:00+00"}
    body = {"type": word, "created_at": "2026-11-20T10:15:02.412Z", "data": told | data} | (outer or {})
    events = list(parse(json.dumps(body).encode(), DELIVERY))
    assert all(restore(event) == body for event in events if isinstance(event, Event))
    return events


def read_all(word: object, **data: Any) -> list[dict[str, Any]]:
    """The values of the events of one of this type."""
    events = parse_event(word, **data)
    assert all(isinstance(event, Event) for event in events), events
    return [flatten(event) for event in events if isinstance(event, Event)]


def read(word: object, **data: Any) -> dict[str, Any]:
    """The values of the one event of one of this type."""
    (values,) = read_all(word, **data)
    return values


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_what_is_refused(case: Case) -> None:
    """Every bit counts, and the time within five minutes; the log says what was wrong."""
    with pytest.raises(UnverifiedError, match=case.problem):
        verify(case.request, case.secrets, case.now)


@pytest.mark.parametrize("case", ACCEPTED.values(), ids=ACCEPTED)
def test_what_gets_through(case: Case) -> None:
    """Any live secret, any of the signatures listed, either name of the headers, within five minutes."""
    verify(case.request, case.secrets, case.now)
    assert find_batch_id(case.request) == GOLDEN.request.headers["svix-id"]


def test_event_sent_again_is_the_same() -> None:
    """An attempt has its own time and signature; the id in the header stays, and is the event's."""
    later = GOLDEN.now + timedelta(hours=10)
    again = sign(GOLDEN, "svix", later)
    assert again.headers["svix-signature"] != GOLDEN.request.headers["svix-signature"]
    (first,) = parse(GOLDEN.body, GOLDEN.delivery)
    (second,) = parse(again.body, Delivery(later, "application/json", batch_id=find_batch_id(again)))
    assert first == second
    assert isinstance(first, Event)
    assert first.event_id == GOLDEN.request.headers["svix-id"]


def test_without_the_header_the_whole_body_is_the_key() -> None:
    """In a trial without signatures there may be no id: the same body is the same event, another is not."""
    bare = DELIVERY._replace(batch_id="")
    ids = []
    for body in (GOLDEN.body, GOLDEN.body, GOLDEN.body.replace(b"02.412Z", b"02.413Z")):
        (event,) = parse(body, bare)
        assert isinstance(event, Event)
        ids.append(event.event_id)
    assert ids[0].startswith("hash:")
    assert ids[0] == ids[1] != ids[2]


def test_usual_answers() -> None:
    """Whatever is no 2xx is sent again for a day, so the usual answers lose nothing."""
    provider = find_provider("resend")
    assert provider is not None
    assert (provider.METHODS, tuple(provider.ANSWERS)) == (("POST",), (503, 401))


def test_time_is_the_events() -> None:
    """The outer time is when it happened; the one in `data` is when the mail was made."""
    assert read("email.opened")["occurred_at"] == "2026-11-20T10:15:02.412Z"


def test_one_event_for_each_recipient() -> None:
    """Resend does not say who opened: each recipient, once, has an event, with an id of its own."""
    events = read_all("email.opened", to=[ADA, f"Grace <{GRACE.upper()}>", ADA])
    assert [(event["recipient"], event["event_id"]) for event in events] == [
        (ADA, f"msg_1:{ADA}"),
        (GRACE, f"msg_1:{GRACE}"),
    ]


@pytest.mark.parametrize(
    ("to", "others", "text", "expected"),
    [
        ([ADA], {}, "user unknown", {ADA: "hard"}),
        ([ADA, GRACE], {}, "user unknown", {ADA: "undetermined", GRACE: "undetermined"}),
        ([ADA, GRACE], {}, f"550 5.1.1 <{GRACE}>: user unknown", {GRACE: "hard"}),
        ([ADA], {"cc": [GRACE]}, "user unknown", {ADA: "undetermined", GRACE: "undetermined"}),
        ([ADA], {"cc": [GRACE], "bcc": [MARY]}, f"<{MARY}>... no such user", {MARY: "hard"}),
        ([ADA], {"cc": None, "bcc": ""}, "user unknown", {ADA: "hard"}),
    ],
)
def test_nobody_is_given_up_for_another(
    to: list[str], others: dict[str, Any], text: str, expected: dict[str, str]
) -> None:
    """Copies have events of their own, which look alike: a bounce is hard only where it is plain whose it is."""
    bounce = REFUSAL | {"diagnosticCode": [f"smtp; {text}"]}
    events = read_all("email.bounced", to=to, bounce=bounce, **others)
    assert {event["recipient"]: event["bounce_kind"] for event in events} == expected


@pytest.mark.parametrize(
    ("bounce", "expected"),
    [
        (REFUSAL, ("bounced", "hard", "bounced")),
        (REFUSAL | {"message": "Any other wording"}, ("bounced", "hard", "bounced")),
        ({"type": "Permanent", "subType": "NoEmail"}, ("bounced", "hard", "invalid")),
        ({"type": "Transient", "subType": "General"}, ("bounced", "soft", "bounced")),
        ({"type": "Transient", "subType": "ContentRejected"}, ("bounced", "block", "blocked")),
        ({"type": "Undetermined", "subType": "Undetermined"}, ("bounced", "undetermined", "other")),
        ({"type": "Permanent", "subType": "Suppressed", "message": "x"}, ("rejected", "hard", "bounced")),
        ({"message": "only prose"}, ("bounced", "undetermined", "other")),
        (None, ("bounced", "undetermined", "other")),
        ([REFUSAL], ("bounced", "undetermined", "other")),
        ({"type": ["Permanent"], "subType": 7, "diagnosticCode": [None, {}]}, ("bounced", "undetermined", "other")),
    ],
)
def test_bounces_are_told_apart_by_words_not_by_prose(bounce: object, expected: tuple[str, str, str]) -> None:
    """The prose has changed before; type and subtype tell, and without them nothing is guessed."""
    kind = read("email.bounced", bounce=bounce)
    assert (kind["event_type"], kind["bounce_kind"], kind["reject_reason"]) == expected


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("Resend has suppressed sending to this address because it bounced earlier.", "bounced"),
        ("This address complained.", "spam"),
        ("Today's wording", "other"),
        (None, "other"),
    ],
)
def test_suppressions(message: object, reason: str) -> None:
    """A mail that was not tried says why in prose only; what is not recognised is another reason, not an error."""
    values = read("email.suppressed", suppressed={"message": message, "type": "OnAccountSuppressionList"})
    assert (values["event_type"], values["reject_reason"]) == ("rejected", reason)


@pytest.mark.parametrize(
    ("word", "data", "expected"),
    [
        ("email.scheduled", {}, "injected"),
        ("email.failed", {"failed": {"reason": "reached_daily_quota"}}, "failed"),
        ("email.delivery_delayed", {}, "deferred"),
        ("contact.updated", {"email": ADA, "to": None, "unsubscribed": True}, "unsubscribed"),
        ("contact.updated", {"email": ADA, "to": None, "unsubscribed": "true"}, "unknown"),
        ("suppression.created", {"email": ADA, "to": None}, "unknown"),
        ("email.teleported", {}, "unknown"),
    ],
)
def test_types(word: str, data: dict[str, Any], expected: str) -> None:
    """Types that came later have their meaning; a new one is unknown, not an error."""
    values = read(word, **data)
    assert (values["event_type"], values["provider_type"], values["recipient"]) == (expected, word, ADA)


@pytest.mark.parametrize(
    ("data", "tags", "metadata"),
    [
        ({"tags": {"category": "order"}}, None, {"category": "order"}),
        ({"tags": [{"name": "category", "value": "order"}, {"value": 1}, 7]}, None, {"category": "order"}),
        ({"tags": None}, None, None),
        ({"tags": "order"}, None, None),
        (
            {
                "tags": {"a": "1"},
                "headers": [
                    {"name": "X-Tags", "value": '["winter"]'},
                    {"name": "X-Metadata", "value": '{"order": 7}'},
                    {"name": "X-Metadata", "value": "{cut"},
                ],
            },
            ["winter"],
            {"a": "1", "order": 7},
        ),
    ],
)
def test_what_the_sender_attached(data: dict[str, Any], tags: object, metadata: object) -> None:
    """Resend's tags are names with values; the headers that some senders use say the rest."""
    values = read("email.sent", **data)
    assert (values.get("tags"), values.get("metadata")) == (tags, metadata)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON"),
        (b'{"type"', "not JSON"),
        (b"[]", "not an object"),
        (b"{}", "the event has no type"),
        (b'{"type":null,"created_at":"2026-11-20T10:15:02Z","data":{}}', "the event has no type"),
        (b'{"type":"email.sent","created_at":"2026-11-20T10:15:02Z"}', "no object data"),
        (b'{"type":"email.sent","created_at":"2026-11-20T10:15:02Z","data":["ada@example.com"]}', "no object data"),
        (b'{"type":"email.sent","created_at":"yesterday","data":{}}', "timestamp"),
        (b'{"type":"email.sent","data":{}}', "timestamp"),
        (b'{"type":"email.received","created_at":"2026-11-20T10:15:02Z","data":{}}', "email.received out of this"),
    ],
)
def test_wrong_shapes_are_set_aside(body: bytes, reason: str) -> None:
    """Each with what is wrong in words, without what it says; a mail that came in is called what it is."""
    (problem,) = parse(body, DELIVERY)
    assert isinstance(problem, Unparseable)
    assert reason in problem.reason
    assert "ada" not in problem.reason
    assert "yesterday" not in problem.reason


@pytest.mark.parametrize("to", [None, [], "", [None, 7, {}], {"a": 1}])
def test_event_without_a_recipient(to: object) -> None:
    """It is stored without one, not set aside."""
    values = read("email.sent", to=to)
    assert "recipient" not in values
    assert values["event_id"] == "msg_1"
