"""API calls packed by the hour: what the summariser stores of hours that are over, and queries make of all others.

Each call is an entry of arrays that go together: the minute of the hour, the outcome, and what the call has in common
with others, by their ids. So a year of calls is read in some 20 bytes each, and any question can be asked of it.
"""

from collections.abc import Sequence
from typing import Final

# Outcomes.
SUCCESS: Final = 0
ERROR: Final = 1  # a status from 400 on
SERVER_ERROR: Final = 2  # from 500 on, or no answer

CALL_ARRAYS: Final = {
    "minutes": "extract(minute FROM a.occurred_at)::smallint",
    "outcomes": f"(CASE WHEN o.status < 400 THEN {SUCCESS} WHEN o.status < 500 THEN {ERROR} ELSE {SERVER_ERROR} END)"
    "::smallint",
    "operations": "a.operation_id",
    "identities": "a.identity_id",
    "companies": "a.company_id",
    "agents": "a.agent_id",
    "durations": "a.duration",
    "weights": "a.weight",
}
ACTION_ARRAYS: Final = {
    "action_operations": "a.operation_id",
    "action_identities": "a.identity_id",
    "action_companies": "a.company_id",
    "action_agents": "a.agent_id",
    "action_weights": "a.weight",
}
ARRAYS: Final = (*CALL_ARRAYS, *ACTION_ARRAYS)

# Of activities `a` that are joined with their operations `o`: what each could be the first of.
_POSSIBLE_FIRSTS: Final = """
CROSS JOIN LATERAL (VALUES
    ('activity', a.identity_id),
    ('call', CASE WHEN o.activity_type = 'call' THEN a.identity_id END),
    ('success', CASE WHEN o.activity_type = 'call' AND o.status < 400 THEN a.identity_id END),
    ('company', CASE WHEN o.activity_type = 'call' THEN a.company_id END)) AS v (first_of, who)
"""
# Of each span by the index, whatever the planner expects of them: OFFSET keeps it from joining in another way.
_ACTIVITIES: Final = """CROSS JOIN LATERAL (
    SELECT * FROM activities WHERE occurred_at >= s.low AND occurred_at < s.high OFFSET 0) AS a"""
FIRST_COLUMNS: Final = "first_of, who, occurred_at, activity_key, operation_id, identity_id, company_id, agent_id"
_FIRST: Final = """
SELECT DISTINCT ON (first_of, who) first_of, who, a.occurred_at, a.activity_key, a.operation_id, a.identity_id,
       a.company_id, a.agent_id
FROM {spans} AS s
{activities}
JOIN operations o ON o.operation_id = a.operation_id
{possible}
WHERE who IS NOT NULL
ORDER BY first_of, who, a.occurred_at, a.activity_key
"""
_PACKED: Final = """
SELECT {keys}, {arrays}
FROM {spans} AS s
{activities}
JOIN operations o ON o.operation_id = a.operation_id AND o.activity_type IN ('call', 'action')
GROUP BY {groups}
"""
# Neighbours are alike then, and compress well.
_ORDER: Final = "a.company_id, a.identity_id, a.operation_id, a.occurred_at"


def build_packed(spans: str, keys: Sequence[str]) -> str:
    """SQL of a row of keys and ARRAYS for each of the keys, which are of spans `s` or activities `a`; null: of none.

    `spans`: a table with columns low and high.
    """
    arrays = [_gather(name, value, "call") for name, value in CALL_ARRAYS.items()]
    arrays += [_gather(name, value, "action") for name, value in ACTION_ARRAYS.items()]
    groups = ", ".join(str(number + 1) for number in range(len(keys)))
    return _PACKED.format(
        spans=spans, activities=_ACTIVITIES, keys=", ".join(keys), arrays=",\n       ".join(arrays), groups=groups
    )


def build_firsts(spans: str) -> str:
    """SQL of FIRST_COLUMNS: of each identity what it did first within the spans (low, high)."""
    return _FIRST.format(spans=spans, activities=_ACTIVITIES, possible=_POSSIBLE_FIRSTS)


def _gather(name: str, value: str, activity_type: str) -> str:
    such = f"FILTER (WHERE o.activity_type = '{activity_type}')"
    gathered = f"array_agg({value} ORDER BY {_ORDER}) {such}"
    if name.endswith("weights"):
        gathered = f"CASE WHEN bool_or(a.weight IS NOT NULL) {such} THEN {gathered} END"
    return f"{gathered} AS {name}"
