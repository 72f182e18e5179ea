"""What mappings can say, each shown on a small one."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from common.events import Event, Unparseable
from providers import Answers, Delivery, Reply, UnverifiedError, WebhookRequest
from providers._mapped import MappedProvider
from providers._mapping import check_mapping
from tests.unit.providers.payloads import NOW, flatten

SMALL: dict[str, Any] = {
    "proof": {"how": "shared_secret"},
    "body": {"format": "json"},
    "time": {"at": "at", "format": "seconds"},
    "type": {"parts": ["event"], "words": {"sent": "injected", "ping": None}},
    "columns": {"recipient": "to"},
}
SENT = {"event": "sent", "at": 1795253400, "to": "ada@example.com"}
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def make(tmp_path: Path) -> Any:
    """Makes a provider of the small mapping with other parts."""

    def make_provider(**parts: Any) -> MappedProvider:
        path = tmp_path / "some_esp.json"
        path.write_text(json.dumps(SMALL | parts), encoding="utf-8")
        return check_mapping(path)

    return make_provider


def parse(provider: MappedProvider, body: Any, **delivery: str) -> list[Event | Unparseable]:
    """What a body becomes: bytes, or a JSON document."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return list(provider.parse(text, Delivery(NOW, **delivery)))


def parse_one(provider: MappedProvider, body: Any, **delivery: str) -> Event:
    """The one event of a body."""
    (event,) = parse(provider, body, **delivery)
    assert isinstance(event, Event), event
    return event


def ask(headers: dict[str, str], body: bytes = b"{}", **request: str) -> WebhookRequest:
    """A request."""
    return WebhookRequest("some_esp", "POST", headers, body, **request)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"format": "json"}, json.dumps(SENT).encode()),
        ({"format": "json"}, json.dumps([SENT]).encode()),
        ({"format": "json", "items": "data.list"}, json.dumps({"data": {"list": [SENT]}, "of": 1}).encode()),
        ({"format": "json", "items": "data"}, json.dumps({"data": SENT}).encode()),
        ({"format": "json", "items": "data"}, json.dumps([SENT]).encode()),
        ({"format": "json_lines"}, b"\n" + json.dumps(SENT).encode() + b"\r\n"),
        ({"format": "form", "field": "events"}, b"v=1&events=" + json.dumps([SENT]).encode()),
        ({"format": "form", "field": "body", "items": "list"}, b"body=" + json.dumps({"list": [SENT]}).encode()),
    ],
)
def test_places_of_events_in_a_body(make: Any, body: dict[str, str], text: bytes) -> None:
    """Alone, in an array, in a list within an object, on a line, in a form's field: the item comes back as it was."""
    provider = make(body=body)
    event = parse_one(provider, text, content_type=FORM)
    assert (event.recipient, event.occurred_at) == ("ada@example.com", datetime(2026, 11, 21, 9, 30, tzinfo=UTC))
    assert provider.restore(event) == SENT


def test_form(make: Any) -> None:
    """The fields of a form are the event; a name that comes twice has both values, NUL is kept as it was."""
    provider = make(body={"format": "form"}, columns={"recipient": "to", "tags": "tag", "reason": "why"})
    event = parse_one(
        provider, b"event=sent&at=1795253400&to=Ada%40example.com&tag=a&tag=b&why=x%00y", content_type=FORM
    )
    assert (event.recipient, event.mailing.tags, event.reason) == ("ada@example.com", ("a", "b"), "x\ufffdy")
    assert provider.restore(event) == {
        "event": "sent",
        "at": "1795253400",
        "to": "Ada@example.com",
        "tag": ["a", "b"],
        "why": "x\0y",
    }
    assert parse(provider, b"", content_type=FORM) == []


def test_form_in_parts(make: Any) -> None:
    """A multipart form is a form."""
    parts = [f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in SENT.items()]
    body = ("".join(parts) + "--x--\r\n").encode()
    event = parse_one(make(body={"format": "form"}), body, content_type="multipart/form-data; boundary=x")
    assert event.recipient == "ada@example.com"


def test_query_of_the_url(make: Any) -> None:
    """What the URL says can be the type; the same body under another type is another event."""
    provider = make(
        body={"format": "json", "query": True},
        type={"parts": ["query.is"], "words": {"open": "opened", "click": "clicked"}},
    )
    opened, clicked = (parse_one(provider, SENT, query=f"is={word}&x=1") for word in ("open", "click"))
    assert (opened.kind.event_type, clicked.kind.event_type) == ("opened", "clicked")
    assert opened.event_id != clicked.event_id
    assert provider.restore(opened) == SENT
    assert json.loads(opened.detail)["(around)"] == {"query": {"is": "open", "x": "1"}}


