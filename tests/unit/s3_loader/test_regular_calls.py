import json
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest

from bench.calls import write_calls
from common.activities import COMPANY, Activity, Identity
from common.events import Unparseable
from s3_loader import regular_calls
from s3_loader.activity_rows import render_activities
from s3_loader.batches import Batch, Limits
from s3_loader.contents import count_items, join_contents, list_hours, read_content
from s3_loader.library import LIBRARY
from s3_loader.regular_calls import Scanned, Scanner, open_scanner
from s3_loader.short_keys import ShortKeys
from sources import _moesif_regular, find_source, moesif
from sources._moesif_regular import parse_regular
from tests.unit.s3_loader.test_regular import mutate, split
from tests.unit.sources.samples import CALL
from tests.unit.sources.test_moesif import ABSENT, change
from tests.unit.sources.test_moesif_regular import ABSENT_PLACES, MORE_PLACES, MORE_VALUES

EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


class Numbers(dict[Any, int]):
    """Keys of whatever is asked for."""

    def __missing__(self, what: object) -> int:
        number = self[what] = len(self) + 1
        return number


def make_scanner() -> Scanner:
    """A new one, whose keys are made up."""
    keys = ShortKeys()
    keys.operations, keys.agents, keys.identities = Numbers(), Numbers(), Numbers()
    scanner = open_scanner(keys)
    if scanner is None:
        pytest.skip("libregular.so could not be compiled here")
    return scanner


def scan(body: bytes, *, earliest: datetime = EARLIEST, latest: datetime = LATEST) -> Scanned | None:
    """What a new scanner makes of a body."""
    return make_scanner().scan(body, earliest=earliest, latest=latest)


def learn(scanner: Scanner, *scans: Scanned) -> None:
    """As the loader does before it asks for rows; what is unknown must be right by then."""
    scanner.renew(scans)
    operations, agents, identities = scanner.list_unknown()
    assert all(scanner._keys.operations[one] for one in operations)
    assert all(scanner._keys.agents[one] for one in agents)
    assert all(scanner._keys.identities[one] for one in identities)
    scanner.learn()


def compare(body: bytes, found: Scanned, scanner: Scanner) -> int:
    """Holds what was made of a body against what Python makes of each of its items, letter by letter."""
    items = split(body) if body.lstrip()[:1] == b"[" else [body]
    odd, rest = found.list_odd()
    assert found.count + len(odd) == len(items)
    assert split(rest) == [items[position].strip() for position in odd]
    activities = []
    for position, item in enumerate(items):
        if position not in odd:
            (activity,) = list(parse_regular(b"[" + item + b"]") or ())
            assert type(activity) is Activity, item
            activities.append(activity)
    learn(scanner, found)
    keys = scanner._keys
    assert found.render(5) == b"".join(render_activities(activities, 5, keys))
    times: dict[int, datetime] = {}
    for one in activities:
        for identity in (one.identity, one.company and Identity(COMPANY, one.company)):
            if identity:
                number = keys.identities[identity]
                times[number] = min(times.get(number, one.occurred_at), one.occurred_at)
    touched: dict[int, datetime] = {}
    for number, at in found.find_touched():
        instant = EARLIEST + at * MILLISECOND
        touched[number] = min(touched.get(number, instant), instant)
    assert touched == times
    hours = found.list_hours()
    assert sorted(hours) == sorted({one.occurred_at.replace(minute=0, second=0, microsecond=0) for one in activities})
    return found.count


def test_traffic_becomes_the_same_rows() -> None:
    """Over many bodies, what was met before and what is new; nothing is odd."""
    scanner = make_scanner()
    for body in write_calls(5, 5000, 250):
        found = scanner.scan(body, earliest=EARLIEST, latest=LATEST)
        assert found is not None
        assert compare(body, found, scanner) == 250


