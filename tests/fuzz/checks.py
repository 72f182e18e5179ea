"""What holds for every request, however wrong: tests of robustness and `make fuzz` check the same."""

import base64
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, cast
from urllib.parse import parse_qsl

from common.aws import AwsError
from common.events import EVENT_TYPES, Event, Unparseable
from common.json_text import decode_json
from common.objects import Bucket
from common.secrets import NamedSecrets
from providers import Delivery, Provider, UnverifiedError, WebhookRequest
from providers._fetching import Answer
from providers._flat import read_flat
from providers._forms import decode_text, read_fields
from providers._sns import PROOF_FIELDS
from s3_loader.batches import Batch, Limits, decompress, parse_batch
from s3_loader.dimensions import Dimensions
from s3_loader.preparing import Prepared, Preparer
from tests.unit.webhook_listener.fakes import FakeBucket, FakeSecrets
from webhook_listener import app
from webhook_listener.receiving import Receiver

LIMITS = Limits(timedelta(days=800), datetime.fromisoformat("2026-01-01T00:00:00Z"))
ODD_SECRETS = ["é", "whsec_!", "-----BEGIN PUBLIC KEY-----", "a:b", "arn:", "{}", " "]
FORM = "application/x-www-form-urlencoded"


class FakeConnection:
    """Stands for `http.client.HTTPSConnection`: no test asks the internet. Answers or fails by the host's name."""

    answers: Sequence[Answer | OSError] = (
        Answer(200, b"<ok/>"),
        Answer(404, b""),
        Answer(503, b""),
        OSError("no network"),
    )

    def __init__(self, host: str, port: int | None = None, **_options: object) -> None:
        self._answer = self.answers[len(f"{host}{port}") % len(self.answers)]

    def request(self, _method: str, _target: str) -> None:
        """As `HTTPConnection.request`."""
        if isinstance(self._answer, OSError):
            raise self._answer

    def getresponse(self) -> "FakeConnection":
        """As `HTTPConnection.getresponse`."""
        return self

    @property
    def status(self) -> int:
        """As `HTTPResponse.status`."""
        return cast("Answer", self._answer).status

    def read(self, _size: int) -> bytes:
        """As `HTTPResponse.read`."""
        return cast("Answer", self._answer).body

    def close(self) -> None:
        """As `HTTPConnection.close`."""


def dump(value: Any) -> str:
    """The value in one form: what is equal to Python is not all equal to JSON (1, 1.0, true)."""
    try:
        return json.dumps(value, sort_keys=True)
    except RecursionError:
        return ""  # nested so deeply that only the parser gets through


def list_sent(body: bytes, delivery: Delivery) -> set[str]:
    """Each object that a body holds, as `dump` shows it; also with the query's fields added."""
    found: set[str] = set()
    named: list[Any] = []
    with suppress(ValueError):
        named = [item for item in read_flat(delivery.query.encode("utf-8", "replace")) if isinstance(item, dict)]
    for value in _list_documents(body, delivery.content_type):
        _add_objects(value, found)
        if named and isinstance(value, dict):
            found.add(dump(named[0] | value))
    return found


def _list_documents(body: bytes, content_type: str) -> Iterator[Any]:
    try:
        body = decompress(body)
    except ValueError:
        return
    texts = [body, *body.splitlines()]
    for text in (body, body.strip()):
        fields: dict[str, list[str]] = {}
        for name, value in read_fields(text, content_type):
            fields.setdefault(decode_text(name), []).append(decode_text(value))
        yield {name: values[0] if len(values) == 1 else values for name, values in fields.items()}
    texts += [value.encode("latin-1") for _, value in parse_qsl(body.decode("latin-1"), encoding="latin-1")]
    for text in texts:
        try:
            value = decode_json(text)
        except (ValueError, RecursionError):
            continue
        yield value
        if isinstance(value, dict) and isinstance(value.get("Message"), str):
            try:
                message = decode_json(value["Message"].encode("utf-8", "surrogatepass"))
            except (ValueError, RecursionError):
                continue
            yield {name: entry for name, entry in value.items() if name not in PROOF_FIELDS} | {"Message": message}


