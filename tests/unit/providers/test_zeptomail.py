"""ZeptoMail: what its payloads alone don't show."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.events import Event, Unparseable
from providers import Delivery, UnverifiedError
from providers.zeptomail import SIGNATURE, parse, restore, verify
from tests.unit.providers.payloads import flatten, list_payloads

DELIVERY = Delivery(datetime(2026, 11, 21, 9, 30, tzinfo=UTC))
PAYLOADS = {payload.name.removeprefix("zeptomail/"): payload for payload in list_payloads("zeptomail")}
GOLDEN, IN_HEX, SHARED = PAYLOADS["soft_bounce"], PAYLOADS["hard_bounce"], PAYLOADS["delivered"]
KEY, OLDER = GOLDEN.secrets
GIVEN = GOLDEN.request.headers[SIGNATURE]
DETAIL = {"time": "2026-11-21T14:59:58+05:30", "ip_address": "192.0.2.7"}
MAIL = {"email_reference": "m.1", "to": [{"email_address": {"address": "ada@example.com", "name": "Ada"}}]}


def load(body: object) -> list[Event | Unparseable]:
    """What a body becomes."""
    return list(parse(body if isinstance(body, bytes) else json.dumps(body).encode(), DELIVERY))


def make_message(*details: object, **mail: object) -> dict[str, Any]:
    """An entry of event_message."""
    return {"email_info": MAIL | mail, "event_data": [{"details": list(details), "object": "x"}], "request_id": "r.1"}


def read(word: object, message: object) -> list[dict[str, Any]]:
    """The values of the events of a webhook with this name and message."""
    body = {"event_name": [word], "event_message": [message], "webhook_request_id": "w.1"}
    values = []
    for found in load(body):
        assert isinstance(found, Event), found
        assert restore(found) == body
        values.append(flatten(found))
    return values


def read_one(word: object, **fields: Any) -> dict[str, Any]:
    """The values of the one event with these fields in its detail."""
    (values,) = read(word, make_message(DETAIL | fields))
    return values


def test_golden_signature() -> None:
    """It is over time and body, in base64 that is escaped as in a URL, or in hexadecimal; time in ms or seconds."""
    for payload in (GOLDEN, IN_HEX, PAYLOADS["click"]):
        verify(payload.request, [KEY], payload.now)
        verify(payload.request, [OLDER, KEY], payload.now)
        verify(payload.request, [KEY], payload.now + timedelta(hours=23))
    assert "%3D" in GIVEN
    headers = {SIGNATURE: GIVEN.replace("%3D", "=").replace("%2B", "+").replace("%2F", "/").replace(";", "; ")}
    verify(GOLDEN.request._replace(headers=headers), [KEY], GOLDEN.now)


def flip(header: str) -> str:
    """The header with the first bit of its signature turned."""
    (payload,) = [part for part in header.split(";") if part.startswith("s=")]
    content = base64.b64decode(payload[2:].replace("%3D", "=").replace("%2B", "+").replace("%2F", "/"))
    turned = base64.b64encode(bytes([content[0] ^ 128]) + content[1:]).decode()
    return header.replace(payload, f"s={turned}")


@pytest.mark.parametrize(
    ("header", "secrets", "hours", "problem"),
    [
        (flip(GIVEN), [KEY], 0, "wrong credentials"),
        (GIVEN, [OLDER], 0, "wrong credentials"),
        (GIVEN, [], 0, "wrong credentials"),
        (GIVEN.replace("ts=1795166957123", "ts=1795166957124"), [KEY], 0, "wrong credentials"),
        (GIVEN, [KEY], 25, "signed too long ago"),
        (GIVEN, [KEY], -25, "ahead of time"),
        (GIVEN.replace("ts=1795166957123;", ""), [KEY], 0, "malformed time"),
        (GIVEN.replace("ts=1", "ts=-1"), [KEY], 0, "malformed time"),
        (GIVEN.replace("ts=1", "ts=" + "1" * 400), [KEY], 0, "malformed time"),
        (GIVEN.replace("Hmac", "Plain"), [KEY], 0, "malformed producer-signature"),
        ("ts=1795166957123;s=;s-algorithm=HmacSHA256", [KEY], 0, "malformed producer-signature"),
        ("ts=1795166957123;s=!;s-algorithm=HmacSHA256", [KEY], 0, "malformed base64"),
        (f"ts=1795166957123;s={'z' * 64}", [KEY], 0, "malformed signature"),
        ("ts=1795166957123;s=%ff%fe", [KEY], 0, "malformed base64"),
        ("", [KEY], 0, "malformed producer-signature"),
        (None, [KEY], 0, "no basic authentication"),
    ],
)
def test_what_is_refused(header: str | None, secrets: list[str], hours: int, problem: str) -> None:
    """A bit flipped, a key that was replaced, another time, stale by a day, no header, a malformed one."""
    request = GOLDEN.request._replace(headers={} if header is None else {SIGNATURE: header})
    with pytest.raises(UnverifiedError, match=problem):
        verify(request, secrets, GOLDEN.now + timedelta(hours=hours))


def test_body_is_signed_to_the_last_byte() -> None:
    """Whichever way time and body are joined."""
    for payload in (GOLDEN, IN_HEX, PAYLOADS["click"]):
        with pytest.raises(UnverifiedError, match="wrong credentials"):
            verify(payload.request._replace(body=payload.body + b" "), [KEY], payload.now)


def test_shared_secret() -> None:
    """In the path or by basic authentication it does, whatever the signature is; a wrong one is not made good by it."""
    verify(SHARED.request, SHARED.secrets, SHARED.now)
    basic = {"authorization": "Basic " + base64.b64encode(b"mailwake:path-password").decode(), SIGNATURE: "s=other"}
    verify(SHARED.request._replace(path_secret="", headers=basic), SHARED.secrets, SHARED.now)
    for request in (
        SHARED.request._replace(path_secret="path-passwore"),
        GOLDEN.request._replace(path_secret="path-passwore"),
        GOLDEN.request._replace(headers={**GOLDEN.request.headers, "authorization": "Basic eDp5"}),
    ):
        with pytest.raises(UnverifiedError, match="wrong credentials"):
            verify(request, [*SHARED.secrets, KEY], SHARED.now)


def test_lists_of_one() -> None:
    """Name, message, data and detail are each in a list; not in one, or several in one, they are read as well."""
    (listed,) = read("email_open", make_message(DETAIL))
    message = {"email_info": MAIL, "event_data": {"details": DETAIL, "object": "x"}, "request_id": "r.1"}
    bare, *more = load({"event_name": "email_open", "event_message": message})
    assert isinstance(bare, Event)
    assert not more
    assert flatten(bare) == listed
    two = {"event_name": ["email_open", "softbounce"], "event_message": [make_message(DETAIL), make_message(DETAIL)]}
    assert [event.kind.event_type for event in load(two) if isinstance(event, Event)] == ["opened", "bounced"]


def test_each_detail_is_an_event() -> None:
    """Two opens in one webhook are two; the same one twice is one."""
    later = DETAIL | {"time": "2026-11-21T15:00:58+05:30"}
    events = read("email_open", make_message(DETAIL, later, DETAIL))
    assert [values["occurred_at"] for values in events] == ["2026-11-21T09:29:58.000Z", "2026-11-21T09:30:58.000Z"]


def test_keys() -> None:
    """The same event is known again in other company and another request; another message's is not."""
    first = read_one("email_open")
    body = {"event_name": ["email_open"], "event_message": [make_message(DETAIL)], "webhook_request_id": "w.2"}
    (again,) = load(body)
    assert isinstance(again, Event)
    assert again.event_id == first["event_id"]
    others = [
        read_one("email_link_click"),
        read_one("email_open", ip_address="192.0.2.8"),
        read("email_open", make_message(DETAIL, email_reference="m.2"))[0],
        read("email_open", make_message(DETAIL) | {"request_id": "r.2"})[0],
    ]
    assert len({first["event_id"], *(values["event_id"] for values in others)}) == 5
    bare = {"email_info": MAIL | {"processed_time": "2026-11-21T15:00:00+05:30"}}
    later = {"email_info": MAIL | {"processed_time": "2026-11-21T15:00:01+05:30"}}
    assert read("delivered", bare)[0]["event_id"] != read("delivered", later)[0]["event_id"]