def test_a_get_brings_a_form(make: Any) -> None:
    """The query of a GET is the body; a method that brings no events is answered."""
    provider = make(body={"format": "form"}, methods=["GET"], handshake_methods=["HEAD"])
    assert provider.METHODS == ["GET"]
    assert parse_one(provider, b"event=sent&at=1795253400&to=ada@example.com", content_type=FORM).recipient
    assert provider.handshake(ask({})._replace(method="HEAD"), [], NOW) == Reply()
    assert provider.handshake(ask({})._replace(method="GET"), [], NOW) is None


def test_answers(make: Any) -> None:
    """A provider that loses events on the usual answers is given others."""
    assert Answers() == make().ANSWERS
    assert Answers(429, 401) == make(answers={"unavailable": 429}).ANSWERS


@pytest.mark.parametrize(
    ("time", "value", "expected"),
    [
        ({"format": "seconds"}, "1795253400", "09:30:00"),
        ({"format": "seconds"}, 1795253400.25, "09:30:00.250000"),
        ({"format": "milliseconds"}, 1795253400250, "09:30:00.250000"),
        ({"format": "milliseconds"}, "1795253400250", "09:30:00.250000"),
        ({"format": "milliseconds"}, 1795253400250.0, "09:30:00.250000"),
        ({"format": "iso"}, "2026-11-21T10:30:00+01:00", "09:30:00"),
        ({"format": "iso"}, "2026-11-21T09:30:00Z", "09:30:00"),
        ({"format": "iso", "zone": "UTC"}, "2026-11-21 09:30:00", "09:30:00"),
        ({"format": "iso", "zone": "Europe/Berlin"}, "2026-11-21 10:30:00", "09:30:00"),
        ({"format": "iso", "zone": "Europe/Berlin"}, "2026-11-21T09:30:00Z", "09:30:00"),
        ({"format": "%d.%m.%Y %H:%M", "zone": "Asia/Kolkata"}, " 21.11.2026 15:00", "09:30:00"),
        ({"format": "%a, %d %b %Y %H:%M:%S %z"}, "Sat, 21 Nov 2026 10:30:00 +0100", "09:30:00"),
    ],
)
def test_times(make: Any, time: dict[str, str], value: Any, expected: str) -> None:
    """Seconds, milliseconds, ISO 8601 and strptime's formats, in whatever zone, become UTC."""
    event = parse_one(make(time={"at": "at", **time}), SENT | {"at": value})
    assert event.occurred_at == datetime.fromisoformat(f"2026-11-21T{expected}+00:00")


@pytest.mark.parametrize(
    ("time", "value"),
    [
        ({"format": "seconds"}, 1795253400250),
        ({"format": "milliseconds"}, "2026-11-21T09:30:00Z"),
        ({"format": "iso"}, "2026-11-21T09:30:00"),
        ({"format": "iso"}, 1795253400),
        ({"format": "iso", "zone": "Europe/Berlin"}, "0001-01-01T00:00:00"),
        ({"format": "%d.%m.%Y", "zone": "UTC"}, "2026-11-21"),
    ],
)
def test_times_of_another_form(make: Any, time: dict[str, str], value: Any) -> None:
    """A time of another form is set aside, not guessed."""
    (found,) = parse(make(time={"at": "at", **time}), SENT | {"at": value})
    assert isinstance(found, Unparseable)
    assert found.reason.startswith("the time at at is not of the form")


def test_first_of_several_paths(make: Any) -> None:
    """Of several paths the first that leads to a value counts; a dot within a name has a backslash before it."""
    provider = make(columns={"recipient": ["to.0.address", "to.0", "mail\\.to"], "url": "a.1.b"})
    event = parse_one(provider, SENT | {"to": "", "mail.to": "b@example.com", "a": [0, {"b": "u"}]})
    assert (event.recipient, event.url) == ("b@example.com", "u")
    assert parse_one(provider, SENT | {"to": ["c@example.com"]}).recipient == "c@example.com"
    assert parse_one(provider, SENT | {"to": [{"address": "d@example.com"}]}).recipient == "d@example.com"


