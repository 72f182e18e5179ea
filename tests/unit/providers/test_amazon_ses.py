"""Amazon SES: what its payloads alone don't show. How SNS proves itself: test_sns.py."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from common.events import Event, Unparseable
from providers import Delivery, UnverifiedError, find_provider
from providers.amazon_ses import NAME, handshake, parse, restore, verify
from tests.unit.providers.payloads import flatten, list_payloads, parse_payload

DELIVERY = Delivery(datetime(2026, 11, 21, 9, 30, tzinfo=UTC))
PAYLOADS = {payload.name.removeprefix("amazon_ses/"): payload for payload in list_payloads("amazon_ses")}
MAIL = {"timestamp": "2026-11-20T08:00:01.000Z", "messageId": "0107-1", "destination": ["ada@example.com"]}


def parse_message(message: object, message_id: str = "id-1", **envelope: Any) -> list[Event | Unparseable]:
    """What a notification with this message becomes."""
    text = message if isinstance(message, str) else json.dumps(message)
    body = {"Type": "Notification", "MessageId": message_id, "TopicArn": "arn:aws:sns:eu-1:1:t", "Message": text}
    return list(parse(json.dumps(body | envelope).encode(), DELIVERY))


def read(word: str, message_id: str = "id-1", *, mail: dict[str, Any] | None = None, **parts: Any) -> list[Event]:
    """The events of a message of SES's."""
    message = {"eventType": word, "mail": MAIL | (mail or {})} | parts
    events = parse_message(message, message_id)
    for event in events:
        assert isinstance(event, Event), event
        assert restore(event)["Message"] == message
    return [event for event in events if isinstance(event, Event)]


def read_one(word: str, **parts: Any) -> dict[str, Any]:
    """The values of the one event of a message of SES's."""
    (event,) = read(word, **parts)
    return flatten(event)


def test_one_bit_flipped() -> None:
    """A payload with another first character in its signature, or in its body, is refused."""
    golden = PAYLOADS["open"]
    verify(golden.request, golden.secrets, golden.now)
    body = golden.request.body
    at = body.index(b'"Signature" : "') + len(b'"Signature" : "')
    for changed in (
        body[:at] + (b"B" if body[at : at + 1] == b"A" else b"A") + body[at + 1 :],
        body.replace(b"ada@", b"bda@"),
    ):
        with pytest.raises(UnverifiedError, match="wrong signature"):
            verify(golden.request._replace(body=changed), golden.secrets, golden.now)


def test_what_sns_is_answered() -> None:
    """SNS takes any 4xx as delivered: what could not be stored is a 5xx. 401 makes it show its credentials."""
    provider = find_provider(NAME)
    assert provider is not None
    assert (provider.ANSWERS.unavailable, provider.ANSWERS.unauthorized) == (503, 401)
    assert handshake(PAYLOADS["open"].request, PAYLOADS["open"].secrets, PAYLOADS["open"].now) is None


def test_the_envelope_comes_back_without_its_proofs() -> None:
    """Subject, topic, id and time are kept; signature and the address that ends the subscription are not."""
    (event,) = parse_payload(PAYLOADS["open"])
    sent = json.loads(PAYLOADS["open"].body)
    item = restore(event)
    assert set(item) == {"Type", "MessageId", "TopicArn", "Subject", "Message", "Timestamp"}
    assert item | {"Message": ""} == {name: sent[name] for name in item} | {"Message": ""}
    assert item["Message"] == json.loads(sent["Message"])
    assert b"Unsubscribe" not in event.detail


def test_what_came_raw_comes_back_raw() -> None:
    """Without envelope the item is SES's object; the id from the header makes it the same event on a retry."""
    payload = PAYLOADS["raw_click"]
    (event,) = parse_payload(payload)
    assert restore(event) == json.loads(payload.body)
    (again,) = parse(payload.body, payload.delivery._replace(received_at=DELIVERY.received_at))
    assert again == event
    (without,) = parse(payload.body, DELIVERY)
    assert isinstance(without, Event)
    assert without.event_id.startswith("hash:")


def test_notification_and_event_publishing_are_one_event() -> None:
    """Both on: each delivery, bounce and complaint comes twice, under two ids of SNS, raw or not; it counts once."""
    (published,) = parse_payload(PAYLOADS["delivery"])
    (raw,) = parse_payload(PAYLOADS["raw_delivery"])
    assert (published.event_id, published.occurred_at) == (raw.event_id, raw.occurred_at)
    bounce = {"timestamp": "2026-11-20T08:00:02.000Z", "bouncedRecipients": [{"emailAddress": "ada@example.com"}]}
    (first,) = read("Bounce", "id-1", bounce=bounce)
    message = {"notificationType": "Bounce", "mail": MAIL, "bounce": bounce}
    (second,) = parse_message(message, "id-2")
    assert isinstance(second, Event)
    assert (first.event_id, first.occurred_at) == (second.event_id, second.occurred_at)
    (later,) = read("Bounce", bounce=bounce | {"timestamp": "2026-11-20T08:00:03.000Z"})
    (other,) = read("Bounce", bounce=bounce | {"bouncedRecipients": [{"emailAddress": "grace@example.org"}]})
    assert len({first.event_id, later.event_id, other.event_id}) == 3