def test_recipients() -> None:
    """A bounce names its own; an open is of each address of the mail, once, in whatever order."""
    to = [MAIL["to"][0], {"email_address": {"address": "Grace@Example.org"}}, "alan@example.net"]
    events = read("email_open", make_message(DETAIL, to=to, cc={"address": "ADA@example.com"}, bcc=None))
    assert [values["recipient"] for values in events] == ["ada@example.com", "grace@example.org", "alan@example.net"]
    turned = read("email_open", make_message(DETAIL, to=to[::-1]))
    assert {values["event_id"] for values in events} == {values["event_id"] for values in turned}
    (bounce,) = read("hardbounce", make_message(DETAIL | {"bounced_recipient": "grace@example.org"}, to=to))
    assert bounce["recipient"] == "grace@example.org"
    (complaint,) = read("feedback_loop", make_message(DETAIL | {"recipient": {"address": "alan@example.net"}}, to=to))
    assert complaint["recipient"] == "alan@example.net"


@pytest.mark.parametrize(
    ("word", "text", "kind", "why"),
    [
        ("softbounce", "550 5.1.1 unknown", "soft", "other"),
        ("hardbounce", "550 5.1.1 unknown", "hard", "invalid"),
        ("hardbounce", "550 5.7.1 refused", "hard", "bounced"),
        ("HardBounce", None, "hard", "bounced"),
    ],
)
def test_bounces(word: str, text: object, kind: str, why: str) -> None:
    """Hard or soft is what ZeptoMail says; the server's words say why."""
    values = read_one(word, diagnostic_message=text)
    assert (values["event_type"], values["bounce_kind"], values["reject_reason"]) == ("bounced", kind, why)


