"""Samples of Prometheus's remote write, versions 1.0 and 2.0.

Source: "Prometheus Remote-Write Specification". A version that is not known is a 415: a body of the second read as one
of the first would seem empty. Native histograms and exemplars are not kept: who sends them is told 400 with the numbers
of what was written beside them, as the specification asks of a partial write, and does not send it again. What
Prometheus itself forgives is forgiven: no content type or encoding at all, labels that are not sorted, empty labels.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from common.activities import Activity, Sample, Series
from common.errors import ApiError
from common.events import Json, Unparseable
from providers import Delivery, Reply, WebhookRequest
from sources import Item
from sources._remote_write import TimeSeries, read_series, sort_labels
from sources._snappy import decompress

SOURCE: Final = "prometheus"
COLLECTIONS: Final = {"/prometheus/api/v1/write": "write"}
MOST: Final = (
    8 * 1024 * 1024
)  # bytes of a message; Prometheus sends some 200 KB, VictoriaMetrics' agent so many at most
STALE: Final = 0x7FF0000000000002  # the value that ends a series
TYPE: Final = "application/x-protobuf"
VERSIONS: Final = {"": False, "prometheus.WriteRequest": False, "io.prometheus.write.v2.Request": True}
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
YEARS: Final = range(253_402_300_800_000)  # milliseconds that a datetime can hold, from 1970 on
HEADER: Final = "x-prometheus-remote-write-{}-written"


def answer(_path: str) -> Reply | None:
    """There is nothing to get."""
    return None


def accept(request: WebhookRequest) -> Reply:
    """What the sender is told once the body is stored: how much is written. Raises `ApiError`: 400, 415."""
    headers = request.headers
    second = read_version(headers.get("content-type", ""))
    if second is None or headers.get("content-encoding", "").strip().lower() not in ("snappy", ""):
        problem = f"Send {TYPE} of remote write 1.0 or 2.0, compressed by snappy."
        raise ApiError(415, "Unsupported media type", problem)
    written = histograms = exemplars = 0
    problem = ""
    try:
        for one in read_series(decompress(request.body, MOST), second=second):
            found = find_problem(one)
            written += 0 if found else len(one.samples)
            histograms += one.histograms
            exemplars += one.exemplars
            problem = problem or found
    except (ValueError, MemoryError) as failure:
        raise ApiError(400, "Bad request", f"The body can't be read: {show_failure(failure)}.") from None
    counts = {HEADER.format("samples"): str(written), HEADER.format("histograms"): "0", HEADER.format("exemplars"): "0"}
    if not problem and not histograms and not exemplars:
        return Reply(204, "", counts)
    problem = problem or f"{histograms} native histograms and {exemplars} exemplars are not kept"
    error = {"message": "Bad request", "description": f"Not all was written: {problem}.", "code": "400"}
    return Reply(400, json.dumps({"errors": [error]}), counts)


def show_failure(failure: Exception) -> str:
    """Why a body can't be read."""
    return "a text is not UTF-8" if isinstance(failure, UnicodeDecodeError) else str(failure) or "it is too large"


def read_version(content_type: str) -> bool | None:
    """Whether a content type is that of the second version; None for any other type. None at all is the first's."""
    media_type, *parameters = [part.strip() for part in content_type.split(";")]
    if media_type.lower() not in (TYPE, ""):
        return None
    given = dict(part.partition("=")[::2] for part in parameters)
    return VERSIONS.get(given.get("proto", ""))


def find_problem(series: TimeSeries) -> str:
    """Why a series can't be kept; empty if it can."""
    try:
        sort_labels(series.labels)
    except ValueError as failure:
        return str(failure)
    if any(at not in YEARS for at, _ in series.samples):
        return "a sample's time is out of range"
    return ""


def parse(body: bytes, delivery: Delivery) -> Iterator[Item]:
    """The series of a message, each with its samples."""
    second = read_version(delivery.content_type)
    if second is None:
        yield Unparseable(None, "its content type is not that of remote write", None)
        return
    try:
        found = list(read_series(decompress(body, MOST), second=second))
    except (ValueError, MemoryError) as failure:
        yield Unparseable(None, show_failure(failure), None)
        return
    for position, series in enumerate(found):
        problem = find_problem(series)
        if problem:
            yield Unparseable(position, problem, _show(series))
            continue
        if series.histograms or series.exemplars:
            yield Unparseable(position, "native histograms and exemplars are not kept", _show(series))
        if series.samples:
            yield Series(SOURCE, sort_labels(series.labels), _read_samples(series.samples), position)


def _read_samples(samples: Sequence[tuple[int, int]]) -> list[Sample]:
    return [Sample(EPOCH + timedelta(milliseconds=at), None if bits == STALE else bits) for at, bits in samples]


def _show(series: TimeSeries) -> Json:
    return {"labels": series.labels, "samples": len(series.samples)}


def restore(_activity: Activity) -> Json:
    """Samples are no activities."""
    raise NotImplementedError
