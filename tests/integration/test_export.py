import csv
import gzip
import hashlib
import io
import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from psycopg2.extensions import connection as Connection

from common.aws import AwsError
from common.errors import ApiError
from common.objects import StoredObject
from export_events.exporting import Exporter, Stream
from query_events import events_message, exports
from query_events.answers import Answer, answer_error, build_response
from query_events.export_files import LIFE, PAUSE, QUEUE, RUNNING, SILENCE, ExportFiles, name_export
from query_events.export_text import COLUMNS
from query_events.routing import Caller, Request
from tests.declared import check_answer
from tests.integration.batches import make_event
from tests.integration.conftest import NOW, Connect
from tests.integration.lookups import BLIND, make_loader
from tests.integration.requests import REP, make_request

(ROUTE,) = exports.ROUTES
(SEARCH,) = events_message.ROUTES
RANGE = {"from": "2026-11-01", "to": "2026-11-21T12:00"}


class FakeBucket:
    """Objects in memory."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def get(self, key: str) -> StoredObject:
        """As `Bucket.get`."""
        if key not in self.objects:
            raise AwsError(404, "", "s3 GetObject")
        return StoredObject(self.objects[key], {})

    def put(self, key: str, body: bytes) -> None:
        """As `Bucket.put`."""
        self.objects[key] = body

    def put_new(self, key: str, body: bytes, _metadata: Mapping[str, str], _digest: str) -> bool:
        """As `Bucket.put_new`."""
        return key not in self.objects and self.objects.setdefault(key, body) is body

    def presign(self, key: str, seconds: int, file_name: str) -> str:
        """A link that names all of it."""
        return f"https://s3/{key}?{seconds}&{file_name}"

    def upload_fileobj(self, stream: Any, _bucket: str, key: str, **_more: Any) -> None:
        """As boto3's, in parts of 1,000 bytes."""
        self.objects[key] = b"".join(iter(lambda: stream.read(1_000), b""))


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> FakeBucket:
    """The bucket of exports, empty."""
    fake = FakeBucket()
    monkeypatch.setattr(exports, "_files", lambda: ExportFiles(fake))  # type: ignore[arg-type]
    return fake


