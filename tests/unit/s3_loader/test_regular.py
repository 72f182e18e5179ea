import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from bench.traffic import batches
from common.events import Event, Unparseable
from providers import sparkpost
from providers._sparkpost_regular import FIELDS, parse_regular
from s3_loader import library, regular
from s3_loader.batches import Expired
from s3_loader.dimensions import Dimensions
from s3_loader.regular import Rendered, Renderer, open_renderer, place
from s3_loader.rows import render_row
from s3_loader.touched import Touched

PAYLOADS = Path(__file__).parents[2] / "payloads" / "sparkpost"
ALWAYS = 2**60
PLAIN = {
    "type": "delivery",
    "event_id": "7",
    "timestamp": "1454442600",
    "rcpt_to": "ada@example.com",
    "raw_rcpt_to": "ada@example.com",
    "recipient_domain": "example.com",
}


def build(*, event_class: str = "message_event", **fields: Any) -> bytes:
    """A body with one regular event, and these fields in it."""
    return encode([{"msys": {event_class: PLAIN | fields}}])


def encode(items: Any) -> bytes:
    """Their JSON as SparkPost writes it."""
    return json.dumps(items, ensure_ascii=False, separators=(",", ":")).encode()


def make_renderer(user_field: str = "user_id") -> Renderer:
    """A new one, with its dimensions."""
    renderer = open_renderer(Dimensions(user_field))
    if renderer is None:
        pytest.skip("libregular.so could not be compiled here")
    return renderer


def render(body: bytes, *, earliest: int = 0, latest: int = ALWAYS) -> Rendered | None:
    """What a new renderer makes of a body."""
    return make_renderer().render(body, 5, earliest=earliest, latest=latest)


def split(body: bytes) -> list[bytes]:
    """The items of a JSON array, as they came."""
    text, items = body.decode(), []
    decode = json.JSONDecoder().raw_decode
    at = text.index("[") + 1
    while (at := at + len(text[at:]) - len(text[at:].lstrip(" \t\r\n,"))) < len(text) and text[at] != "]":
        _, end = decode(text, at)
        items.append(text[at:end].encode())
        at = end
    return items


def count_microseconds(at: datetime) -> int:
    """Since 1970."""
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def compare(body: bytes, found: Rendered, dimensions: Dimensions) -> None:
    """Holds what was made of a body against what Python makes of each of its items, letter by letter."""
    items = split(body)
    assert found.count + len(found.odd) == len(items)
    assert split(found.rest) == [items[position] for position in found.odd]
    events = []
    for position, item in enumerate(items):
        if position not in found.odd:
            (event,) = list(parse_regular(b"[" + item + b"]") or ())
            assert type(event) is Event, item
            events.append(event)
    assert found.rows == b"".join(render_row(event, 5, dimensions) for event in events)
    touched = Touched()
    list(touched.watch(events, dimensions.user_field, dimensions.user_mark))
    assert found.addresses == {key: count_microseconds(at) for key, at in touched._addresses.items()}
    assert found.users == {key: count_microseconds(at) for key, at in touched._users.items()}
    assert not list(touched._suppressed.build())


def test_traffic_becomes_the_same_rows() -> None:
    """Over many bodies, what was met before and what is new; nearly nothing is odd."""
    renderer, dimensions = make_renderer(), Dimensions()
    odd = 0
    for body in batches(7000, seed=5):
        found = renderer.render(body, 5, earliest=0, latest=ALWAYS)
        assert found is not None
        compare(body, found, dimensions)
        odd += len(found.odd)
        assert [event._replace(position=0) for event in sparkpost.parse(found.rest) if type(event) is Event] == [
            event._replace(position=0)
            for event in sparkpost.parse(body)
            if type(event) is Event and event.position in found.odd
        ]
    assert odd < 7000 * 0.02
    assert count_fresh(dimensions) == count_fresh(renderer._dimensions)


