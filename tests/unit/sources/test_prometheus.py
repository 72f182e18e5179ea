import json
import struct
from datetime import UTC, datetime
from random import Random

import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.activities import Sample, Series
from common.errors import ApiError
from common.events import Unparseable
from providers import Delivery, Reply, WebhookRequest
from sources import Item, _remote_write, prometheus
from sources._snappy import decompress
from tests.integration.conftest import NOW
from tests.unit.sources.remote_write import (
    FIRST,
    SECOND,
    STALE,
    compress,
    make_field,
    make_first,
    make_second,
    make_varint,
)

AT = 1_795_262_400_000
UP = ((("__name__", "up"), ("job", "api")), ((AT, 1.0), (AT + 15_000, STALE)))
CALLS = ((("__name__", "calls_total"), ("company_id", "acme"), ("user_id", "ann")), ((AT, 12.5),))
HISTOGRAM = {FIRST: make_field(4, b""), SECOND: make_field(3, b"")}
EXEMPLAR = {FIRST: make_field(3, b""), SECOND: make_field(4, b"")}

each_version = pytest.mark.parametrize(("content_type", "make"), [(FIRST, make_first), (SECOND, make_second)])


def parse(body: bytes, content_type: str) -> list[Item]:
    """What a body says."""
    return list(prometheus.parse(body, Delivery(NOW, content_type, "write")))


def accept(body: bytes, content_type: str, encoding: str = "snappy") -> Reply:
    """What its sender is told."""
    headers = {"content-type": content_type, "content-encoding": encoding}
    return prometheus.accept(WebhookRequest("prometheus", "POST", headers, body))


def ask(body: bytes, content_type: str, encoding: str = "snappy") -> int:
    """The status that its sender gets."""
    try:
        return accept(body, content_type, encoding).status
    except ApiError as error:
        return error.status


def count(reply: Reply) -> list[str]:
    """The numbers of what was written: samples, histograms, exemplars."""
    return [
        reply.headers[f"x-prometheus-remote-write-{kind}-written"] for kind in ("samples", "histograms", "exemplars")
    ]


@each_version
def test_series_are_read(content_type: str, make: type) -> None:
    """Labels, times and values of both versions; the stale marker ends a series."""
    body = cramjam.snappy.compress_raw(make([UP, CALLS]))
    instant = datetime.fromtimestamp(AT / 1000, UTC)
    (one,) = struct.unpack("<Q", struct.pack("<d", 1.0))
    (value,) = struct.unpack("<Q", struct.pack("<d", 12.5))
    assert parse(bytes(body), content_type) == [
        Series("prometheus", UP[0], [Sample(instant, one), Sample(instant.replace(second=15), None)], 0),
        Series("prometheus", CALLS[0], [Sample(instant, value)], 1),
    ]


@each_version
def test_what_is_written_is_counted(content_type: str, make: type) -> None:
    """204 with the numbers that the second version asks for."""
    reply = accept(compress(make([UP, CALLS])), content_type)
    assert (reply.status, reply.body, count(reply)) == (204, "", ["3", "0", "0"])


@each_version
@pytest.mark.parametrize("kind", [HISTOGRAM, EXEMPLAR])
def test_what_is_not_kept_is_told(content_type: str, make: type, kind: dict[str, bytes]) -> None:
    """Native histograms and exemplars: 400 with what was written beside them, and a line in the quarantine."""
    body = compress(make([UP], kind[content_type]))
    reply = accept(body, content_type)
    assert (reply.status, count(reply)) == (400, ["2", "0", "0"])
    told = "1 native histograms and 0 exemplars" if kind is HISTOGRAM else "0 native histograms and 1 exemplars"
    assert json.loads(reply.body)["errors"][0]["description"] == f"Not all was written: {told} are not kept."
    assert [type(one) for one in parse(body, content_type)] == [Unparseable, Series]


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ([("job", "x")], "it has no label __name__"),
        ([("__name__", "a"), ("b", "1"), ("b", "2")], "a label is there twice"),
        ([("", "x"), ("__name__", "a")], "a label has no name"),
        ([("__name__", "a\0")], "a label has characters that can't be stored"),
    ],
)
@each_version
def test_wrong_labels_are_refused(content_type: str, make: type, labels: list[tuple[str, str]], reason: str) -> None:
    """A series that can't be told from others is told to its sender; the others are written."""
    body = compress(make([(labels, [(AT, 1.0)]), UP]))
    reply = accept(body, content_type)
    assert (reply.status, count(reply)[0]) == (400, "2")
    wrong, right = parse(body, content_type)
    assert isinstance(wrong, Unparseable)
    assert wrong.reason == reason
    assert isinstance(right, Series)


def test_labels_are_sorted() -> None:
    """Some senders do not sort, or send empty labels: as Prometheus, we forgive it."""
    (series,) = parse(compress(make_first([((("z", "1"), ("e", ""), ("__name__", "up")), [(AT, 1.0)])])), FIRST)
    assert isinstance(series, Series)
    assert series.labels == (("__name__", "up"), ("z", "1"))