def _add_objects(value: Any, found: set[str], depth: int = 6) -> None:
    """Adds the objects that may be items: none is further down."""
    if isinstance(value, dict):
        found.add(dump(value))
    if depth:
        for entry in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            _add_objects(entry, found, depth - 1)


def check_parsing(provider: Provider, body: bytes, delivery: Delivery) -> list[Event | Unparseable]:
    """A body becomes events that give back what was sent, and what is set aside; gives both."""
    found = list(provider.parse(body, delivery))
    sent = list_sent(body, delivery) if any(isinstance(entry, Event) for entry in found) else set()
    for entry in found:
        if isinstance(entry, Event):
            _check_event(entry)
            restored = dump(provider.restore(entry))
            assert not restored or restored in sent, f"not what was sent: {restored}"
        else:
            assert isinstance(entry, Unparseable)
            assert entry.reason
            assert "@" not in entry.reason
    return found


def _check_event(event: Event) -> None:
    assert event.occurred_at.tzinfo is not None
    assert isinstance(event.event_id, str)
    assert event.event_id
    assert event.kind.event_type in EVENT_TYPES
    stored = event._replace(event_id="")  # of which the database has a hash
    for part in (stored, event.kind, event.mailing, event.mailing.sender, event.receiver, event.client or ()):
        for value in part:
            assert not (isinstance(value, str) and "\0" in value)


def check_loading(request: WebhookRequest, body: bytes, delivery: Delivery) -> int:
    """The loader makes rows of a stored body, whatever it is; how many."""
    batch = Batch(
        *("raw/key", request.provider, delivery.batch_id, "request-1", delivery.received_at, body),
        *(delivery.content_type, delivery.query),
    )
    parsed = list(parse_batch(batch, LIMITS))
    prepared = Preparer(Dimensions()).render(batch, LIMITS, Prepared(None, 1, "", None))
    assert prepared.events == sum(isinstance(entry, Event) for entry in parsed)
    for entry in parsed:
        if isinstance(entry, Unparseable):
            assert entry.reason
            json.dumps(entry.item)  # as the quarantine keeps it
    return prepared.events


def check_verifying(provider: Provider, request: WebhookRequest, secrets: Sequence[str], now: datetime) -> bool:
    """The check of a sender passes, or raises the one error; that of the internet where it fails. Whether it passed."""
    assert isinstance(provider.find_batch_id(request), str)
    try:
        provider.handshake(request, secrets, now)
        provider.verify(request, secrets, now)
    except (UnverifiedError, AwsError) as failure:
        problem = str(failure)
    else:
        return True
    assert "@" not in problem
    return False


def make_gateway_event(request: WebhookRequest) -> dict[str, Any]:
    """What API Gateway hands over of a request."""
    parameters = {"provider": request.provider} | ({"secret": request.path_secret} if request.path_secret else {})
    return {
        "version": "2.0",
        "pathParameters": parameters,
        "rawPath": request.path,
        "rawQueryString": request.query,
        "headers": dict(request.headers),
        "requestContext": {"http": {"method": request.method, "path": request.path}, "requestId": "request-1"},
        "body": base64.b64encode(request.body).decode(),
        "isBase64Encoded": True,
    }


def make_receiver(secrets: dict[str, list[str]], now: datetime, *, unsigned: bool = False) -> Receiver:
    """A listener with stand-ins for AWS."""
    return Receiver(
        bucket=cast("Bucket", FakeBucket()),
        secrets=cast("NamedSecrets", FakeSecrets(**({} if unsigned else secrets))),
        unsigned=frozenset(secrets) if unsigned else frozenset(),
        clock=lambda: now,
    )


def check_answer(event: dict[str, Any]) -> int:
    """The handler gives an answer that API Gateway understands; its status."""
    answer = app.handler(event, None)
    assert set(answer) <= {"statusCode", "headers", "body", "isBase64Encoded"}
    assert type(answer["statusCode"]) is int
    assert 200 <= answer["statusCode"] < 600
    assert isinstance(answer.get("body", ""), str)
    assert all(isinstance(text, str) for pair in answer["headers"].items() for text in pair)
    return answer["statusCode"]