WRITERS: dict[str, Any] = {
    "compact": lambda items: json.dumps(items, separators=(",", ":"), ensure_ascii=False),
    "ascii": json.dumps,
    "spaced": lambda items: json.dumps(items, indent=1, ensure_ascii=False),
}
HEADERS: list[dict[str, Any]] = [
    {},
    {"User-Agent": "a/1"},
    {"Host": "h", "user-agent": 'b "c" \\ é\n\t'},
    {"user-agent": "b", "Host": "h", "X": 'a "b" \\ \n\r\t\b\f é\x7f\u2028/'},
    {"User-Agent": "a", "user-agent": "b"},
    {"User-Agent": ""},
    {"User-Agent": None},
    {"User-Agent": "x" * 301},
    {"A": True, "B": False, "C": None},
    {"A": 1},
    {"A": ["x"]},
    {"é\n": "x", "": ""},
    {f"H{number}": "x" for number in range(70)},
]
METADATA: list[Any] = [
    {},
    [],
    {"a": 1.5, "b": [1, {"c": None}]},
    {"a": 1e300},
    {"a": 1e5},
    {"a": "7e4210", "b": 1},
    {"a": "7e4210", "b": 1.50},
    {"a": "7e4210 "},
    {"a": "é7E+421"},
    {"a": "9" * 100},
    {"a": int("9" * 100)},
    {"a": 12345678901234567890},
    {"a": "x" * 8000},
    {"a": "x\0y"},
    {"a": "\\u0000"},
    {"a": "😀"},
    {"a": '\\ " / é'},
    {"a": -0.0, "1e999": "e12"},
]
URIS = [
    "https://api.example.com", "https://api.example.com/", "https://api.example.com?x=/1/2", "//5/6", "/5", "5/5", "",
    "/", "https://5/5", "http://x/a/b@c/12345678/deadbeef/dead-beef-1/cus_9s6XKzkNRiz8i3", "x/" * 90 + "5", "/1" * 60,
    "/1" * 61, "/a/0d9ef7a1-5c36-4f0e-9b1c-8a3f6f1f2a55/x#y/5?z", "/\u0664\u0665/\u0664", "/é/5", "x" * 299,
    "/" + "x" * 301, "/0/{id}",
]  # fmt: skip


@pytest.mark.parametrize("writer", WRITERS)
def test_values_become_the_same_rows(writer: str) -> None:
    """Whatever a field holds, by whomever it is written: rows of what is understood, the rest told apart."""
    items: list[Any] = [
        change(CALL, place, value)
        for place in MORE_PLACES
        for value in MORE_VALUES
        if not (value is ABSENT and place in ABSENT_PLACES)
    ]
    items += [change(CALL, "request.headers", headers) for headers in HEADERS]
    items += [change(CALL, "metadata", metadata) for metadata in METADATA]
    items += [change(CALL, "request.uri", uri) for uri in URIS]
    scanner, understood = make_scanner(), 0
    for first in range(0, len(items), 40):
        body = WRITERS[writer](items[first : first + 40]).encode("utf-8", "surrogatepass")
        found = scanner.scan(body, earliest=EARLIEST, latest=LATEST)
        if found is None:
            for item in items[first : first + 40]:
                body = WRITERS[writer]([item]).encode("utf-8", "surrogatepass")
                found = scanner.scan(body, earliest=EARLIEST, latest=LATEST)
                if found is not None:
                    understood += compare(body, found, scanner)
        else:
            understood += compare(body, found, scanner)
    assert understood > len(items) / 4


def test_usual_calls_are_understood() -> None:
    """A call as clients send it, also one without a user, an answer or an agent."""
    items = [CALL]
    for place in ("user_id", "company_id", "response", "response.time", "request.headers", "weight", "direction"):
        items += [change(CALL, place, ABSENT)]
    items += [change(CALL, place, "2026-11-21T11:00:00.300") for place in ("request.time", "response.time")]
    items += [change(CALL, place, None) for place in ("user_id", "company_id", "session_token", "metadata", "response")]
    items += [change(CALL, "weight", weight) for weight in (0, 1, 2, None, 999_999_999)]
    timeless = change(CALL, "response.time", ABSENT)
    items += [change(timeless, "request.time", f"2024-{day}T23:59:59.999Z") for day in ("02-29", "01-01", "12-31")]
    values: list[Any] = ["😀", 1e300, 10**30, "\\ud800", "é\0", [[]]]
    items += [change(CALL, "response.body", value) for value in values]
    found = scan(json.dumps(items).encode())
    assert found is not None
    assert found.list_odd() == ([], b"[]")