@pytest.mark.parametrize(
    ("content_type", "encoding", "status"),
    [
        ("application/json", "snappy", 415),
        ("application/x-protobuf;proto=io.prometheus.write.v3.Request", "snappy", 415),
        (FIRST, "gzip", 415),
        (FIRST, "zstd", 415),
        ("application/x-protobuf; proto=prometheus.WriteRequest", "snappy", 204),
        ("", "", 204),
    ],
)
def test_unknown_types_are_refused(content_type: str, encoding: str, status: int) -> None:
    """415 for what we would misread; who says nothing sends the first version."""
    assert ask(compress(make_first([UP])), content_type, encoding) == status


@pytest.mark.parametrize("body", [b"", b"\xff" * 12, b"\x05\x00", compress(b"\x0a\x05\x0a"), compress(b"\x0b")])
@pytest.mark.parametrize("content_type", [FIRST, SECOND])
def test_damaged_body_is_400(body: bytes, content_type: str) -> None:
    """What nobody can read is refused, and would be set aside."""
    with pytest.raises(ApiError) as raised:
        accept(body, content_type)
    assert raised.value.status == 400
    (found,) = parse(body, content_type)
    assert isinstance(found, Unparseable)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (make_field(1, b"\x12\x00" * 500_000), "more than 500000 fields"),  # samples
        (b"\x0a\x00" * 500_001, "more than 500000 fields"),  # series
        (make_field(1, make_field(1, b"\x38\x01" * 500_000)), "more than 500000 fields"),  # in a label
        (b"\x00" * (prometheus.MOST + 1), "more than 8388608 bytes"),
    ],
)
def test_work_has_an_end(message: bytes, reason: str) -> None:
    """A small body that unpacks to millions of things is refused at once, and would be set aside."""
    body = bytes(cramjam.snappy.compress_raw(message))
    with pytest.raises(ApiError) as raised:
        accept(body, FIRST)
    assert raised.value.status == 400
    assert reason in raised.value.description
    (found,) = parse(body, FIRST)
    assert isinstance(found, Unparseable)
    assert reason in found.reason


def test_references_have_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packed references count as fields do."""
    monkeypatch.setattr(_remote_write, "MOST_FIELDS", 30)
    few, many = (make_field(4, b"") + make_field(5, make_field(1, b"\x00" * size)) for size in (20, 40))
    assert len(list(_remote_write.read_series(few, second=True))) == 1
    with pytest.raises(ValueError, match="more than 30 fields"):
        list(_remote_write.read_series(many, second=True))


def test_pieces_have_an_end() -> None:
    """A block of a million copies is refused, however small what it unpacks to."""
    with pytest.raises(ValueError, match="more than 1000000 pieces"):
        decompress(make_varint(4 * 1_000_001) + b"\x0cabcd" + b"\x01\x04" * 1_000_000, prometheus.MOST)


@pytest.mark.parametrize("length", [0, 1, 126, 127, 128, 300])
@each_version
def test_labels_of_any_length(content_type: str, make: type, length: int) -> None:
    """Names and values, short and long, in any order, and with fields that we don't know."""
    labels = tuple(sorted({"__name__": "n" + "x" * length, "a" * (length + 1): "\u00e9" * length + "1"}.items()))
    (series,) = parse(bytes(cramjam.snappy.compress_raw(make([(labels, [(AT, 1.0)])]))), content_type)
    assert isinstance(series, Series)
    assert series.labels == labels


def test_label_in_other_orders() -> None:
    """Protocol Buffers leave the order of fields open, and those that we don't know are skipped."""
    name, value = make_field(1, b"__name__"), make_field(2, b"up")
    sample = make_field(2, b"\x10" + make_varint(AT) + b"\x09" + struct.pack("<d", 1.0) + b"\x18\x05")
    for label in (value + name, name + b"\x18\x05" + value, make_field(1, b"x") + name + value):
        body = bytes(cramjam.snappy.compress_raw(make_field(1, sample + make_field(1, label))))
        (series,) = parse(body, FIRST)
        assert isinstance(series, Series)
        assert (series.labels, len(series.samples)) == ((("__name__", "up"),), 1)


@given(st.binary(max_size=300), st.integers(0, 2**32))
def test_snappy_is_read_as_its_library_writes_it(piece: bytes, seed: int) -> None:
    """Literals and copies of all forms give the content back."""
    random = Random(seed)
    content = b"".join(piece[random.randrange(len(piece) + 1) :] for _ in range(random.randrange(400)))
    assert decompress(bytes(cramjam.snappy.compress_raw(content)), len(content)) == content


@given(st.data())
def test_no_body_breaks_anything(data: st.DataObject) -> None:
    """A changed body is read, refused or set aside; nothing else is raised."""
    content_type, make = data.draw(st.sampled_from([(FIRST, make_first), (SECOND, make_second)]))
    message = bytearray(make([UP, CALLS]))
    for _ in range(data.draw(st.integers(1, 4))):
        message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    body = compress(bytes(message)) if data.draw(st.booleans()) else bytes(message)
    assert ask(body, content_type) in (204, 400)
    parse(body, content_type)
