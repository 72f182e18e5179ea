"""Customer.io: what its payloads alone don't show."""

import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from common.event_keys import make_event_key
from common.events import Event, Unparseable
from common.objects import Bucket
from common.secrets import NamedSecrets
from providers import Delivery, UnverifiedError, WebhookRequest
from providers.customerio import parse, restore, verify
from tests.unit.providers.payloads import flatten
from tests.unit.webhook_listener.fakes import FakeBucket, FakeSecrets
from webhook_listener.receiving import Receiver

NOW = datetime(2026, 11, 21, 9, 29, 5, tzinfo=UTC)
DELIVERY = Delivery(NOW)
BODY = (
    b'{"metric":"delivered","object_type":"email","timestamp":1795253340,'
    b'"event_id":"01KAHZ8G7M4Q2XN9T5B3C00001","data":{"recipient":"ada@example.com"}}'
)
# Of `v0:1795253344:` and the body, by `openssl dgst -sha256 -hmac`.
TIME = "1795253344"
KEY, SIGNATURE = "the current key", "1aee3b5eff8207a50e94c39184756b38dbb3862c7af7f7a082411d477c7a1521"
OLDER, SIGNED_BY_OLDER = "an older key", "588061627132f6febed2e948a2211d291a8cb7cb6f734a20913bc8399ce405f1"
HEADERS = {"x-cio-timestamp": TIME, "x-cio-signature": SIGNATURE}
ITEM = json.loads(BODY)


def check(
    headers: dict[str, str] = HEADERS,
    body: bytes = BODY,
    secrets: tuple[str, ...] = (KEY,),
    late: timedelta = timedelta(0),
) -> None:
    """Checks a webhook."""
    verify(WebhookRequest("customerio", "POST", headers, body), secrets, NOW + late)


def read(item: dict[str, Any]) -> dict[str, Any]:
    """The values of an item's event."""
    (event,) = parse(json.dumps(item).encode(), DELIVERY)
    assert isinstance(event, Event), event
    assert restore(event) == item
    return flatten(event)


def read_data(metric: str, /, **data: Any) -> dict[str, Any]:
    """The values of an event about a mail."""
    return read(ITEM | {"metric": metric, "data": data})


def test_golden_signature() -> None:
    """It covers version, time and body, under any of the live keys, while they are rotated."""
    check()
    check(HEADERS | {"x-cio-signature": SIGNATURE.upper()})
    check(secrets=(OLDER, KEY))
    check(HEADERS | {"x-cio-signature": SIGNED_BY_OLDER}, secrets=(KEY, OLDER))


@pytest.mark.parametrize(
    ("headers", "body", "secrets"),
    [
        (HEADERS | {"x-cio-signature": "0" + SIGNATURE[1:]}, BODY, (KEY,)),
        (HEADERS | {"x-cio-signature": SIGNED_BY_OLDER}, BODY, (KEY,)),
        (HEADERS | {"x-cio-timestamp": "1795253345"}, BODY, (KEY,)),
        (HEADERS | {"x-cio-timestamp": "01795253344"}, BODY, (KEY,)),
        (HEADERS, BODY + b"\n", (KEY,)),
        (HEADERS, BODY.replace(b"ada", b"adb"), (KEY,)),
        (HEADERS, BODY, (OLDER,)),
        (HEADERS, BODY, ()),
    ],
)
def test_any_change_is_refused(headers: dict[str, str], body: bytes, secrets: tuple[str, ...]) -> None:
    """One bit of the signature, the time or the body, another key, or none."""
    with pytest.raises(UnverifiedError, match="wrong credentials"):
        check(headers, body, secrets)


@pytest.mark.parametrize("name", list(HEADERS))
@pytest.mark.parametrize("value", [None, "", " ", "ä", "zz", "v0=00", "-1", "1e9", "9" * 30, "\ud800", "1795253344.5"])
def test_missing_and_malformed_headers(name: str, value: str | None) -> None:
    """Whatever stands in a header, or nothing: refused, and no other error."""
    headers = {header: text for header, text in (HEADERS | {name: value}).items() if text is not None}
    with pytest.raises(UnverifiedError):
        check(headers)


def test_window_is_as_long_as_the_retries() -> None:
    """A webhook that was signed once and tried for seven days still gets in, or it would hold back all behind it."""
    check(late=timedelta(days=7, hours=12))
    for late in (timedelta(days=8, seconds=2), -timedelta(days=8, seconds=2)):
        with pytest.raises(UnverifiedError, match="too long ago"):
            check(late=late)