ODD: list[tuple[str, Any]] = [
    ("transaction_id", ABSENT),
    ("transaction_id", "t-1"),
    ("transaction_id", "0D9EF7A1-5C36-4F0E-9B1C-8A3F6F1F2A55"),
    ("unknown", 1),
    ("request.unknown", 1),
    ("response.status", "200"),
    ("response.status", 10_000),
    ("response.time", "2026-11-21T10:00:00.000Z"),
    ("request.time", "2026-02-29T11:00:00.000Z"),
    ("request.time", "2026-11-31T11:00:00.000Z"),
    ("request.time", "2026-11-21T24:00:00.000Z"),
    ("request.time", "2026-11-21T11:00:60.000Z"),
    ("request.time", "2026-00-21T11:00:00.000Z"),
    ("request.time", "2026-11-21T11:00:00Z"),
    ("request.verb", "BREW"),
    ("user_id", 7),
    ("user_id", "x" * 601),
    ("direction", "Sideways"),
    ("request.headers", {"A": 1}),
    ("request.headers", {"User-Agent": 1}),
    ("metadata", {"a": "\0"}),
    *(("response.body", [half]) for half in ("\ud83d", "\ude00", "\ude00\ud83d", "\ud83dx", "\ud83d\ud83d")),
]


@pytest.mark.parametrize(("place", "value"), ODD)
def test_odd_call_is_left_to_python(place: str, value: object) -> None:
    """Between others it is told of by its position, and given back as it came."""
    plain, odd = json.dumps(CALL).encode(), json.dumps(change(CALL, place, value)).encode()
    found = scan(b"[" + b" , ".join([plain, odd, plain]) + b"]")
    assert found is not None
    assert found.count == 2
    assert found.list_odd() == ([1], b"[" + odd + b"]")


def test_single_call_is_understood() -> None:
    """A body may be one call, too, or one thing that is none."""
    scanner = make_scanner()
    for item, odd in ((CALL, []), ({**CALL, "other": 1}, [0]), ({}, [0])):
        body = json.dumps(item).encode()
        found = scanner.scan(b" " + body + b"\n", earliest=EARLIEST, latest=LATEST)
        assert found is not None
        assert found.list_odd()[0] == odd
        compare(body, found, scanner)


@pytest.mark.parametrize(
    "body",
    [
        *(
            b"",
            b"[",
            b"[]x",
            b"[1,]",
            b"{}{}",
            b"{},{}",
            b"7",
            b"null",
            b'["\xff"]',
            b"[{}",
            b"{",
            b"[" * 100 + b"]" * 100,
        ),
        json.dumps([CALL]).encode()[:-1],
        json.dumps([CALL, CALL]).encode()[:-3],
    ],
)
def test_other_bodies_are_refused(body: bytes) -> None:
    """What is no JSON, or neither calls nor a call, goes to Python as a whole; what came of its begin is forgotten."""
    scanner = make_scanner()
    assert scanner.scan(body, earliest=EARLIEST, latest=LATEST) is None
    assert scanner.list_unknown() == (set(), set(), set())
    whole = json.dumps([CALL]).encode()
    found = scanner.scan(whole, earliest=EARLIEST, latest=LATEST)
    assert found is not None
    assert compare(whole, found, scanner) == 1


def test_damaged_bodies_become_the_same_rows() -> None:
    """Whatever of a damaged body is rendered, Python makes of it too."""
    draw, scanner, understood = Random(7), make_scanner(), 0
    bodies = list(write_calls(3, 24, 2)) + [
        json.dumps([change(CALL, "request.headers", headers)], separators=(",", ":")).encode() for headers in HEADERS
    ]
    for _ in range(6000):
        body = draw.choice(bodies)
        for _ in range(draw.randrange(1, 4)):
            body = mutate(body, draw)
        found = scanner.scan(body, earliest=EARLIEST, latest=LATEST)
        if found is not None:
            understood += compare(body, found, scanner)
    assert understood > 500


def test_times_beyond_the_limits_are_odd() -> None:
    """A call on a limit is rendered, one beyond it is for Python to say what is wrong."""
    at = datetime.fromisoformat(CALL["request"]["time"])
    tick = timedelta(microseconds=1)
    body = json.dumps([CALL]).encode()
    for earliest, latest, odd in ((at, at, []), (at + tick, LATEST, [0]), (EARLIEST, at - tick, [0])):
        found = scan(body, earliest=earliest, latest=latest)
        assert found is not None
        assert found.list_odd()[0] == odd


