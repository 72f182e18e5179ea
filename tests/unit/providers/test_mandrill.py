"""Mandrill: what its payloads alone don't show."""

import base64
import hmac
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import pytest

from common.events import Event, Unparseable
from providers import Delivery, UnverifiedError, WebhookRequest, find_provider
from providers.mandrill import NAME, TEST_KEY, handshake, parse, restore, verify
from tests.unit.providers.payloads import NOW, flatten, list_payloads

FORM = "application/x-www-form-urlencoded"
DELIVERY = Delivery(datetime(2026, 11, 21, 9, 30, tzinfo=UTC), FORM)
PAYLOADS = {payload.name.removeprefix("mandrill/"): payload for payload in list_payloads("mandrill")}
GOLDEN, WITH_LOGIN = PAYLOADS["click"], PAYLOADS["basic_auth_and_query"]
OLDER, KEY = GOLDEN.secrets
HEADER = "x-mandrill-signature"
GIVEN = GOLDEN.request.headers[HEADER]
URL = "https://hooks.example.com/webhooks/mandrill"
MESSAGE = {"_id": "m1", "email": "ada@example.com", "ts": 1795252490}
EVENT = {"event": "open", "_id": "m1", "ts": 1795252500, "msg": MESSAGE, "ip": "192.0.2.7", "user_agent": "Mail/1"}


def write_form(items: object) -> bytes:
    """The form with these events."""
    return urlencode({"mandrill_events": json.dumps(items)}).encode()


def read_form(body: bytes) -> list[tuple[str, str]]:
    """The fields of a form."""
    return parse_qsl(body.decode(), keep_blank_values=True)


def load(body: bytes, content_type: str = FORM) -> list[Event | Unparseable]:
    """What a form becomes."""
    return list(parse(body, DELIVERY._replace(content_type=content_type)))


def read_item(item: dict[str, Any]) -> dict[str, Any]:
    """The values of an event, which gives its item back."""
    (event,) = load(write_form([item]))
    assert isinstance(event, Event), event
    assert restore(event) == item
    return flatten(event)