@pytest.fixture
def query(connect: Connect) -> Connection:
    """The query function's connection; there are 50 events of two recipients, four at a time."""
    load = make_loader(connect("mailwake_loader"))
    load(
        *(make_event(str(n), age=600 + n // 4, rcpt_to=f"{'ab'[n % 2]}@example.com", subject="=1+1") for n in range(50))
    )
    connection = connect("mailwake_query")
    connection.autocommit = True
    return connection


def ask(connection: Connection, *, caller: Caller = REP, at: datetime = NOW, **given: Any) -> Answer:
    """The answer, or the error as one; each as it is declared."""
    try:
        answer = ROUTE.answer(Request(lambda: connection, at, caller, ROUTE.path, {}, RANGE | given))
    except ApiError as error:
        answer = answer_error(error)
    assert isinstance(answer, Answer)
    check_answer("GET", ROUTE.path, answer.status, build_response(answer, {})["headers"], answer.body)
    return answer


def search(connection: Connection, caller: Caller = REP, **given: str) -> list[dict[str, Any]]:
    """What the search finds, page after page."""
    results: list[dict[str, Any]] = []
    given = RANGE | given | {"per_page": "7", "cursor": "initial"}
    while given:
        page = make_request(connection, SEARCH, given, caller)
        results += page["results"]
        given = dict(parse_qsl(urlsplit(page["links"].get("next", "")).query))
    return results


def read_lines(text: bytes) -> list[dict[str, Any]]:
    """The rows of NDJSON."""
    return [json.loads(line) for line in text.splitlines()]


def make_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing fits into an answer."""
    monkeypatch.setattr(exports, "LARGEST_RESULTS", 0)


def work(connect: Connect, bucket: FakeBucket, may_go_on: Callable[[], bool] = lambda: True) -> None:
    """The exporter does what is asked for."""
    exporter = Exporter(
        connect=lambda: connect("mailwake_query"),
        files=ExportFiles(bucket),  # type: ignore[arg-type]
        client=bucket,
        bucket="exports",
    )
    for key in [key for key in bucket.objects if key.startswith("requests/")]:
        exporter.export(key.removeprefix("requests/").removesuffix(".json"), may_go_on)


@pytest.mark.parametrize("caller", [REP, BLIND], ids=["rep", "blind"])
@pytest.mark.parametrize(
    "given", [{}, {"recipients": "a@example.com"}, {"events": "bounce"}, {"not.campaigns": "x"}], ids=str
)
def test_small_export_is_the_answer(
    bucket: FakeBucket, query: Connection, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], caller: Caller
) -> None:
    """The lines are what the search finds, with the same masks, from however many pages; nothing is written."""
    monkeypatch.setattr(exports, "PAGE", 7)
    answer = ask(query, caller=caller, **given)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/x-ndjson; charset=utf-8")
    assert read_lines(answer.body) == search(query, caller, **given)
    assert bucket.objects == {}


def test_csv_has_stable_columns(bucket: FakeBucket, query: Connection) -> None:
    """RFC 4180 with a heading; what a spreadsheet would take for a formula begins with an apostrophe."""
    answer = ask(query, format="csv", recipients="b@example.com")
    assert answer.body.count(b"\r\n") == 26
    rows = list(csv.DictReader(io.StringIO(answer.body.decode(), newline="")))
    assert tuple(rows[0]) == COLUMNS
    assert {(row["rcpt_to"], row["subject"], row["bounce_class"]) for row in rows} == {("b@example.com", "'=1+1", "")}
    assert [row["event_key"] for row in rows] == [row["event_key"] for row in search(query, recipients="b@example.com")]


def test_parts_are_the_whole_file() -> None:
    """Read in parts of whatever size, a stream is the gzip of all chunks; it knows its size."""
    chunks = [hashlib.sha512(bytes([n])).digest() * (1 + n % 3) for n in range(200)]
    for size in (1, 700, 100_000):
        stream = Stream(chunks)
        parts = list(iter(partial(stream.read, size), b""))
        assert gzip.decompress(b"".join(parts)) == b"".join(chunks)
        assert stream.size == sum(map(len, parts))
        assert all(len(part) == size for part in parts[:-1])


@pytest.mark.parametrize("caller", [REP, BLIND], ids=["rep", "blind"])
def test_large_export_is_a_file(
    bucket: FakeBucket, query: Connection, connect: Connect, monkeypatch: pytest.MonkeyPatch, caller: Caller
) -> None:
    """202 until it is written, then a link; the file holds what the search finds, masked alike."""
    make_large(monkeypatch)
    first = ask(query, caller=caller)
    assert (first.status, first.headers) == (202, {"retry-after": "5"})
    asked = json.loads(first.body)
    assert (asked["state"], asked["events"], asked["progress"]) == ("waiting", 0, 0)
    work(connect, bucket)
    last = ask(query, caller=caller)
    found = json.loads(last.body)
    assert (last.status, found["state"], found["events"], found["progress"]) == (200, "done", 50, 1)
    name = name_export(asked["id"], "ndjson")
    assert found["url"].startswith(f"https://s3/{name}?3600&events-")
    assert found["bytes"] == len(bucket.objects[name])
    assert read_lines(gzip.decompress(bucket.objects[name])) == search(query, caller)


def test_same_request_is_the_same_export(
    bucket: FakeBucket, query: Connection, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a day, also where its range is relative; another filter, format or sight of addresses is another one."""
    make_large(monkeypatch)
    first = json.loads(ask(query).body)
    later = NOW + timedelta(minutes=10)
    assert json.loads(ask(query, at=later).body) == first
    others = [ask(query, caller=BLIND), ask(query, format="csv"), ask(query, recipients="a@example.com")]
    assert len({first["id"], *(json.loads(answer.body)["id"] for answer in others)}) == 4
    work(connect, bucket)
    before = dict(bucket.objects)
    work(connect, bucket)
    assert bucket.objects == before
    assert json.loads(ask(query, at=NOW + LIFE - timedelta(seconds=1)).body)["id"] == first["id"]
    assert ask(query, at=NOW + LIFE).status == 202


@pytest.mark.parametrize(
    "given",
    [
        {"anything": "x"},
        {"per_page": "9", "cursor": "initial", "total": "none", "subjects": " "},
        {"recipients": "B@example.com,a@example.com , a@example.com"},
        {"recipients": "a@example.com|b@example.com", "delimiter": "|"},
        {"from": "2026-11-01T01:00+01:00"},
    ],
    ids=str,
)
def test_what_means_nothing_makes_no_other_export(
    bucket: FakeBucket, query: Connection, monkeypatch: pytest.MonkeyPatch, given: dict[str, str]
) -> None:
    """Unknown and empty parameters, the page, the order of a list, how a value is written: the same id."""
    make_large(monkeypatch)
    usual = {"recipients": "a@example.com,b@example.com"}
    questions: list[dict[str, Any]] = [usual, usual | given]
    ids = {json.loads(ask(query, **question).body)["id"] for question in questions}
    assert len(ids) == 1
    assert len([key for key in bucket.objects if key.startswith("requests/")]) == 1


def test_one_key_may_begin_so_many_an_hour(
    bucket: FakeBucket, query: Connection, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then 429 until the next hour; others, small ones and those that were asked for before go on."""
    monkeypatch.setenv("EXPORTS_PER_HOUR", "2")
    assert ask(query, recipients="a@example.com", campaigns="small").status == 200
    make_large(monkeypatch)
    at = NOW.replace(minute=59, second=30)
    people = [f"{letter}@example.com" for letter in "ab"]
    assert [ask(query, at=at, recipients=each).status for each in people] == [202, 202]
    work(connect, bucket)
    assert ask(query, at=at, recipients=people[0]).status == 200
    before = dict(bucket.objects)
    refused = ask(query, at=at)
    assert (refused.status, refused.headers["retry-after"]) == (429, "30")
    assert json.loads(refused.body)["errors"][0]["message"] == "Too many large exports"
    assert bucket.objects == before
    assert ask(query, at=at, caller=BLIND).status == 202
    assert ask(query, at=at + timedelta(seconds=30)).status == 202


def test_any_number_where_there_is_no_limit(
    bucket: FakeBucket, query: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the setting 0 says."""
    monkeypatch.setenv("EXPORTS_PER_HOUR", "0")
    make_large(monkeypatch)
    assert {ask(query, to=f"2026-11-21T12:{minute}").status for minute in range(10, 40)} == {202}
    assert not [key for key in bucket.objects if key.startswith("status/begun/")]


def test_silent_exporter_is_taken_for_dead(
    bucket: FakeBucket, query: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was begun and has not been heard of for long begins anew; what waits for others has longer."""
    make_large(monkeypatch)
    first = json.loads(ask(query).body)
    assert json.loads(ask(query, at=NOW + QUEUE - timedelta(seconds=1)).body) == first
    again = json.loads(ask(query, at=NOW + QUEUE).body)
    assert again["id"] == first["id"]
    assert again["began_at"] > first["began_at"]
    files = ExportFiles(bucket)  # type: ignore[arg-type]
    status = files.read_status(first["id"])
    assert status is not None
    files.write_status(first["id"], status.change(NOW + QUEUE, state=RUNNING))
    assert json.loads(ask(query, at=NOW + QUEUE + SILENCE - timedelta(seconds=1)).body)["state"] == RUNNING
    assert json.loads(ask(query, at=NOW + QUEUE + SILENCE).body)["state"] == "waiting"


def test_export_that_takes_too_long_says_so(
    bucket: FakeBucket, query: Connection, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 with what to do, and another try for who asks later."""
    make_large(monkeypatch)
    export_id = json.loads(ask(query).body)["id"]
    work(connect, bucket, lambda: False)
    assert name_export(export_id, "ndjson") not in bucket.objects
    answer = ask(query)
    assert (answer.status, b"shorter range" in answer.body) == (503, True)
    status = ExportFiles(bucket).read_status(export_id)  # type: ignore[arg-type]
    assert status is not None
    assert status.holds(datetime.fromisoformat(status.changed_at) + PAUSE - timedelta(seconds=1))
    assert not status.holds(datetime.fromisoformat(status.changed_at) + PAUSE)


def test_export_that_fails_says_so(
    bucket: FakeBucket,
    query: Connection,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whoever waits hears of it; the log names the place and no value."""
    make_large(monkeypatch)
    ask(query, recipients="a@example.com")

    def fail(*_arguments: object, **_more: object) -> None:
        raise RuntimeError("a@example.com")

    monkeypatch.setattr(bucket, "upload_fileobj", fail)
    work(connect, bucket)
    answer = ask(query, recipients="a@example.com")
    assert (answer.status, b"our mistake" in answer.body) == (503, True)
    assert "failed" in caplog.text
    assert "example.com" not in str([vars(record) for record in caplog.records])


@pytest.mark.parametrize(
    ("given", "status"),
    [({"format": "xml"}, 400), ({"anything": "x"}, 200), ({"from": "yesterday"}, 400), ({"metadata.a": "b"}, 403)],
    ids=str,
)
def test_what_cannot_be_exported(bucket: FakeBucket, query: Connection, given: dict[str, Any], status: int) -> None:
    """Errors are those of the search."""
    assert ask(query, caller=BLIND, **given).status == status
