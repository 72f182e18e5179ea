"""Activities and samples as rows of COPY's binary format; see `rows` for the format."""

from collections.abc import Iterator, Sequence
from struct import Struct

from common.activities import COMPANY, Activity, Identity, Operation, Series
from common.details import pack_details
from s3_loader.properties import clean_properties
from s3_loader.rows import EPOCH, NULL
from s3_loader.short_keys import ShortKeys

# What each activity says for itself, then what many share.
COLUMNS = (
    "occurred_at, activity_key, id_rest, duration, weight, detail,"
    " operation_id, batch_id, identity_id, company_id, agent_id, properties"
)

SAMPLE_COLUMNS = "series_id, sampled_at, value"
AT_ONCE = 128  # activities whose details are compressed by one call, and that are sent at once

_pack_sample = Struct(">h ii iq iQ").pack
_pack_stale = Struct(">h ii iq i").pack
_pack_usual = Struct(">h iq iq iq ii i i").pack  # the number of columns, then each length and value, the weight none
_pack_fixed = Struct(">h iq iq").pack
_pack_long = Struct(">iq").pack
_pack_int = Struct(">ii").pack
_pack_length = Struct(">i").pack
_pack_jsonb = Struct(">ib").pack  # length, version


def render_activities(activities: Sequence[Activity], batch_id: int, keys: ShortKeys) -> Iterator[bytes]:
    """The rows of activities of one source, some at a time, in the order of COLUMNS; the short keys are known."""
    batch = _pack_int(4, batch_id)
    operations: dict[Operation, bytes] = {}
    customers: dict[tuple[Identity | None, str | None, str | None], bytes] = {}
    for first in range(0, len(activities), AT_ONCE):
        some = activities[first : first + AT_ONCE]
        details = pack_details([one.detail for one in some], some[0].operation.source)
        pieces: list[bytes] = []
        for activity, detail in zip(some, details, strict=True):
            occurred_at, key, rest, operation, identity, company, agent, duration, weight, _, _, properties = activity
            since = occurred_at - EPOCH
            instant = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
            if rest is not None and duration is not None and weight is None:
                own = _pack_usual(12, 8, instant, 8, key, 8, rest, 4, duration, -1, len(detail))
            else:
                own = b"".join(
                    (
                        _pack_fixed(12, 8, instant, 8, key),
                        NULL if rest is None else _pack_long(8, rest),
                        _render_int(duration),
                        _render_int(weight),
                        _pack_length(len(detail)),
                    )
                )
            what = operations.get(operation)
            if what is None:
                what = operations[operation] = _render_int(keys.operations[operation]) + batch
            who = customers.get((identity, company, agent))
            if who is None:
                who = customers[identity, company, agent] = b"".join(
                    (
                        _render_int(None if identity is None else keys.identities[identity]),
                        _render_int(None if company is None else keys.identities[Identity(COMPANY, company)]),
                        _render_int(None if agent is None else keys.agents[agent]),
                    )
                )
            properties = None if properties is None else clean_properties(properties)
            if properties is None:
                pieces += own, detail, what, who, NULL
            else:
                pieces += own, detail, what, who, _pack_jsonb(len(properties) + 1, 1), properties
        yield b"".join(pieces)


def _render_int(value: int | None) -> bytes:
    return NULL if value is None else _pack_int(4, value)


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