@pytest.mark.parametrize("path", sorted(PAYLOADS.glob("*.json")), ids=lambda path: path.stem)
def test_samples_become_the_same_rows(path: Path) -> None:
    """SparkPost's own samples, spaces and all."""
    body = path.read_bytes()
    found = render(body)
    if found is not None:
        compare(body, found, Dimensions())


REGULAR: list[dict[str, Any]] = [
    {
        "subject": 'Say "hi"\\\n\t/é 😀',
        "raw_reason": 'a "b" \\ \b\f\n\r\t / é😀',
        "target_link_url": "https://é.example/?",
    },
    {"type": "delay", "bounce_class": "22", "error_code": "452", "raw_reason": "452 4.2.2 full", "reason": "452 full"},
    {"subject": "é€", "raw_reason": "é€ \x7f\u07ff\u0800\uffff", "campaign_id": "a\u2028b"},
    {"type": "delay", "error_code": 421},
    {"type": "delay", "error_code": None, "raw_reason": "slow"},
    {"user_agent": "x"},
    {"user_agent": "x", "user_agent_parsed": {"is_prefetched": True}},
    {"user_agent": "null", "user_agent_parsed": {"os": {"is_prefetched": True}, "is_prefetched": False}},
    {"rcpt_tags": []},
    {"rcpt_tags": ["a", 'b"c', "é"]},
    {"raw_rcpt_to": "Ada@Example.com"},
    {"raw_rcpt_to": "é\x7f@example.com"},
    {"geo_ip": {"zip": None, "nested": [[], {}, [1, -2.5, True, False, "x"]]}, "msg_size": 12, "relay_id": None},
    {"open_tracking": True, "click_tracking": False, "transactional": "1"},
    {"rcpt_meta": {"user_id": "u1", "other": {"user_id": "u2"}}},
    {"rcpt_meta": {"user_id": 17}},
    {"rcpt_meta": {"user_id": -17}},
    {"rcpt_meta": {"user_id": 0}},
    {"rcpt_meta": {"user_id": 1.5}},
    {"rcpt_meta": {"user_id": ""}},
    {"rcpt_meta": {"user_id": None}},
    {"rcpt_meta": {"user_id": ["u1"]}},
    {"rcpt_meta": {"user_id": "é" * 300}},
    {"rcpt_meta": {"inner": {"user_id": "u2"}}},
    {"message_id": "m" * 600},
    {"event_id": str(2**63 - 1)},
]


@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize("spaces", [None, 1])
@pytest.mark.parametrize("fields", REGULAR)
def test_regular_event_becomes_the_same_row(fields: dict[str, Any], spaces: int | None, *, ascii_only: bool) -> None:
    """Escapes, spaces, users and replies of servers are read as Python reads them."""
    items = [{"msys": {"message_event": PLAIN | fields}}] * 2
    body = json.dumps(items, indent=spaces, ensure_ascii=ascii_only).encode()
    found = render(body)
    assert found is not None
    escaped = (rb"\ud", rb'_to": "\u', rb'_id": "\u')  # halves of pairs, and escapes where texts are compared
    assert found.odd == ([0, 1] if any(mark in body for mark in escaped) else [])
    compare(body, found, Dimensions())


VALUES: list[Any] = [{}, [1, 2, 3], "text", None]
ODD_FIELDS: list[dict[str, Any]] = [
    *({"type": name} for name in ("bounce", "out_of_band", "spam_complaint", "something_new", "open")),
    *({"timestamp": value} for value in ("01454442600", "2016-02-02T19:50:00Z", 1454442600, "", "145444260000")),
    *({"event_id": value} for value in ("07", "x", "", 7, None, str(2**63), "9" * 20, "-7")),
    *({"rcpt_to": value} for value in ("Ada@example.com", "é@example.com", " a@b.c", "a@b.c ", "", "a" * 601, None)),
    *({"raw_rcpt_to": value} for value in ('a"b@example.com', "", None)),
    *({"bounce_class": value} for value in ("x", "01", "0", "123456", 10)),
    *({"rcpt_meta": value} for value in VALUES),
    {"rcpt_meta": {"user_id": "a\nb"}},
    {"rcpt_meta": {"user_id": "x" * 601}},
    {"rcpt_meta": {"na\nme": 1}},
    {"rcpt_meta": {"number": 1e300}},
    {"rcpt_meta": {"number": 12345678901234567890}},
    {"rcpt_tags": [1]},
    {"rcpt_tags": "a"},
    {"user_agent_parsed": {"os_family": "iOS"}},
    {"user_agent": "x", "user_agent_parsed": [1]},
    {"reason": "without the raw one"},
    {"message_id": "m" * 601},
    {"campaign_id": None},
    {"campaign_id": ""},
    {"transactional": 1},
    {"transactional": ""},
    {"a_new_field": 1},
    {"subject": "a\0b"},
    {"geo_ip": {"city": "a\ud800b"}},
    {"geo_ip": {"city": "a\udc00b"}},
]