def test_two_clicks_are_two_events() -> None:
    """SNS's id tells them apart, however alike they are; a retry has the same one."""
    click = {"timestamp": "2026-11-20T08:00:02.000Z", "link": "https://shop.example.com/"}
    first, second, retried = (read("Click", message_id, click=click)[0] for message_id in ("id-1", "id-2", "id-1"))
    assert first.event_id != second.event_id
    assert first == retried


def test_recipients_become_an_event_each() -> None:
    """Each with its own words, in whatever order they come, once even if named twice; addresses may carry a name."""
    recipients = [
        {"emailAddress": "Ada Lovelace <Ada@Example.com>", "diagnosticCode": "smtp; 550 5.1.1 unknown"},
        {"emailAddress": "grace@example.org", "status": "5.2.2"},
        {"emailAddress": "ada@example.com", "diagnosticCode": "smtp; 550 5.1.1 unknown"},
    ]
    bounce = {"timestamp": "2026-11-20T08:00:02.000Z", "bounceType": "Permanent", "bouncedRecipients": recipients}
    events = read("Bounce", bounce=bounce)
    assert [(event.recipient, event.kind.enhanced_status) for event in events] == [
        ("ada@example.com", "5.1.1"),
        ("grace@example.org", "5.2.2"),
    ]
    turned = read("Bounce", bounce=bounce | {"bouncedRecipients": recipients[::-1]})
    assert {event.event_id for event in turned} == {event.event_id for event in events}


def test_opens_do_not_say_whose_they_are() -> None:
    """One for each address that the mail went to, copies included."""
    mail = {"destination": ["ada@example.com", "grace@example.org"]}
    events = read("Open", mail=mail, open={"timestamp": "2026-11-20T08:00:02.000Z"})
    assert [event.event_id for event in events] == ["id-1:ada@example.com", "id-1:grace@example.org"]


@pytest.mark.parametrize("recipients", [None, [], "ada@example.com", [7], [None], [{}], [["a"]]])
def test_recipients_of_another_shape(recipients: Any) -> None:
    """The event is kept, with the mail's destination or without an address."""
    parts = {"timestamp": "2026-11-20T08:00:02.000Z", "complainedRecipients": recipients}
    values = read_one("Complaint", complaint=parts)
    assert values.get("recipient") in (None, "ada@example.com")
    values = read_one("Complaint", mail={"destination": recipients}, complaint={})
    assert "recipient" not in values


@pytest.mark.parametrize(
    ("bounce_type", "sub_type", "expected"),
    [
        ("Permanent", "General", ("bounced", "hard", "bounced")),
        ("Permanent", "NoEmail", ("bounced", "hard", "invalid")),
        ("Permanent", "Suppressed", ("rejected", "hard", "bounced")),
        ("Permanent", "OnAccountSuppressionList", ("rejected", "hard", "other")),
        ("Permanent", "UnsubscribedRecipient", ("rejected", "hard", "unsubscribed")),
        ("Transient", "General", ("bounced", "soft", "bounced")),
        ("Transient", "MailboxFull", ("bounced", "soft", "other")),
        ("Transient", "MessageTooLarge", ("bounced", "block", "blocked")),
        ("Transient", "AttachmentRejected", ("bounced", "block", "blocked")),
        ("Transient", "CustomTimeoutExceeded", ("bounced", "soft", "timed_out")),
        ("Undetermined", "Undetermined", ("bounced", "undetermined", "other")),
        ("New", "Newer", ("bounced", "undetermined", "other")),
        (None, ["x"], ("bounced", "undetermined", "other")),
    ],
)
def test_bounces(bounce_type: Any, sub_type: Any, expected: tuple[str, str, str]) -> None:
    """Hard, soft and refused for the content are told apart; what SES did not even try was rejected, not bounced."""
    values = read_one("Bounce", bounce={"bounceType": bounce_type, "bounceSubType": sub_type})
    assert (values["event_type"], values["bounce_kind"], values["reject_reason"]) == expected


@pytest.mark.parametrize(
    ("feedback", "sub_type", "expected"),
    [
        ("abuse", None, ("complained", "spam")),
        (None, None, ("complained", "spam")),
        ("fraud", None, ("complained", "spam")),
        ("not-spam", None, ("unknown", None)),
        (None, "OnAccountSuppressionList", ("rejected", "spam")),
    ],
)
def test_complaints(feedback: str | None, sub_type: str | None, expected: tuple[str, str | None]) -> None:
    """A report that a mail is no spam is no complaint; of one who complained before, the mail was not sent at all."""
    values = read_one("Complaint", complaint={"complaintFeedbackType": feedback, "complaintSubType": sub_type})
    assert (values["event_type"], values.get("reject_reason")) == expected