def test_types(make: Any) -> None:
    """Words together come before the first one alone; what no word says is unknown; null is no event."""
    provider = make(
        type={
            "parts": ["event", "why", "how"],
            "words": {
                "failed": "failed",
                "failed/hard": {"type": "bounced", "bounce_kind": "hard"},
                "ping": None,
                "true": "opened",
                "1": "clicked",
            },
        }
    )

    def read(**fields: Any) -> tuple[str, str, str | None]:
        kind = parse_one(provider, SENT | fields).kind
        return kind.provider_type, kind.event_type, kind.bounce_kind

    assert read(event="failed", why="hard", how=5) == ("failed/hard/5", "bounced", "hard")
    assert read(event="failed", why="new") == ("failed/new", "failed", None)
    assert read(event="failed", how="x") == ("failed/x", "failed", None)
    assert read(event="strange") == ("strange", "unknown", None)
    assert (read(event=True)[1], read(event=1)[1]) == ("opened", "clicked")
    assert len(read(event="x" * 1000)[0]) == 200
    assert parse(provider, SENT | {"event": "ping", "at": None}) == []


def test_words_of_attributes(make: Any) -> None:
    """A word elsewhere in the event tells an attribute; one that is not listed leaves what the type says."""
    provider = make(
        type={"parts": ["event"], "words": {"bounce": {"type": "bounced", "bounce_kind": "hard"}, "open": "opened"}},
        kind={
            "bounce_kind": {"at": ["class", "category"], "words": {"3": "soft"}},
            "machine_open": {"at": "bot", "words": {"true": True}},
            "smtp_code": {"at": "code"},
            "enhanced_status": {"at": "status"},
        },
        columns={"reason": "text"},
    )

    def read(**fields: Any) -> dict[str, Any]:
        return flatten(parse_one(provider, SENT | fields))

    assert read(event="bounce", category=3)["bounce_kind"] == "soft"
    assert read(event="bounce", category="4")["bounce_kind"] == "hard"
    assert read(event="open", bot=True)["machine_open"] is True
    assert "machine_open" not in read(event="open", bot=1)
    said = read(event="bounce", text="550 5.7.1 no", code="551", status="5.1.1")
    assert (said["smtp_code"], said["enhanced_status"]) == (551, "5.1.1")
    said = read(event="bounce", text="550 5.7.1 no", code=9999, status=[])
    assert (said["smtp_code"], said["enhanced_status"]) == (550, "5.7.1")


def test_ids(make: Any) -> None:
    """The provider's id, as text; without one a hash, which does not depend on what a retry changes."""
    provider = make(id=["uid", "meta.id"], volatile=["attempt", "meta.sent", "no.where"])
    assert parse_one(provider, SENT | {"uid": 42}).event_id == "42"
    assert parse_one(provider, SENT | {"uid": "", "meta": {"id": "m"}}).event_id == "m"
    first, again, other = (
        parse_one(provider, SENT | {"meta": {"sent": sent, "of": of}, "attempt": sent}).event_id
        for sent, of in ((1, 1), (2, 1), (1, 2))
    )
    assert first == again != other
    assert first.startswith("hash:")


def test_id_of_the_request(make: Any) -> None:
    """A header's id is that of the one event of a request; it cannot be that of several."""
    provider = make(id={"header": "X-Event-Id"})
    batch_id = provider.find_batch_id(ask({"x-event-id": "e-1"}))
    assert batch_id == "e-1"
    assert parse_one(provider, SENT, batch_id=batch_id).event_id == "e-1"
    events = parse(provider, [SENT, SENT | {"to": "b@example.com"}], batch_id=batch_id)
    assert len({event.event_id for event in events if isinstance(event, Event)} - {"e-1"}) == 2
    assert len(provider.find_batch_id(ask({"x-event-id": "e" * 900}))) == 200
    assert provider.find_batch_id(ask({})) == ""


def test_original_outlives_the_mapping(make: Any) -> None:
    """An event that was stored under another mapping comes back as it was sent."""
    event = parse_one(make(columns={"recipient": "to", "url": "link"}), SENT | {"link": "https://example.com/"})
    assert make(columns={"subject": "to"}).restore(event) == SENT | {"link": "https://example.com/"}


def test_wrong_line_does_not_harm_the_others(make: Any) -> None:
    """A line that is no JSON is set aside with its place."""
    text = json.dumps(SENT).encode()
    first, wrong, last = parse(make(body={"format": "json_lines"}), text + b"\n{oops\n" + text)
    assert isinstance(first, Event)
    assert isinstance(last, Event)
    assert isinstance(wrong, Unparseable)
    assert (wrong.position, wrong.item) == (1, "{oops")


def refuse(provider: MappedProvider, request: WebhookRequest, secrets: list[str]) -> bool:
    """Whether a request is refused."""
    try:
        provider.verify(request, secrets, NOW)
    except UnverifiedError:
        return True
    return False


def test_shared_secret(make: Any) -> None:
    """Basic authentication or the secret in the path."""
    provider = make()
    assert not refuse(provider, ask({}, path_secret="hush"), ["old", "hush"])
    basic = {"authorization": "Basic " + base64.b64encode(b"mailwake:hush").decode()}
    assert not refuse(provider, ask(basic), ["hush"])
    assert refuse(provider, ask({}, path_secret="hush"), [])
    assert refuse(provider, ask({}), ["hush"])