@pytest.mark.parametrize("fields", ODD_FIELDS)
def test_odd_event_is_left_to_python(fields: dict[str, Any]) -> None:
    """Between others it is told of by its position, and given back as it came."""
    odd = json.dumps({"msys": {"message_event": PLAIN | fields}}).encode()
    plain = build()[1:-1]
    found = render(b"[" + b" , ".join([plain, odd, plain]) + b"]")
    assert found is not None
    assert (found.count, found.odd, found.rest) == (2, [1], b"[" + odd + b"]")


@pytest.mark.parametrize(
    "item",
    [
        b'{"msys":{}}',
        b'{"msys":null}',
        b"{}",
        b"7",
        b'"msys"',
        b'{"msys":{"message_event":{}}}',
        build()[1:-2] + b',"sibling":1}',
        build()[1:-3] + b',"track_event":{}}}',
        build()[1:-1].replace(b"message_event", b"track_event"),
        build()[1:-1].replace(b'"type"', b'"\\u0074ype"'),
        build()[1:-1].replace(b'{"type"', b'{"type":"delivery","type"'),
        build(rcpt_meta={"user_id": "a"})[1:-1].replace(b'{"user_id"', b'{"user_id":"b","user_id"'),
        build(rcpt_meta={"user_id": "a"})[1:-1].replace(b'"a"', b"-0"),
        build()[1:-1].replace(b'"7"', rb'"7","subject":"\u005cn"'),
    ],
)
def test_odd_item_is_left_to_python(item: bytes) -> None:
    """Pings, other shapes, names that come twice or escaped."""
    found = render(b"[" + item + b"]")
    assert found is not None
    assert (found.count, found.odd, found.rest) == (0, [0], b"[" + item + b"]")
    assert found.rows == b""


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"[", b"{}", b"[]x", b"[1,]", b"[,1]", b"[1 2]", b"\xef\xbb\xbf[]", b"[NaN]", b"[01]", b"[1.]", b"[-]"),
        *(b"[1e]", b'["\x01"]', b'["\\x"]', b'["\\u12"]', b'["\\u12g4"]', b'["\xff"]', b'["\xed\xa0\x80"]', b'["a]'),
        *(
            b'["\xc0\x80"]',
            b'["\xf4\x90\x80\x80"]',
            b'["\xe2\x82"]',
            b'["\xe0\x80\x80"]',
            b'[{"a":1,}]',
            b'[{"a"}]',
            b"[tru]",
            b"[nulL]",
        ),
        b"[" * 100 + b"]" * 100,
        build()[:-1],
        build()[:-2],
    ],
)
def test_other_bodies_are_refused(body: bytes) -> None:
    """What is no array, no JSON, no UTF-8, or nested deeply goes to Python as a whole."""
    assert render(body) is None


def test_many_odd_items_are_refused() -> None:
    """A list of all of them would take more memory than the body itself."""
    found = render(b"[" + b",".join([b"0"] * 10_000) + b"]")
    assert found is not None
    assert len(found.odd) == 10_000
    assert render(b"[" + b",".join([b"0"] * 10_001) + b"]") is None