@pytest.mark.parametrize(
    ("delay", "expected"),
    [
        ("General", ("soft", None)),
        ("SpamDetected", ("block", "spam")),
        ("IPFailure", ("block", "blocked")),
        (None, ("soft", None)),
    ],
)
def test_delays_are_no_bounces(delay: str | None, expected: tuple[str, str | None]) -> None:
    """SES tries on: deferred, and why."""
    values = read_one("DeliveryDelay", deliveryDelay={"delayType": delay})
    assert (values["event_type"], values["bounce_kind"], values.get("reject_reason")) == ("deferred", *expected)


def preferences(everything: bool, **topics: str) -> dict[str, Any]:
    """Preferences as SES gives them."""
    status = [{"topicName": name, "subscriptionStatus": value} for name, value in topics.items()]
    return {"unsubscribeAll": everything, "topicSubscriptionStatus": status}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (preferences(False), preferences(True), "unsubscribed"),
        (preferences(True), preferences(False), "subscribed"),
        (preferences(False, news="OptIn"), preferences(False, news="OptOut"), "unsubscribed"),
        (preferences(False, news="OptOut"), preferences(False, news="OptIn"), "subscribed"),
        (preferences(False, a="OptOut", b="OptIn"), preferences(False, a="OptIn", b="OptOut"), "unsubscribed"),
        (preferences(False, news="OptIn"), preferences(False, news="OptIn"), "unknown"),
        (None, preferences(True), "unsubscribed"),
        (None, None, "unknown"),
        ([], {"topicSubscriptionStatus": [None, {"topicName": []}]}, "unknown"),
    ],
)
def test_preferences(old: Any, new: Any, expected: str) -> None:
    """Who leaves a topic or the whole list has unsubscribed; who comes back has subscribed; else nobody knows."""
    values = read_one("Subscription", subscription={"oldTopicPreferences": old, "newTopicPreferences": new})
    assert values["event_type"] == expected


def test_tags_and_headers_are_there_or_not() -> None:
    """Headers come only if SES is told to include them; message tags only by event publishing; neither is needed."""
    values = read_one("Send", mail={"tags": {"ses:operation": ["SendEmail"], "a": ["1"], "b": ["1", "2"], "c": None}})
    assert values["metadata"] == {"a": "1", "b": ["1", "2"], "c": None}
    assert "tags" not in values
    headers = [
        {"name": "x-tags", "value": '["one", 2, "three"]'},
        {"name": "X-Metadata", "value": "{"},
        {"name": "X-Metadata", "value": '{"a": 7}'},
        {"name": ["X-Tag"], "value": None},
        None,
    ]
    values = read_one("Send", mail={"tags": [], "headers": headers})
    assert (values["tags"], values["metadata"]) == (["one", "three"], {"a": 7})
    assert "metadata" not in read_one("Send", mail={"tags": "x", "headers": {}, "commonHeaders": None})


def test_words_that_nobody_knows() -> None:
    """An event of a new type is kept, with the time of the mail."""
    values = read_one("Snooze", snooze={"until": "tomorrow"})
    assert (values["event_type"], values["provider_type"]) == ("unknown", "Snooze")
    assert values["occurred_at"] == "2026-11-20T08:00:01.000Z"


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("The alarm is on", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ([], "neither eventType nor notificationType"),
        ({"eventType": 7, "mail": MAIL}, "neither eventType nor notificationType"),
        ({"notificationType": "Received", "mail": MAIL, "receipt": {}}, "a mail that SES received"),
        ({"eventType": "Send", "mail": None}, "timestamp is neither"),
        ({"eventType": "Open", "mail": MAIL, "open": {"timestamp": "noon"}}, "timestamp is neither"),
        ({"eventType": "Open", "mail": MAIL, "open": {"timestamp": [1e308]}}, "timestamp is neither"),
    ],
)
def test_wrong_shapes_are_set_aside(message: object, reason: str) -> None:
    """With a reason that a person understands."""
    (found,) = parse_message(message)
    assert isinstance(found, Unparseable)
    assert reason in found.reason


@pytest.mark.parametrize("body", [b"", b"[]", b'"x"', b"\xff", b"[" * 100_000, b'{"a":' * 100_000])
def test_bodies_that_are_nothing(body: bytes) -> None:
    """A whole body of the wrong shape is set aside too."""
    (found,) = parse(body, DELIVERY)
    assert isinstance(found, Unparseable)


def test_confirmations_are_no_events() -> None:
    """One that was stored, when anybody might send for a trial, is passed over."""
    assert list(parse(b'{"Type":"SubscriptionConfirmation","Token":"x"}', DELIVERY)) == []


def test_characters_that_postgres_cannot_hold() -> None:
    """They come escaped twice, in the text within the envelope; what was sent comes back."""
    message = {"eventType": "Send", "mail": MAIL | {"commonHeaders": {"subject": "a\0b\ud83d"}}}
    (event,) = parse_message(message)
    assert isinstance(event, Event)
    assert event.mailing.subject == "a\ufffdb\ufffd"
    assert restore(event)["Message"] == message
