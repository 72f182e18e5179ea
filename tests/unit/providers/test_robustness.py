"""Whatever comes: no exception, nothing lost, and what is wrong does not harm what is beside it."""

import http.client
import json
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.events import Event, Unparseable
from providers import list_mappings, list_providers
from providers._events import VALUES, make_columns, make_event, read_address, read_tags, restore_item
from providers._fields import clean, decode_inner, may_be_unstorable, read_epoch, read_text, split_domain
from providers._mail_headers import read_mail_headers
from providers._smtp import read_smtp
from tests.fuzz.changes import ODD, change_body, change_request, change_value
from tests.fuzz.checks import (
    ODD_SECRETS,
    FakeConnection,
    check_answer,
    check_loading,
    check_parsing,
    check_verifying,
    make_gateway_event,
    make_receiver,
)
from tests.unit.providers.payloads import Payload, list_payloads
from webhook_listener import app
from webhook_listener.intake import Intake

PAYLOADS = list_payloads()
BY_NAME = [pytest.param(payload, id=payload.name) for payload in PAYLOADS]
CHANCES = st.randoms(use_true_random=False)
EXAMPLES = 6  # of changes to a payload


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Certificates and confirmations are never asked of the internet."""
    monkeypatch.setattr(http.client, "HTTPSConnection", FakeConnection)


def try_often(check: Callable[[Any], None], examples: int = EXAMPLES) -> None:
    """Runs a check with choices that hypothesis makes, and makes simpler where it fails."""
    settings(max_examples=examples, deadline=None)(given(CHANCES)(check))()


@pytest.mark.parametrize("payload", BY_NAME)
def test_no_body_makes_parse_raise(payload: Payload) -> None:
    """Whatever is dropped, replaced or broken: events that give their items back, or set aside; the loader takes it."""

    def check(chance: Random) -> None:
        body = change_body(payload.body, chance)
        check_parsing(payload.provider, body, payload.delivery)
        check_loading(payload.request, body, payload.delivery)

    try_often(check)


def nest(depth: int) -> bytes:
    """Arrays within arrays."""
    return b"[" * depth + b"]" * depth


STRANGE: dict[str, Callable[[Payload], bytes]] = {
    "empty": lambda _: b"",
    "no JSON": lambda _: b"hello",
    "bytes": lambda _: bytes(range(256)),
    "byte order mark": lambda payload: b"\xef\xbb\xbf" + payload.body,
    "NaN": lambda _: b"[NaN, Infinity]",
    "scalar": lambda _: b"5",
    "null": lambda _: b"null",
    "array of scalars": lambda _: b'[1, null, "x", [], true]',
    "array of objects": lambda _: b"[{}, {}]",
    "object": lambda _: b"{}",
    "repeated names": lambda payload: payload.body.replace(b"{", b'{"": 1, "": {"": 2}, ', 1),
    "deep": lambda _: nest(100_000),
    "deep in a field": lambda payload: payload.body.replace(b'"', b'"x": ' + nest(5000) + b', "', 1),
    "10 MB of nesting": lambda _: b'{"a":' * 2_000_000,
    "10 MB of arrays": lambda _: nest(5_000_000),
    "percent signs": lambda _: b"%" * 1000 + b"=&&=%zz",
    "gzip that ends": lambda _: b"\x1f\x8b\x08\0\0\0\0\0\0\x03",
    "zlib that ends": lambda _: b"\x78\x9c\x01",
    "form of nothing": lambda _: quote('{"a": "\ud83d"}', errors="surrogatepass").encode() + b"=1&mandrill_events=%5B",
}


@pytest.mark.parametrize("provider", [*list_providers(), *list_mappings()])
@pytest.mark.parametrize("name", STRANGE)
def test_no_strange_body_makes_parse_raise(provider: str, name: str) -> None:
    """Empty, binary, huge and deeply nested bodies are set aside too, by whichever form the provider reads."""
    by_type = {payload.delivery.content_type: payload for payload in list_payloads(provider)}
    for payload in by_type.values():
        body = STRANGE[name](payload)
        check_parsing(payload.provider, body, payload.delivery)
        check_loading(payload.request, body, payload.delivery)


ARRAYS = [payload for payload in PAYLOADS if payload.body.lstrip().startswith(b"[{") and payload.events]


@pytest.mark.parametrize("payload", [pytest.param(payload, id=payload.name) for payload in ARRAYS])
def test_one_wrong_item_does_not_harm_the_others(payload: Payload) -> None:
    """What is wrong is set aside with its place in the batch; the events beside it load as ever."""
    items = json.loads(payload.body)
    alone = [entry for entry in check_parsing(payload.provider, payload.body, payload.delivery) if type(entry) is Event]

    def check(chance: Random) -> None:
        wrong = [5, change_value(items[0], chance)]
        body = json.dumps([wrong[0], *items, wrong[1]]).encode()
        mixed = check_parsing(payload.provider, body, payload.delivery)
        problems = [entry for entry in mixed if isinstance(entry, Unparseable)]
        assert {problem.position for problem in problems} <= {0, len(items) + 1}
        assert problems[0].position == 0
        kept = [entry for entry in mixed if isinstance(entry, Event) and entry.position <= len(items)]
        assert [entry._replace(position=0) for entry in kept] == [entry._replace(position=0) for entry in alone]

    try_often(check)


@pytest.mark.parametrize("payload", BY_NAME)
def test_verify_raises_one_error_only(payload: Payload) -> None:
    """Whatever a request looks like, the check passes or raises `UnverifiedError`; so does a secret of another form."""

    def check(chance: Random) -> None:
        request = change_request(payload.request, chance)
        for secrets in (payload.secrets, [], ODD_SECRETS, payload.secrets + ODD_SECRETS):
            check_verifying(payload.provider, request, secrets, payload.now)

    try_often(check)


@pytest.mark.parametrize("payload", BY_NAME)
def test_listener_always_answers(payload: Payload, monkeypatch: pytest.MonkeyPatch) -> None:
    """The handler gives an answer that API Gateway understands, whatever comes; 200 to what the provider sends."""
    secrets = {payload.request.provider: payload.secrets}
    proved, unsigned = (make_receiver(secrets, payload.now, unsigned=unsigned) for unsigned in (False, True))
    monkeypatch.setattr(app, "_receiver", lambda: proved)
    assert check_answer(make_gateway_event(payload.request)) == 200

    def check(chance: Random) -> None:
        event = make_gateway_event(change_request(payload.request, chance))
        for receiver in (proved, unsigned):
            monkeypatch.setattr(app, "_receiver", lambda receiver=receiver: receiver)
            check_answer(event)

    try_often(check)


TEXTS = st.one_of(st.none(), st.text(max_size=30), st.text("Az09+/=%&:", max_size=30))
NAMES = st.sampled_from([*list_providers(), "nobody", "__init__", "_events", "Sendgrid", "sendgrid\0", "a" * 300])
GATEWAY_EVENTS = st.fixed_dictionaries(
    {
        "pathParameters": st.fixed_dictionaries({"provider": NAMES}, optional={"secret": st.text(max_size=10)}),
        "rawPath": st.text(max_size=30),
        "requestContext": st.fixed_dictionaries(
            {"http": st.fixed_dictionaries({"method": st.sampled_from(["POST", "GET", "HEAD", "PUT", ""])})}
            | {"requestId": st.text(max_size=10)}
        ),
    },
    optional={
        "headers": st.one_of(
            st.none(),
            st.dictionaries(st.sampled_from(["Authorization", "x-y", "Host", "content-type"]), st.text(max_size=20)),
        ),
        "rawQueryString": st.text(max_size=20),
        "body": TEXTS,
        "isBase64Encoded": st.booleans(),
    },
)


def test_listener_answers_any_event_of_the_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    """What may be absent is absent, what is text is any text: there is an answer."""
    receiver = make_receiver({name: ["secret"] for name in list_providers()}, PAYLOADS[0].now)
    monkeypatch.setattr(app, "_receiver", lambda: receiver)
    monkeypatch.setattr(app, "_intake", lambda: Intake(bucket=receiver.bucket))

    @settings(max_examples=300, deadline=None)
    @given(GATEWAY_EVENTS)
    def check(event: dict[str, Any]) -> None:
        check_answer(event)

    check()


@pytest.mark.parametrize("value", ODD, ids=lambda value: repr(value)[:20])
def test_readers_take_any_value(value: Any) -> None:
    """What reads a value for a column takes a list or an object too, and gives a text, a number or nothing."""
    assert read_address(value) is None or isinstance(value, str)
    assert read_text(value) is None or isinstance(value, str | int | float)
    assert all(isinstance(tag, str) for tag in read_tags(value))
    assert isinstance(value, str) or read_smtp(value) == (None, None)
    assert not split_domain(read_address(value)) or "@" in str(value)
    with suppress(ValueError):
        assert read_epoch(value).tzinfo is not None


@pytest.mark.parametrize("column", VALUES)
def test_columns_take_any_value(column: str) -> None:
    """Any JSON value may stand in any column; what is not what the column holds becomes nothing, or what it can say."""
    event = next(entry for entry in PAYLOADS[0].provider.parse(PAYLOADS[0].body, PAYLOADS[0].delivery))
    assert isinstance(event, Event)
    for value in map(clean, ODD):
        columns = make_columns(event.occurred_at, "1", event.kind, **{column: value})
        made = make_event({"x": value}, columns, 0, {column: ("x",)})
        assert restore_item(made, {column: ("x",)}) == {"x": value}
        hash((made.mailing, made.receiver))


@pytest.mark.parametrize("escape", ["\\u0000", "\\ud800", "\\uDFFF"])
def test_json_within_a_text_is_cleaned_too(escape: str) -> None:
    """What a sender wrote as JSON within a text (tags, metadata) holds nothing that Postgres can't, however escaped."""
    assert decode_inner(f'{{"{escape}": ["a{escape}"]}}') == {"\ufffd": ["a\ufffd"]}
    assert read_mail_headers([{"name": "X-Tags", "value": f'["{escape}"]'}])[0] == ["\ufffd"]
    assert may_be_unstorable(json.dumps(escape).replace("\\\\", "\\u005c").encode())


@pytest.mark.parametrize("name", ["mailersend", "sendgrid", "amazon_ses", "postmark"])
def test_nesting_at_the_limit_is_set_aside(name: str) -> None:
    """What can just be read can just be written to the quarantine too: the loader goes on."""
    (payload, *_) = list_payloads(name)
    for form in (b"%s", b"[%s]"):
        for depth in range(10_003, 9_000, -1):  # the interpreter gives up somewhere here, by what it is in the midst of
            body = form % (b'{"a":' * depth + b"1" + b"}" * depth)
            (found,) = payload.provider.parse(body, payload.delivery)
            assert isinstance(found, Unparseable)
            assert check_loading(payload.request, body, payload.delivery) == 0
            if "deep" not in found.reason:
                break
