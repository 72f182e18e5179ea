"""The API calls and actions of each hour, packed; see `summaries` for the way there."""

from common.usage_hours import ARRAYS, FIRST_COLUMNS, build_firsts, build_packed
from summarise_hours.summaries import Steps

_HOURS = "hours"
# What is known to be first stays first, unless something is found to have been earlier.
_KEEP_FIRST = f"""
INSERT INTO first_activities AS known ({FIRST_COLUMNS})
{build_firsts(_HOURS)}
ON CONFLICT (first_of, who) DO UPDATE
SET (occurred_at, activity_key, operation_id, identity_id, company_id, agent_id)
    = (excluded.occurred_at, excluded.activity_key, excluded.operation_id, excluded.identity_id, excluded.company_id,
       excluded.agent_id)
WHERE (excluded.occurred_at, excluded.activity_key) < (known.occurred_at, known.activity_key)
"""
USAGE = Steps(
    announce="""
INSERT INTO usage_hours (hour)
SELECT hour FROM generate_series(
    (SELECT min(starts_at) FROM activities_partitions), %s::timestamptz - interval '1 hour', '1 hour') AS hour
ON CONFLICT DO NOTHING
""",
    await_loads="LOCK TABLE ONLY activities IN SHARE MODE",
    forget_old_marks="DELETE FROM usage_stale_hours WHERE hour < (SELECT min(hour) FROM usage_hours)",
    find_day="""
SELECT hour FROM usage_hours WHERE (NOT ready OR hour IN (SELECT hour FROM usage_stale_hours)) AND hour >= (
    SELECT date_trunc('day', max(hour)) FROM usage_hours
    WHERE NOT ready OR hour IN (SELECT hour FROM usage_stale_hours))
""",
    summarise=f"""
WITH {_HOURS} AS MATERIALIZED (
    SELECT hour AS low, hour + interval '1 hour' AS high FROM unnest(%(hours)s::timestamptz[]) AS hour
),
firsts AS ({_KEEP_FIRST}),
packed AS ({build_packed(_HOURS, ["s.low"])})
UPDATE usage_hours SET ready = true, {", ".join(f"{name} = packed.{name}" for name in ARRAYS)}
FROM {_HOURS} LEFT JOIN packed USING (low)
WHERE usage_hours.hour = {_HOURS}.low
""",
    delete_marks="DELETE FROM usage_stale_hours WHERE hour = ANY(%(hours)s::timestamptz[])",
)