@pytest.mark.parametrize("body", [b"", b"null", b"not json", b"\xff\xfe", b'{"metric":7}', b"[" * 100_000])
def test_poisoned_event_is_stored_and_blocks_nothing(body: bytes) -> None:
    """A valid sender is told 200 whatever it sends: what is refused is tried again, before all that follows."""
    signature = hmac.new(KEY.encode(), b"v0:" + TIME.encode() + b":" + body, "sha256").hexdigest()
    bucket = FakeBucket()
    receiver = Receiver(
        bucket=cast("Bucket", bucket),
        secrets=cast("NamedSecrets", FakeSecrets(customerio=[KEY])),
        clock=lambda: NOW,
    )
    request = WebhookRequest("customerio", "POST", HEADERS | {"x-cio-signature": signature}, body)
    assert receiver.receive(request, "request-1").status == 200
    ((stored, _),) = bucket.objects.values()
    assert stored == body
    (problem,) = parse(body, DELIVERY)
    assert isinstance(problem, Unparseable)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("550 5.1.1 No such user", ("bounced", "hard", "invalid", 550)),
        ("552 5.2.2 Over quota", ("bounced", "soft", "other", 552)),
        ("421 4.7.0 Try again later", ("bounced", "soft", "other", 421)),
        ("554 5.7.1 Blocked", ("bounced", "block", "blocked", 554)),
        ("gone", ("bounced", "undetermined", "other", None)),
        (None, ("bounced", "undetermined", "other", None)),
        ({"a": 1}, ("bounced", "undetermined", "other", None)),
    ],
)
def test_bounces_are_told_apart_by_their_text(text: object, expected: tuple[str, str, str, int | None]) -> None:
    """Customer.io has one word for all; only what surely is for good becomes hard."""
    values = read_data("bounced", failure_message=text)
    assert (*(values[name] for name in ("event_type", "bounce_kind", "reject_reason")), values.get("smtp_code")) == (
        expected
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Address BOUNCED before", "bounced"),
        ("marked as spam", "spam"),
        ("unsubscribed", "unsubscribed"),
        (None, "other"),
    ],
)
def test_reasons_of_drops(text: str | None, why: str) -> None:
    """The text names the list that the address is on."""
    values = read_data("dropped", failure_message=text)
    assert (values["event_type"], values["reject_reason"]) == ("rejected", why)


def test_machine_opens() -> None:
    """What was fetched ahead was opened by a machine; through a proxy a person may have opened it; a click is none."""
    assert read_data("opened", prefetched=True)["machine_open"]
    assert read_data("opened", machine=True)["machine_open"]
    for values in (read_data("opened", proxied=True, prefetched=False), read_data("clicked", machine=True)):
        assert "machine_open" not in values
    assert read_data("human_opened")["event_type"] == "unknown"


@pytest.mark.parametrize("channel", ["push", "sms", "in_app", "slack", "webhook", "whatsapp", "smoke_signal"])
@pytest.mark.parametrize("metric", ["sent", "bounced", "unsubscribed", "opened"])
def test_only_mails_are_events_of_mails(channel: str, metric: str) -> None:
    """Other channels are kept whole and say nothing of the mails of the person, whose address they may tell."""
    data = {"recipient": "+15555550121", "identifiers": {"email": "Ada@example.com"}, "failure_message": "550 5.1.1 x"}
    values = read(ITEM | {"object_type": channel, "metric": metric, "data": data})
    assert values["event_type"] == "unknown"
    assert values["provider_type"] == f"{channel}/{metric}"
    assert values["recipient"] == "ada@example.com"
    assert not values.keys() & {"bounce_kind", "smtp_code", "reject_reason"}
    without = read(ITEM | {"object_type": channel, "metric": metric, "data": {"recipient": "+15555550121"}})
    assert "recipient" not in without


def test_customers_subscriptions() -> None:
    """They are about all mail to her; other facts about a customer are unknown."""
    item = ITEM | {"object_type": "customer", "data": {"email_address": "Ada@example.com"}}
    for metric, expected in (("unsubscribed", "unsubscribed"), ("subscribed", "subscribed"), ("bounced", "unknown")):
        values = read(item | {"metric": metric})
        assert (values["event_type"], values["recipient"]) == (expected, "ada@example.com")


def make_key(item: dict[str, Any]) -> tuple[datetime, int]:
    """What tells an event that came again."""
    (event,) = parse(json.dumps(item).encode(), DELIVERY)
    assert isinstance(event, Event), event
    return event.occurred_at, make_event_key("customerio", event.event_id)


def test_retries_are_the_same_event() -> None:
    """By its id; where it has none, by what it says, in any order of names. Another click is another event."""
    click = ITEM | {"metric": "clicked", "data": {"delivery_id": "a", "href": "https://example.com/1"}}
    assert make_key(click) == make_key(dict(reversed(click.items()))) == make_key(click | {"object_id": "b"})
    assert make_key(click) != make_key(click | {"event_id": "01KAHZ8G7M4Q2XN9T5B3C00002"})
    bare = {name: value for name, value in click.items() if name != "event_id"}
    assert make_key(bare) == make_key(dict(reversed(bare.items())))
    assert make_key(bare) != make_key(bare | {"data": {"delivery_id": "a", "href": "https://example.com/2"}})


def test_wrong_types() -> None:
    """What is not as expected leaves its column empty; an unknown word is kept."""
    values = read_data("teleported", recipient=7, identifiers=[], subject={}, href=[], delivery_id=None, campaign_id={})
    assert values["event_type"] == "unknown"
    assert not values.keys() & {"metadata", "subject", "url", "message_id", "campaign"}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"metric": None}, "no object_type and metric"),
        ({"object_type": ""}, "no object_type and metric"),
        ({"object_type": ["email"]}, "no object_type and metric"),
        ({"data": "ada@example.com"}, "no object data"),
        ({"timestamp": None}, "timestamp is neither"),
        ({"timestamp": 10**30}, "timestamp is neither"),
    ],
)
def test_wrong_shapes_are_set_aside(fields: dict[str, Any], reason: str) -> None:
    """With what is wrong, and without what it says."""
    (problem,) = parse(json.dumps(ITEM | fields).encode(), DELIVERY)
    assert isinstance(problem, Unparseable)
    assert reason in problem.reason
    assert "@" not in problem.reason
