"""Where the numbers of an API product come from: packed hours, and the activities of all hours that are not.

Both are rows of arrays (`common/usage_hours.py`), and nothing tells them apart. Hours at the edges of the range, and
those that a day's or week's boundary in the asked zone cuts, are read from the activities as well.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from common.usage_hours import ARRAYS, FIRST_COLUMNS, build_firsts, build_packed

BUCKETS: Final = {
    "day": "({0} AT TIME ZONE %(zone)s)::date",
    "hour": "date_trunc('hour', {0}, %(zone)s)",
    "week": "date_trunc('week', {0} AT TIME ZONE %(zone)s)::date",
}
# How to go about it whatever the statistics say, which know nothing of days that have just been loaded. Unlike a page
# of a search all is joined by hashes, so that nothing is read as often as something else has rows.
SETTINGS: Final = (
    "SET LOCAL enable_hashjoin = on; SET LOCAL enable_nestloop = off; SET LOCAL enable_seqscan = off;"
    " SET LOCAL work_mem = '32MB'; "
)
# The period before the range is told apart from it, and has no bucket.
_HOURS: Final = """
ranges (is_before, first, last) AS ({ranges}),
extent AS (SELECT min(starts_at) AS earliest, max(starts_at) + interval '7 days' AS latest FROM activities_partitions),
packed_hours AS MATERIALIZED (
    SELECT hour FROM usage_hours WHERE ready AND hour <> ALL (ARRAY(SELECT hour FROM usage_stale_hours))
),
whole AS MATERIALIZED (
    SELECT is_before, CASE WHEN NOT is_before THEN {hour_bucket} END AS bucket, hour
    FROM ranges JOIN packed_hours ON hour >= first AND hour <= last - interval '1 hour' {uncut}
),
spans AS MATERIALIZED (
    SELECT is_before, hour, greatest(hour, first) AS low, least(hour + interval '1 hour', last) AS high
    FROM extent CROSS JOIN ranges CROSS JOIN LATERAL generate_series(
        CASE WHEN earliest IS NOT NULL THEN date_trunc('hour', greatest(earliest, first)) END,
        least(latest, last), '1 hour') AS hour
    WHERE hour < last AND (is_before, hour) NOT IN (SELECT is_before, hour FROM whole)
),
hours AS MATERIALIZED (
    SELECT is_before, bucket, hour, {arrays} FROM whole JOIN usage_hours USING (hour)
    UNION ALL ({packed})
)"""
# Of each person and company the first activity of each kind before the range ends.
_FIRSTS: Final = """
others AS MATERIALIZED (
    SELECT hour AS low, least(hour + interval '1 hour', %(to)s) AS high
    FROM extent CROSS JOIN LATERAL generate_series(
        date_trunc('hour', earliest), least(latest, %(to)s), '1 hour') AS hour
    WHERE hour < %(to)s AND hour NOT IN (SELECT hour FROM packed_hours)
),
firsts AS MATERIALIZED (
    SELECT DISTINCT ON (first_of, person_id) first_of, person_id, occurred_at, activity_key, operation_id,
           f.identity_id, company_id, agent_id
    FROM (SELECT {columns} FROM first_activities WHERE occurred_at < %(to)s UNION ALL ({found})) AS f
    JOIN identities i ON i.identity_id = f.who
    ORDER BY first_of, person_id, occurred_at, activity_key
)"""
_LAST_INSTANT: Final = "(hour + interval '1 hour' - interval '1 microsecond')"
# The arrays of an hour, by what an entry of them is called.
_OF_CALLS: Final = {
    "minute": "minutes",
    "outcome": "outcomes",
    "operation_id": "operations",
    "identity_id": "identities",
    "company_id": "companies",
    "agent_id": "agents",
    "duration": "durations",
    "weight": "weights",
}
_OF_ACTIONS: Final = {
    "operation_id": "action_operations",
    "identity_id": "action_identities",
    "company_id": "action_companies",
    "agent_id": "action_agents",
    "weight": "action_weights",
}
_ENTRIES: Final = "(SELECT * FROM (SELECT h.is_before, h.bucket, {unnested} {hours}) AS e WHERE {filter})"
# What a filter asks of an entry, and of which column.
_ASKED: Final = {
    "routes": ("operation_id", "SELECT operation_id FROM operations WHERE route = ANY (%(routes)s)"),
    "statuses": ("operation_id", "SELECT operation_id FROM operations WHERE status = ANY (%(statuses)s)"),
    "companies": ("company_id", "SELECT identity_id FROM identities WHERE value = ANY (%(companies)s)"),
    "users": ("identity_id", "SELECT identity_id FROM identities WHERE value = ANY (%(users)s)"),
    "transactions": ("operation_id", "SELECT operation_id FROM operations WHERE name = ANY (%(transactions)s)"),
}


# Which hours' entries.
RANGE: Final = "FROM hours h WHERE NOT h.is_before"
RANGE_AND_BEFORE: Final = "FROM hours h"
ONE_HOUR: Final = ""  # that of a row `h` without


def build_hours(ranges: str, bucket: str | None) -> str:
    """Table expressions that end with `hours`: is_before, bucket, hour and arrays.

    `ranges`: SQL of rows is_before, first instant, last instant (exclusive). `bucket`: one of BUCKETS; null if none.
    """
    begin, end, own = (_cut(instant, bucket) for instant in ("hour", _LAST_INSTANT, "a.occurred_at"))
    keys = ("s.is_before", f"CASE WHEN NOT s.is_before THEN {own} END", "s.hour")
    return _HOURS.format(
        ranges=ranges,
        hour_bucket=begin,
        uncut=f"AND (is_before OR {begin} = {end})" if bucket else "",
        arrays=", ".join(ARRAYS),
        packed=build_packed("spans", keys),
    )


def build_all_firsts() -> str:
    """Table expressions that end with `firsts`, after those of the hours; `person_id` of a company is its own."""
    return _FIRSTS.format(columns=FIRST_COLUMNS, found=build_firsts("others"))


def build_entries(columns: Sequence[str], filters: Sequence[str], hours: str, *, actions: bool = False) -> str:
    """SQL of a table of the entries that pass the filters: is_before, bucket, and these columns at least.

    `hours`: RANGE, RANGE_AND_BEFORE, or ONE_HOUR.
    """
    arrays: Mapping[str, str] = _OF_ACTIONS if actions else _OF_CALLS
    # The operations come always: weights alone may be null for all.
    read = dict.fromkeys((*columns, *(_ASKED[name][0] for name in filters), "operation_id"))
    unnested = ", ".join(f"unnest(h.{arrays[column]}) AS {column}" for column in read)
    return _ENTRIES.format(unnested=unnested, hours=hours, filter=build_filter(filters))


def build_filter(filters: Sequence[str]) -> str:
    """SQL of what the filters ask of `e`."""
    return " AND ".join(f"(e.{_ASKED[name][0]} IN ({_ASKED[name][1]})) IS TRUE" for name in filters) or "true"


def _cut(instant: str, bucket: str | None) -> str:
    return BUCKETS[bucket].format(instant) if bucket else "NULL"