def test_unknown_words_and_wrong_types() -> None:
    """An unknown word is kept; what is not as expected leaves its column empty; else the mail's time counts."""
    values = read_one("teleported", clicked_link=[], user_agent=7, ip_address={}, diagnostic_message=[None])
    assert (values["event_type"], values["provider_type"]) == ("unknown", "teleported")
    mail = {"processed_time": "2026-11-21T15:00:00+05:30", "to": 7, "from": [], "client_reference": {}, "tag": ""}
    shapes: list[Any] = [None, [], 7, [None], [{}], [{"details": None}]]
    for data in shapes:
        (values,) = read("delivered", {"email_info": mail, "event_data": data})
        assert values["occurred_at"] == "2026-11-21T09:30:00.000Z"
        assert values["event_id"].startswith("hash:")


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "not JSON"),
        ([], "not an object"),
        ({}, "are not lists"),
        ({"event_name": ["email_open"]}, "are not lists"),
        ({"event_name": [], "event_message": []}, "are not lists"),
        ({"event_name": ["email_open", "softbounce"], "event_message": [make_message(DETAIL)]}, "as many entries"),
        ({"event_name": [7], "event_message": [make_message(DETAIL)]}, "is not a text"),
        ({"event_name": ["email_open"], "event_message": ["x"]}, "is not an object"),
        ({"event_name": ["email_open"], "event_message": [{}]}, "timestamp is neither"),
    ],
)
def test_wrong_shapes_are_set_aside(body: object, problem: str) -> None:
    """With what is wrong, in words."""
    (bad,) = load(body)
    assert isinstance(bad, Unparseable)
    assert problem in bad.reason