def test_empty_body_is_nothing() -> None:
    """An array without items gives no rows."""
    assert render(b" [ ] \n") == Rendered(b"", 0, [], b"[]", {}, {})


def mutate(body: bytes, draw: Random) -> bytes:
    """A body that is a little wrong, or says something else."""
    at = draw.randrange(len(body))
    tokens = (
        b'"',
        b"\\",
        b"\\n",
        b"\\u00e9",
        b"\\u0000",
        b"{",
        b"}",
        b",",
        b":",
        b"0",
        b"-0",
        b"1e5",
        b"null",
        b"true",
    )
    match draw.randrange(5):
        case 0:
            return body[:at] + bytes((draw.randrange(256),)) + body[at + 1 :]
        case 1:
            return body[:at] + body[at + draw.randrange(12) :]
        case 2:
            return body[:at] + draw.choice(tokens) + body[at:]
        case 3:
            begin = draw.randrange(len(body))
            return body[:at] + body[begin : begin + draw.randrange(60)] + body[at:]
        case _:
            quotes = [index for index, byte in enumerate(body) if byte == 0x22]
            at, other = draw.choice(quotes), draw.choice(quotes)
            return body[:at] + body[other : body.index(b'"', other + 1) if other != quotes[-1] else None] + body[at:]


def test_damaged_bodies_become_the_same_rows() -> None:
    """Whatever of a damaged body is rendered, Python makes of it too."""
    draw = Random(7)
    bodies = list(batches(24, seed=13, batch_size=2)) + [
        encode([{"msys": {"message_event": PLAIN | each}}]) for each in REGULAR
    ]
    renderer, dimensions = make_renderer(), Dimensions()
    rendered = 0
    for _ in range(6000):
        body = draw.choice(bodies)
        for _ in range(draw.randrange(1, 4)):
            body = mutate(body, draw)
        found = renderer.render(body, 5, earliest=0, latest=ALWAYS)
        if found is not None:
            compare(body, found, dimensions)
            rendered += found.count
    assert rendered > 500


def make_value(draw: Random) -> Any:
    """Something that a field could say."""
    texts = (
        "",
        "a",
        "ä",
        "a@b.c",
        "A@b.c",
        "7",
        "0",
        "10",
        "421 4.7.0 later",
        'q"',
        "b\\",
        "n\n",
        "true",
        "null",
        "\x7f",
        "😀",
    )
    match draw.randrange(8):
        case 0:
            return draw.choice((True, False, None, 0, 7, -3, 1.5, 10**17, 10**20, 1e300))
        case 1:
            return draw.choice(({}, [], ["t"], ["t", 1], {"user_id": draw.choice(texts)}, {"a": {"user_id": 3}}))
        case 2:
            return {
                draw.choice(("user_id", "is_prefetched", "é", "x")): make_value(draw) for _ in range(draw.randrange(4))
            }
        case _:
            return draw.choice(texts)


def test_random_events_become_the_same_rows() -> None:
    """Whatever fields come with whatever values, in whatever order."""
    draw = Random(11)
    renderer, dimensions = make_renderer(), Dimensions()
    rendered = 0
    for _ in range(3000):
        event_class, provider_type = draw.choice(
            (
                ("message_event", "delivery"),
                ("message_event", "delay"),
                ("track_event", "open"),
                ("track_event", "click"),
            )
        )
        fields: dict[str, Any] = PLAIN | {"type": provider_type, "event_id": str(draw.randrange(1, 2**64))}
        fields |= {name: make_value(draw) for name in draw.sample(FIELDS[4:], draw.randrange(1, 5))}
        items = draw.sample(sorted(fields.items()), len(fields))
        body = json.dumps([{"msys": {event_class: dict(items)}}], ensure_ascii=draw.random() < 0.3).encode()
        found = renderer.render(body, 5, earliest=0, latest=ALWAYS)
        assert found is not None
        compare(body, found, dimensions)
        rendered += found.count
    assert rendered > 300