def test_forgotten_keys_are_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scans that were made before keys became untrue, or too many, are made again, and say the same."""
    scanner = make_scanner()
    bodies = list(write_calls(5, 300, 100))
    for limit in (2**40, 1):
        monkeypatch.setattr(regular_calls, "REMEMBERED", limit)
        scans = [scanner.scan(body, earliest=EARLIEST, latest=LATEST) for body in bodies]
        scanner._keys.use_generation("first")
        scanner._keys.use_generation("another")
        found = cast("list[Scanned]", scans)
        learn(scanner, *found)
        assert sum(map(compare, bodies, found, [scanner] * 3)) == 300
        scanner._keys.use_generation("third")
        scanner.renew(found)
        assert len(scanner.list_unknown()[0]) > 20
        learn(scanner, *found)


def test_memory_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a body took serves the next one, but for what a large one took."""
    scanner, body = make_scanner(), json.dumps([CALL]).encode()
    for usual, kept in ((regular_calls.USUAL, 1), (10, 0), (regular_calls.USUAL, 1)):
        monkeypatch.setattr(regular_calls, "USUAL", usual)
        for _ in range(3):
            assert scanner.scan(body, earliest=EARLIEST, latest=LATEST) is not None
        assert len(scanner._free) == kept


def test_rows_need_their_keys() -> None:
    """Rows with keys that are not there are not made."""
    scanner = make_scanner()
    found = scanner.scan(json.dumps([CALL]).encode(), earliest=EARLIEST, latest=LATEST)
    assert found is not None
    with pytest.raises(RuntimeError):
        found.render(5)
    with pytest.raises(RuntimeError):
        list(found.find_touched())


def test_content_says_the_same_by_both_ways() -> None:
    """What is set aside, what is past the retention, positions and counts do not depend on the way."""
    now = datetime(2026, 11, 21, 12, tzinfo=UTC)
    times = ("2025-01-01T00:00:00.000Z", "2026-11-01T00:00:00.000Z", "2026-11-23T00:00:00.000Z")
    items: list[Any] = [CALL, *(change(CALL, "request.time", time) for time in times), {}, 7, CALL]
    items += [change(CALL, "transaction_id", "t-1"), change(CALL, "user_id", [])]
    limits = Limits(timedelta(days=100), datetime(2026, 11, 10, tzinfo=UTC))
    batch = Batch("raw/moesif/x", "moesif", None, None, now, json.dumps(items).encode(), query="events")
    source = find_source("moesif")
    assert source is not None
    scanner = make_scanner()
    quick, slow = read_content(source, batch, limits, scanner), read_content(source, batch, limits)
    assert (quick.expired, count_items(quick)) == (slow.expired, count_items(slow)) == (1, 3)
    assert [one.count for one in quick.scans] == [2]
    assert quick.activities == [one for one in slow.activities if one.position == 7]
    assert quick.unparseable._kept == slow.unparseable._kept
    assert {type(one) for one in quick.unparseable._kept} == {Unparseable}
    assert join_contents([quick, slow]).scans == [*quick.scans]
    assert list_hours(quick) == [datetime(2026, 11, 21, 11, tzinfo=UTC)]
    for other in (batch._replace(query="actions"), batch._replace(provider="segment"), batch._replace(body=b"[")):
        assert not read_content(source, other, limits, scanner).scans


def test_fields_are_in_the_librarys_order() -> None:
    """The library knows the fields by their place, and the same words."""
    path = Path(__file__).parents[3] / "layers" / "postgres" / "regular" / "calls.c"
    lists = {
        name: tuple(re.findall('"(.+?)"', values))
        for name, values in re.findall(r"(\w+)\[\] = \{([^}]+), NULL\};", path.read_text(encoding="utf-8"))
    }
    assert lists.pop("CALL_FIELDS") == _moesif_regular._Call.__struct_fields__
    assert lists.pop("REQUEST_FIELDS") == _moesif_regular._Request.__struct_fields__
    assert lists.pop("RESPONSE_FIELDS") == _moesif_regular._Response.__struct_fields__
    assert set(lists.pop("VERBS")) == _moesif_regular.METHODS
    assert lists.pop("DIRECTIONS") == moesif.DIRECTIONS
    assert not lists


def test_missing_library_is_said_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Without it, or with what is none, there is no scanner, and the log says why."""
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    open_library = regular_calls._open_library.__wrapped__
    assert open_library() is None
    assert "is missing" in caplog.text
    (tmp_path / LIBRARY).write_bytes(b"none")
    assert open_library() is None
    assert "can't be used" in caplog.text
    monkeypatch.setattr(regular_calls, "_open_library", lambda: None)
    assert open_scanner(ShortKeys()) is None