def test_token_in_a_header(make: Any) -> None:
    """A header has one of the live secrets, after its prefix."""
    provider = make(proof={"how": "header", "header": "Authorization", "prefix": "Bearer "})
    assert not refuse(provider, ask({"authorization": "Bearer hush"}), ["old", "hush"])
    for value in ("hush", "Bearer husk", "Bearer ", "Bearer \udc80", ""):
        assert refuse(provider, ask({"authorization": value}), ["hush"])
    assert refuse(provider, ask({"authorization": "Bearer hush"}), [])


@pytest.mark.parametrize("digest", ["sha1", "sha256", "sha512"])
@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_hmac_of_the_body(make: Any, digest: str, encoding: str) -> None:
    """A digest over the body, in hexadecimal or base64, with a word before it."""
    proof = {"how": "hmac", "header": "X-Sig", "digest": digest, "encoding": encoding, "prefix": f"{digest}="}
    signature = hmac.digest(b"hush", b"{}", digest)
    text = signature.hex() if encoding == "hex" else base64.b64encode(signature).decode()
    provider = make(proof=proof)
    assert not refuse(provider, ask({"x-sig": f"{digest}={text}"}), ["old", "hush"])
    assert refuse(provider, ask({"x-sig": text}), ["hush"])
    assert refuse(provider, ask({"x-sig": f"{digest}={text}"}, b"{} "), ["hush"])
    assert refuse(provider, ask({"x-sig": f"{digest}={text}"}), ["other"])


def test_hmac_of_time_and_body(make: Any) -> None:
    """A signed time comes in a header of its own, in seconds, milliseconds or ISO 8601, and must be recent."""
    for form, time, stale in (
        ("seconds", "1795253400", "1795253200"),
        ("milliseconds", "1795253400000", "1795253200000"),
        ("iso", "2026-11-21T09:30:00Z", "2026-11-21T09:26:40Z"),
    ):
        provider = make(
            proof={
                "how": "hmac",
                "header": "X-Sig",
                "signed": "v0:{timestamp}:{url}:{body}",
                "timestamp": {"header": "X-Time", "format": form, "window_seconds": 60},
            }
        )
        for given, refused in ((time, False), (stale, True), ("soon", True), ("9" * 400, True), ("\udc80", True)):
            signed = b"v0:" + given.encode("utf-8", "surrogatepass") + b":https://hooks.example.com/w?a=b:{}"
            headers = {
                "x-sig": hmac.digest(b"hush", signed, "sha256").hex(),
                "x-time": given,
                "host": "hooks.example.com",
            }
            assert refuse(provider, ask(headers, path="/w", query="a=b"), ["hush"]) == refused
        assert refuse(provider, ask({"x-sig": "00"}), ["hush"])


@pytest.mark.parametrize(("form", "secret"), [("base64", base64.b64encode(b"hush").decode()), ("hex", b"hush".hex())])
def test_secret_that_is_encoded(make: Any, form: str, secret: str) -> None:
    """A secret may be shown as base64 or hexadecimal; one that is neither verifies nothing, beside one that does."""
    provider = make(proof={"how": "hmac", "header": "X-Sig", "secret": form})
    request = ask({"x-sig": hmac.new(b"hush", b"{}", hashlib.sha256).hexdigest()})
    assert not refuse(provider, request, ["!", f" {secret}\n"])
    assert refuse(provider, request, ["hush"])
    with pytest.raises(UnverifiedError, match=f"the secret that is configured is not {form}"):
        provider.verify(request, ["!"], NOW)


def test_standard_webhooks(make: Any) -> None:
    """Standard Webhooks by their name; the message's id is the batch's, and the event's if the mapping says so."""
    key = b"0123456789abcdef01234567"
    provider = make(proof={"how": "standard_webhooks"}, id={"header": "webhook-id"})
    signature = base64.b64encode(hmac.digest(key, b"msg_1.1795253400.{}", "sha256")).decode()
    headers = {"webhook-id": "msg_1", "webhook-timestamp": "1795253400", "webhook-signature": f"v1,{signature}"}
    assert not refuse(provider, ask(headers), ["whsec_" + base64.b64encode(key).decode()])
    assert refuse(provider, ask(headers, b"[]"), ["whsec_" + base64.b64encode(key).decode()])
    assert provider.find_batch_id(ask(headers)) == "msg_1"
    assert make(proof={"how": "standard_webhooks"}).find_batch_id(ask(headers)) == "msg_1"