def test_times_beyond_the_limits_are_odd() -> None:
    """An event on a limit is rendered, one beyond it is for Python to say what is wrong."""
    at = int(PLAIN["timestamp"]) * 1_000_000
    for earliest, latest, odd in ((at, at, []), (at + 1, ALWAYS, [0]), (0, at - 1, [0])):
        found = render(build(), earliest=earliest, latest=latest)
        assert found is not None
        assert found.odd == odd


def test_user_field_is_the_dimensions() -> None:
    """Which of the metadata names the user is a setting, whatever its name."""
    for field in ("customer", "größe", 'a"b', ""):
        body = build(rcpt_meta={field: "u1", "user_id": "u2"})
        found = make_renderer(field).render(body, 5, earliest=0, latest=ALWAYS)
        assert found is not None
        compare(body, found, Dimensions(field))
        assert found.odd == ([0] if '"' in field else [])


def count_fresh(dimensions: Dimensions) -> int:
    """Rows that are still to be inserted."""
    return sum(len(dimension._fresh) for dimension in dimensions._all)


def test_forgotten_keys_are_asked_for_again() -> None:
    """What is not stored, or no more, is fresh again; what is stored is not."""
    renderer = make_renderer()
    dimensions, body = renderer._dimensions, next(batches(350))
    assert renderer.render(body, 5, earliest=0, latest=ALWAYS) is not None
    fresh = count_fresh(dimensions)
    assert fresh > 50
    assert renderer.render(body, 5, earliest=0, latest=ALWAYS) is not None
    assert count_fresh(dimensions) == fresh
    dimensions.use_state("another")
    assert count_fresh(dimensions) == 0
    found = renderer.render(body, 5, earliest=0, latest=ALWAYS)
    assert found is not None
    assert count_fresh(dimensions) == fresh
    compare(body, found, Dimensions())


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables that became too large are forgotten, and made anew."""
    monkeypatch.setattr(regular, "REMEMBERED", 10_000)
    renderer, dimensions = make_renderer(), Dimensions()
    for body in batches(1400, seed=3):
        for _ in range(2):
            found = renderer.render(body, 5, earliest=0, latest=ALWAYS)
            assert found is not None
            compare(body, found, dimensions)
            assert all(renderer._result.fresh[table].count for table in range(5))


def test_rest_has_its_positions() -> None:
    """What Python makes of the odd items says where they were in the whole body."""
    plain, odd, broken = build()[1:-1], build(type="bounce")[1:-1], b'{"msys":{"message_event":{"type":7}}}'
    found = render(b"[" + b",".join([plain, broken, plain, odd]) + b"]")
    assert found is not None
    items: Iterator[Event | Unparseable | Expired] = place(sparkpost.parse(found.rest), found.odd)
    unparseable, event = items
    assert type(unparseable) is Unparseable
    assert type(event) is Event
    assert (unparseable.position, event.position) == (1, 3)
    assert list(place([Expired(event), Unparseable(None, "", None)], [])) == [
        Expired(event),
        Unparseable(None, "", None),
    ]


def test_fields_are_in_the_librarys_order() -> None:
    """The library knows the first fields by their place."""
    source = (Path(__file__).parents[3] / "layers" / "postgres" / "regular" / "regular.c").read_text(encoding="utf-8")
    names = source.partition("enum {\n")[2].partition("    SENDER")[0]
    assert [name.strip().lower() for name in names.split(",") if name.strip()] == list(FIELDS[:15])
    assert [FIELDS[place] for place in (15, 19, 28, 33, 37)] == [
        "friendly_from",
        "customer_id",
        "campaign_id",
        "recipient_domain",
        "ab_test",
    ]


def test_missing_library_is_said_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Without it, or with what is none, there is no renderer, and the log says why."""
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    open_library = regular._open_library.__wrapped__
    assert open_library() is None
    assert "is missing" in caplog.text
    (tmp_path / library.LIBRARY).write_bytes(b"none")
    assert open_library() is None
    assert "can't be used" in caplog.text
    monkeypatch.setattr(regular, "_open_library", lambda: None)
    assert open_renderer(Dimensions()) is None
