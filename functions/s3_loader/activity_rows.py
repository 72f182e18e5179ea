"""Activities and samples as rows of COPY's binary format; see `rows` for the format."""

from collections.abc import Iterable, Iterator
from struct import Struct

from common.activities import COMPANY, Activity, Identity, Series
from common.details import pack_detail
from s3_loader.rows import CHUNK, EPOCH, HEADER, NULL, TRAILER
from s3_loader.short_keys import ShortKeys

COLUMNS = (
    "occurred_at, activity_key, operation_id, batch_id, id_rest,"
    " identity_id, company_id, agent_id, duration, weight, detail"
)

SAMPLE_COLUMNS = "series_id, sampled_at, value"

_pack_sample = Struct(">h ii iq iQ").pack
_pack_stale = Struct(">h ii iq i").pack
_pack_fixed = Struct(">h iq iq ii ii").pack
_pack_long = Struct(">iq").pack
_pack_int = Struct(">ii").pack
_pack_length = Struct(">i").pack


def render_activity(activity: Activity, batch_id: int, keys: ShortKeys) -> bytes:
    """One row, in the order of COLUMNS; the short keys are known."""
    occurred_at, key, rest, operation, identity, company, agent, duration, weight, _, detail = activity
    since = occurred_at - EPOCH
    instant = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    packed = pack_detail(detail, operation.source)
    return b"".join(
        (
            _pack_fixed(11, 8, instant, 8, key, 4, keys.operations[operation], 4, batch_id),
            NULL if rest is None else _pack_long(8, rest),
            NULL if identity is None else _pack_int(4, keys.identities[identity]),
            NULL if company is None else _pack_int(4, keys.identities[Identity(COMPANY, company)]),
            NULL if agent is None else _pack_int(4, keys.agents[agent]),
            NULL if duration is None else _pack_int(4, duration),
            NULL if weight is None else _pack_int(4, weight),
            _pack_length(len(packed)),
            packed,
        )
    )


def render_samples(series: Series, series_id: int) -> bytes:
    """The rows of a series' samples, in the order of SAMPLE_COLUMNS."""
    rows = []
    for at, bits in series.samples:
        since = at - EPOCH
        instant = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
        if bits is None:
            rows.append(_pack_stale(3, 4, series_id, 8, instant, -1))
        else:
            rows.append(_pack_sample(3, 4, series_id, 8, instant, 8, bits))
    return b"".join(rows)


class Chunks:
    """What psycopg2's `copy_expert` reads from: rows are rendered when libpq asks for more."""

    def __init__(self, rows: Iterable[bytes]) -> None:
        self._chunks = self._join(rows)

    @staticmethod
    def _join(rendered: Iterable[bytes]) -> Iterator[bytes]:
        rows = [HEADER]
        size = 0
        for row in rendered:
            rows.append(row)
            size += len(row)
            if size >= CHUNK:
                yield b"".join(rows)
                rows, size = [], 0
        yield b"".join((*rows, TRAILER))

    def read(self, _size: int) -> bytes:
        """The next chunk; empty at the end."""
        return next(self._chunks, b"")