def read(message: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """The values of an event with these fields, and these in its `msg`."""
    return read_item(EVENT | {"msg": MESSAGE | (message or {})} | fields)


def sign(url: str, fields: Sequence[tuple[str, str]], key: str = KEY) -> str:
    """The signature that Mandrill would give: the URL, then each field's name and value, sorted by name."""
    signed = url + "".join(name + value for name, value in sorted(fields))
    return base64.b64encode(hmac.digest(key.encode(), signed.encode(), "sha1")).decode()


def make_request(
    fields: Sequence[tuple[str, str]],
    url: str = URL,
    key: str = KEY,
    *,
    host: str = "hooks.example.com",
    query: str = "",
    authorization: str = "",
) -> WebhookRequest:
    """A form that is signed over this URL."""
    headers = {"host": host, "content-type": FORM, HEADER: sign(url, fields, key)}
    if authorization:
        headers["authorization"] = authorization
    body = urlencode(fields).encode()
    return WebhookRequest("mandrill", "POST", headers, body, query, "/webhooks/mandrill")


EMPTY = [("mandrill_events", "[]")]


def test_golden_signature() -> None:
    """HMAC-SHA1 over URL and fields, beside a key that is being replaced; no time is signed."""
    assert sign(URL, read_form(GOLDEN.body)) == GIVEN
    verify(GOLDEN.request, [KEY], NOW)
    verify(GOLDEN.request, [OLDER, KEY], NOW.replace(year=2027))
    verify(GOLDEN.request, [KEY, OLDER], NOW)


def flip(signature: str) -> str:
    """The signature with its first bit turned."""
    content = base64.b64decode(signature)
    return base64.b64encode(bytes([content[0] ^ 128]) + content[1:]).decode()


@pytest.mark.parametrize(
    ("change", "secrets", "problem"),
    [
        ({"headers": {HEADER: flip(GIVEN)}}, [KEY], "wrong credentials"),
        ({"body": GOLDEN.body + b"1"}, [KEY], "wrong credentials"),
        ({"body": GOLDEN.body + b"&more=1"}, [KEY], "wrong credentials"),
        ({"query": "a=b"}, [KEY], "wrong credentials"),
        ({"path": "/webhooks/mandrill/"}, [KEY], "wrong credentials"),
        ({"headers": {"host": "other.example.com"}}, [KEY], "wrong credentials"),
        ({}, [OLDER], "wrong credentials"),
        ({}, [], "wrong credentials"),
        ({}, [TEST_KEY], "wrong credentials"),
        ({"headers": {HEADER: ""}}, [KEY], "no header x-mandrill-signature"),
        ({"headers": {HEADER: "!"}}, [KEY], "malformed base64"),
        ({"headers": {HEADER: "ä"}}, [KEY], "malformed base64"),
        ({"headers": {HEADER: GIVEN[:8]}}, [KEY], "wrong credentials"),
    ],
)
def test_what_is_refused(change: dict[str, Any], secrets: list[str], problem: str) -> None:
    """A bit flipped, another body, URL or host, a key that was replaced, no header, one of another form."""
    if "headers" in change:
        change = change | {"headers": {**GOLDEN.request.headers, **change["headers"]}}
    with pytest.raises(UnverifiedError, match=problem):
        verify(GOLDEN.request._replace(**change), secrets, NOW)


def test_without_the_header() -> None:
    """Refused."""
    with pytest.raises(UnverifiedError, match="no header"):
        verify(GOLDEN.request._replace(headers={"content-type": FORM}), [KEY], NOW)


def test_fields_are_signed_in_order_of_their_names() -> None:
    """Decoded, name and value without anything between them, wherever they stand in the form."""
    fields = [("mandrill_events", '[{"a b":"ä&=+%"}]'), ("another", "x"), ("empty", "")]
    request = make_request(fields)
    verify(request, [KEY], NOW)
    verify(request._replace(body=urlencode(fields[::-1]).encode()), [KEY], NOW)


@pytest.mark.parametrize("login", ["mailwake:secret", "mailwake:pä:ss/1", "user%40shop:a%2Fb", "user:"])
def test_url_is_signed_with_user_and_password(login: str) -> None:
    """As the URL was pasted; it arrives as a header, so what was escaped in it is told by escaping it again."""
    user, _, password = login.partition(":")
    plain = f"{user.replace('%40', '@')}:{password.replace('%2F', '/')}".encode()
    authorization = f"Basic {base64.b64encode(plain).decode()}"
    url = URL.replace("://", f"://{login}@")
    verify(make_request(EMPTY, url, authorization=authorization), [KEY], NOW)
    with pytest.raises(UnverifiedError):
        verify(make_request(EMPTY, authorization=authorization), [KEY], NOW)
    with pytest.raises(UnverifiedError):
        verify(make_request(EMPTY, url), [KEY], NOW)


def test_url_is_signed_with_its_query() -> None:
    """And the whole payload with both, as it came; another user is another URL."""
    verify(make_request(EMPTY, f"{URL}?a=%2F&b", query="a=%2F&b"), [KEY], NOW)
    verify(WITH_LOGIN.request, WITH_LOGIN.secrets, NOW)
    headers = {**WITH_LOGIN.request.headers, "authorization": "Basic " + base64.b64encode(b"mailwake:x").decode()}
    with pytest.raises(UnverifiedError):
        verify(WITH_LOGIN.request._replace(headers=headers), WITH_LOGIN.secrets, NOW)


@pytest.mark.parametrize("authorization", ["Basic", "Basic !eDp5", "Basic //8=", "Basic bm9uZQ==", "Bearer x", " "])
def test_malformed_authorization(authorization: str) -> None:
    """What is no user and password is no part of the URL."""
    verify(make_request(EMPTY, authorization=authorization), [KEY], NOW)


def test_url_that_a_proxy_rewrites() -> None:
    """Where TLS ends before us and the host is another, the URL that Mandrill was told stands beside the key."""
    told = "https://user:pass@mail.shop.example.com/hook?x=1"
    request = make_request(EMPTY, told, host="internal.example.com")
    verify(request, [OLDER, f"{KEY} {told}"], NOW)
    for secrets in ([KEY], [f"{KEY} {URL}"], [f"{OLDER} {told}"]):
        with pytest.raises(UnverifiedError):
            verify(request, secrets, NOW)


def test_head_comes_before_there_is_a_key() -> None:
    """Mandrill asks by HEAD whether the URL answers: yes, without a secret and whatever the signature is."""
    reply = handshake(WebhookRequest("mandrill", "HEAD", {}, b""), [], NOW)
    assert reply is not None
    assert (reply.status, reply.body) == (200, "")


def test_empty_list_before_there_is_a_key() -> None:
    """Else it posts an empty list, signed with a key that everybody knows; nothing but an empty list passes so."""
    reply = handshake(make_request(EMPTY, key=TEST_KEY), [], NOW)
    assert reply is not None
    assert reply.status == 200
    items = [("mandrill_events", json.dumps([EVENT]))]
    more = [*EMPTY, ("mandrill_events", json.dumps([EVENT]))]
    for request in (
        make_request(items, key=TEST_KEY),
        make_request(more, key=TEST_KEY),
        make_request([*EMPTY, ("mandrill_events", "[{}]")], key=TEST_KEY),
        make_request([("mandrill_events", "[{}]")], key=TEST_KEY),
        make_request(EMPTY, key="other"),
        make_request(EMPTY)._replace(headers={}),
    ):
        assert handshake(request, [], NOW) is None
        with pytest.raises(UnverifiedError):
            verify(request, [KEY], NOW)


def test_empty_list_under_the_key_holds_nothing() -> None:
    """The console's test, once there is a key: verified, stored, no events."""
    request = make_request(EMPTY)
    assert handshake(request, [KEY], NOW) is None
    verify(request, [KEY], NOW)
    assert load(request.body) == []


def test_answers() -> None:
    """Mandrill sends again what is not answered 200."""
    provider = find_provider(NAME)
    assert provider is not None
    assert provider.ANSWERS == (503, 401)
    assert provider.METHODS == ("POST",)


def test_every_item_comes_back() -> None:
    """From the batch of all kinds of events, and the changes of lists."""
    for name in ("batch", "sync"):
        body = PAYLOADS[name].body
        items = json.loads(dict(read_form(body))["mandrill_events"])
        restored = [restore(event) for event in load(body) if isinstance(event, Event)]
        assert restored == items


def test_multipart_forms() -> None:
    """The form's other encoding holds the same events."""
    text = json.dumps([EVENT]).encode()
    body = b'--b\r\nContent-Disposition: form-data; name="mandrill_events"\r\n\r\n' + text + b"\r\n--b--\r\n"
    (event,) = load(body, "multipart/form-data; boundary=b")
    assert isinstance(event, Event)
    assert restore(event) == EVENT


def test_keys() -> None:
    """`_id` is the message's, so message, word, time, link and reader are the key, not its state."""
    first = read()
    changed = read({"state": "sent", "opens": [{"ts": 1795252500}], "tags": ["late"]}, location={"city": "Oslo"})
    assert (changed["event_id"], changed["occurred_at"]) == (first["event_id"], first["occurred_at"])
    others = [
        read(event="click"),
        read(_id="m2"),
        read(ts=1795252501),
        read(url="https://shop.example.com/"),
        read(ip="192.0.2.8"),
        read(user_agent="Mail/2"),
    ]
    assert len({first["event_id"], *(values["event_id"] for values in others)}) == 7


def test_any_grouping_is_the_same_events() -> None:
    """A batch that comes again may be cut otherwise and in another order."""
    items = json.loads(dict(read_form(PAYLOADS["batch"].body))["mandrill_events"])
    whole = {event.event_id for event in load(write_form(items)) if isinstance(event, Event)}
    parts = {event.event_id for item in items[::-1] for event in load(write_form([item])) if isinstance(event, Event)}
    assert whole == parts
    assert len(whole) == len(items)


def test_message_without_id() -> None:
    """Then the whole item is the key; `msg._id` stands in where it is."""
    assert read(_id=None)["event_id"] == read()["event_id"]
    without = EVENT | {"_id": None, "msg": {"email": "ada@example.com"}}
    other = EVENT | {"_id": None, "msg": {"email": "grace@example.org"}}
    assert read_item(without)["event_id"] != read_item(other)["event_id"]


def test_deferral_is_no_bounce() -> None:
    """The mail is still on its way; the last attempt says why."""
    attempts = [{"diag": "421 first", "source_ip": "192.0.2.1"}, {"diag": "451 4.7.1 last", "source_ip": "192.0.2.2"}]
    values = read({"smtp_events": attempts}, event="deferral")
    assert (values["event_type"], values["smtp_code"], values["enhanced_status"]) == ("deferred", 451, "4.7.1")
    assert (values["reason"], values["sending_ip"]) == ("451 4.7.1 last", "192.0.2.2")
    assert "bounce_kind" not in values
    assert read({"smtp_events": attempts, "diag": "452 of the mail"}, event="deferral")["reason"] == "452 of the mail"


@pytest.mark.parametrize(
    ("word", "code", "kind", "why"),
    [
        ("hard_bounce", 10, "hard", "invalid"),
        ("hard_bounce", "10", "hard", "invalid"),
        ("hard_bounce", None, "hard", "bounced"),
        ("soft_bounce", 22, "soft", "bounced"),
        ("soft_bounce", 24, "soft", "timed_out"),
        ("soft_bounce", 25, "admin", "other"),
        ("soft_bounce", 50, "block", "blocked"),
        ("hard_bounce", 51, "block", "spam"),
        ("soft_bounce", [], "soft", "bounced"),
    ],
)
def test_bounces(word: str, code: object, kind: str, why: str) -> None:
    """Hard or soft is Mandrill's word, unless its code says that the mail or the sender was blocked."""
    values = read({"bgtools_code": code}, event=word)
    assert (values["event_type"], values["bounce_kind"], values["reject_reason"]) == ("bounced", kind, why)


@pytest.mark.parametrize(
    ("refused", "why"),
    [
        ({"reason": "hard-bounce"}, "bounced"),
        ({"reason": "spam"}, "spam"),
        ({"reason": "unsub"}, "unsubscribed"),
        ("custom", "blocked"),
        ({"reason": "teleported"}, "other"),
        ({}, "other"),
        (None, "other"),
    ],
)
def test_rejects_say_which_list(refused: object, why: str) -> None:
    """As an object with its reason, or as the reason."""
    assert read({"reject": refused}, event="reject")["reject_reason"] == why


def test_changes_of_lists_have_no_message() -> None:
    """They have `type` and no `event` or `msg`: kept as unknown, with the address; the same one is known again."""
    item = {"type": "blacklist", "action": "remove", "reject": {"email": "Ada@Example.com", "reason": "spam"}, "ts": 1}
    values = read_item(item)
    assert (values["event_type"], values["provider_type"]) == ("unknown", "blacklist/remove")
    assert (values["recipient"], values["reject_reason"]) == ("ada@example.com", "spam")
    assert read_item(dict(reversed(item.items())))["event_id"] == values["event_id"]
    odd: list[dict[str, Any]] = [{"reject": None}, {"reject": "x"}, {"action": None}, {"reject": {"reason": []}}]
    for fields in odd:
        assert read_item(item | fields)["event_type"] == "unknown"


def test_received_mail_is_set_aside_by_name() -> None:
    """Events and received mail share URL and key, so the mistake is told; the events beside it load."""
    mail = {"event": "inbound", "ts": 1795252500, "msg": {"raw_msg": "Received: …", "email": "in@example.com"}}
    before, bad, after = load(write_form([EVENT, mail, EVENT]))
    assert isinstance(before, Event)
    assert isinstance(after, Event)
    assert isinstance(bad, Unparseable)
    assert bad.position == 1
    assert "a mail that came in" in bad.reason


def test_wrong_types_and_unknown_words() -> None:
    """What is not as expected leaves its column empty; an unknown word is kept."""
    values = read({"email": [], "tags": {}, "metadata": [], "smtp_events": {}, "subject": 7}, event="x", url=[], ip={})
    assert (values["event_type"], values["provider_type"], values["subject"]) == ("unknown", "x", "7")
    messages: list[Any] = [None, [], 7, "x"]
    for message in messages:
        assert read_item(EVENT | {"msg": message})["event_type"] == "opened"
    assert read({"tags": "one"})["tags"] == ["one"]
    assert read({"smtp_events": [7], "reject": 7}, event="send")["event_type"] == "injected"


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        (7, "not an object"),
        ({}, "neither event nor type"),
        ({"event": "", "type": 7}, "neither event nor type"),
        (EVENT | {"ts": None}, "timestamp is neither"),
        (EVENT | {"ts": 10**400}, "timestamp is neither"),
    ],
)
def test_wrong_items_are_set_aside(item: object, problem: str) -> None:
    """Each by itself, with what is wrong."""
    before, bad, after = load(write_form([EVENT, item, EVENT]))
    assert isinstance(before, Event)
    assert isinstance(after, Event)
    assert isinstance(bad, Unparseable)
    assert problem in bad.reason


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "no field mandrill_events"),
        (b"mandrill_events=", "no field mandrill_events"),
        (b"other=1", "no field mandrill_events"),
        (json.dumps([EVENT]).encode(), "no field mandrill_events"),
        (b"mandrill_events=%7B", "not JSON"),
        (b"mandrill_events=%7B%7D", "not an array"),
        (f"mandrill_events={quote('[' * 100_000)}".encode(), "nested too deeply"),
    ],
)
def test_wrong_forms_are_set_aside(body: bytes, problem: str) -> None:
    """As a whole, with what is wrong."""
    (bad,) = load(body)
    assert isinstance(bad, Unparseable)
    assert bad.position is None
    assert problem in bad.reason
