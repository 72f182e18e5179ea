"""The SQL of the numbers of an API product; what each means is in usage.py.

Every part of the statement groups by the same columns, and finds the row of all calls under the key ''.
"""

from collections.abc import Sequence
from typing import Final

# What calls are grouped by; the database counts by them, and shows their texts in the end.
GROUPS: Final = {
    "route": "concat_ws(' ', o.method, o.route)",
    "method": "o.method",
    "status": "o.status",
    "api_version": "o.api_version",
    "company": "c.value",
    "user": "u.value",
    "client": "g.user_agent",
    "day": "(a.occurred_at AT TIME ZONE %(zone)s)::date",
    "hour": "date_trunc('hour', a.occurred_at, %(zone)s)",
}
TIMES: Final = ("day", "hour")
OF_CALLS: Final = ("route", "method", "status", "api_version")  # actions have none of these
FILTERS: Final = {
    "routes": "o.route = ANY (%(routes)s)",
    "statuses": "o.status = ANY (%(statuses)s)",
    "companies": "c.value = ANY (%(companies)s)",
    "users": "u.value = ANY (%(users)s)",
}
FILTERS_OF_CALLS: Final = ("routes", "statuses")
ORDERS: Final = {
    "calls": "calls",
    "errors": "errors",
    "server_errors": "server_errors",
    "error_rate_of_calls": "errors::float8 / nullif(calls, 0)",
    "calls_per_minute": "calls",
    "errors_per_minute": "errors",
    "uptime_of_minutes": "up::float8 / nullif(minutes, 0)",
    "milliseconds_average": "average",
    "milliseconds_p50": "p50",
    "milliseconds_p90": "p90",
    "milliseconds_p99": "p99",
    "users": "users",
    "companies": "companies",
    "new_users": "new_users",
    "new_companies": "new_companies",
    "calls_before": "coalesce(before.weight, 0)",
    "growth_of_calls_before": "calls::float8 / nullif(before.weight, 0)",
    "seconds_to_first_success_p50": "success_p50",
    "seconds_to_first_success_p95": "success_p95",
    "transactions": "coalesce(acted.weight, 0)",
    "calls_per_transaction": "calls::float8 / nullif(acted.weight, 0)",
}

_JOINED: Final = """
    FROM activities a
    JOIN operations o ON o.operation_id = a.operation_id AND o.activity_type = '{kind}'
    LEFT JOIN identities u ON u.identity_id = a.identity_id
    LEFT JOIN identities c ON c.identity_id = a.company_id
    LEFT JOIN agents g ON g.agent_id = a.agent_id
"""
_CALLS: Final = _JOINED.format(kind="call")
# How to go about it whatever the statistics say, which know nothing of days that have just been loaded. Unlike a page
# of a search all is joined by hashes, so that nothing is read as often as something else has rows; what a person did
# before is looked up by the index of identities.
SETTINGS: Final = "SET LOCAL enable_hashjoin = on; SET LOCAL enable_nestloop = off; SET LOCAL enable_seqscan = off; "
# Whether somebody made such a call before the range.
EARLIER: Final = """
LEFT JOIN LATERAL (
    SELECT true AS is_known FROM activities a
    WHERE a.{activity} = ANY (ARRAY(SELECT i.identity_id FROM identities i WHERE i.{identity} = {subject}))
      AND (SELECT o.activity_type = 'call' AND {such_before} FROM operations o WHERE o.operation_id = a.operation_id)
      AND a.occurred_at < %(from)s LIMIT 1) AS earlier ON true
"""
# Of whom no such call is known from before the range: where the first one is.
_FIRST: Final = """
first_{name} AS MATERIALIZED (
    SELECT DISTINCT ON (who) who, occurred_at, activity_key
    FROM (SELECT p.{who} AS who FROM (SELECT DISTINCT {who} FROM calls WHERE {who} IS NOT NULL AND {such}) AS p
          {earlier} WHERE is_known IS NULL) AS new
    JOIN {source} ON {source_who} = who AND {source_such}
    ORDER BY who, occurred_at, activity_key
)"""
_ALL_CALLS: Final = f"""(
    SELECT a.occurred_at, a.activity_key, u.person_id, a.company_id, coalesce(o.status >= 400, true) AS is_error
    {_CALLS} WHERE a.occurred_at >= %(from)s AND a.occurred_at < %(to)s) AS unfiltered"""
_WEIGHED: Final = """
    SELECT {key} AS key, sum(weight)::bigint AS weight
    FROM (SELECT {groups} coalesce(a.weight, 1) AS weight {joined}
          WHERE a.occurred_at >= %({begin})s AND a.occurred_at < %({end})s {conditions}) AS activity
    GROUP BY {sets}"""

# The column of a call that says whose it is; that of an activity, and that of its identity, which say so too.
_PEOPLE: Final = ("person_id", "identity_id", "person_id")
_COMPANIES: Final = ("company_id", "company_id", "identity_id")

_STATEMENT: Final = """
WITH calls AS MATERIALIZED (
    SELECT {groups} a.occurred_at, a.activity_key, coalesce(a.weight, 1)::bigint AS weight, a.duration, u.person_id,
           a.company_id, coalesce(o.status >= 400, true) AS is_error, coalesce(o.status >= 500, true) AS is_server_error
    {joined}
    WHERE a.occurred_at >= %(from)s AND a.occurred_at < %(to)s {filters}
),
{firsts},
first_seen AS (
    SELECT f.who, f.occurred_at, f.activity_key, (extract(epoch FROM f.occurred_at) - earliest)::float8 AS seconds
    FROM first_successes f
    CROSS JOIN LATERAL (
        SELECT min(extract(epoch FROM a.occurred_at)) AS earliest FROM activities a
        WHERE a.identity_id = ANY (ARRAY(SELECT i.identity_id FROM identities i WHERE i.person_id = f.who))
          AND a.occurred_at <= f.occurred_at) AS seen
),
counted AS (
    SELECT {names} {key} AS key, coalesce(sum(weight), 0)::bigint AS calls,
           coalesce(sum(weight) FILTER (WHERE is_error), 0)::bigint AS errors,
           coalesce(sum(weight) FILTER (WHERE is_server_error), 0)::bigint AS server_errors,
           count(DISTINCT person_id) AS users, count(DISTINCT company_id) AS companies,
           count(first_users.who) AS new_users, count(first_companies.who) AS new_companies,
           percentile_disc(0.50) WITHIN GROUP (ORDER BY seconds) AS success_p50,
           percentile_disc(0.95) WITHIN GROUP (ORDER BY seconds) AS success_p95
    FROM calls
    LEFT JOIN first_users USING (occurred_at, activity_key)
    LEFT JOIN first_companies USING (occurred_at, activity_key)
    LEFT JOIN first_seen USING (occurred_at, activity_key)
    GROUP BY {sets}
),
by_minute AS (
    SELECT {names} date_trunc('minute', occurred_at) AS minute, {key} AS key, NOT bool_and(is_server_error) AS is_up
    FROM calls GROUP BY {sets_of_minutes}
),
up AS (SELECT key, count(*) FILTER (WHERE is_up) AS up, count(*) AS minutes FROM by_minute GROUP BY key),
by_duration AS (
    SELECT {names} duration, {key} AS key, sum(weight) AS weight
    FROM calls WHERE duration IS NOT NULL GROUP BY {sets_of_durations}
),
lined_up AS (
    SELECT key, duration, weight, sum(weight) OVER (PARTITION BY key ORDER BY duration) AS so_far,
           sum(weight) OVER (PARTITION BY key) AS timed
    FROM by_duration
),
timed AS (
    SELECT key, (sum(duration * weight) / sum(weight))::float8 AS average,
           min(duration) FILTER (WHERE so_far >= 0.50 * timed) AS p50,
           min(duration) FILTER (WHERE so_far >= 0.90 * timed) AS p90,
           min(duration) FILTER (WHERE so_far >= 0.99 * timed) AS p99
    FROM lined_up GROUP BY key
),
before AS ({before}),
acted AS ({acted})
SELECT {names} calls, errors, server_errors, users, companies, coalesce(up, 0), coalesce(minutes, 0), average, p50, p90,
       p99, new_users, new_companies, success_p50, success_p95, coalesce(before.weight, 0), coalesce(acted.weight, 0),
       count(*) OVER ()
FROM counted LEFT JOIN up USING (key) LEFT JOIN timed USING (key)
LEFT JOIN before USING (key) LEFT JOIN acted USING (key)
ORDER BY key <> '', {order} LIMIT %(limit)s + 1
"""


def has_before(groups: Sequence[str]) -> bool:
    """Whether a row of these groups can be held against the period before: days and hours are not in it."""
    return not set(groups) & set(TIMES)


def has_actions(groups: Sequence[str]) -> bool:
    """Whether actions have what calls are grouped by."""
    return not set(groups) & set(OF_CALLS)


def build_statement(
    groups: Sequence[str], filters: Sequence[str], order: str = "", *, descending: bool = False, named: bool = False
) -> str:
    """The SQL of the numbers by these groups: the row of all calls first, then those of the groups.

    `order`: a group or one of `ORDERS`; times, and then the most calls, first if none. `named`: only the transactions
    `%(transactions)s` count.
    """
    columns = [f"by_{name}" for name in groups]  # USER is a word of SQL
    listed = ", ".join(columns)
    key = f"CASE WHEN grouping({columns[0]}) = 1 THEN '' ELSE ROW({listed})::text END" if groups else "''"
    shown = "".join(f"{GROUPS[name]} AS by_{name}, " for name in groups)
    orders = [f"by_{name}" for name in groups if name in TIMES]
    if order:
        column = f"by_{order}" if order in groups else ORDERS[order]
        orders = [f"{column} {'DESC' if descending else 'ASC'} NULLS LAST"]

    def make_sets(more: str = "") -> str:
        sets = [f"({', '.join(filter(None, (listed, more)))})"] if groups else []
        return f"GROUPING SETS ({', '.join([*sets, f'({more})'])})"

    def weigh(kind: str, begin: str, end: str, conditions: Sequence[str], *, grouped: bool) -> str:
        """How many activities there were between, by key; without groups that of all alone."""
        return _WEIGHED.format(
            key=key if grouped else "''",
            groups=shown if grouped else "",
            joined=_JOINED.format(kind=kind),
            begin=begin,
            end=end,
            conditions="".join(f" AND {condition}" for condition in conditions),
            sets=make_sets() if grouped else "()",
        )

    wanted = [FILTERS[name] for name in filters]
    of_actions = [FILTERS[name] for name in filters if name not in FILTERS_OF_CALLS]
    if named:
        of_actions.append("o.name = ANY (%(transactions)s)")
    return SETTINGS + _STATEMENT.format(
        groups=shown,
        joined=_CALLS,
        firsts=",".join(
            (
                _build_first("users", *_PEOPLE, filtered=bool(filters)),
                _build_first("companies", *_COMPANIES, filtered=bool(filters)),
                _build_first("successes", *_PEOPLE, successful=True, filtered=bool(filters)),
            )
        ),
        names="".join(f"{column}, " for column in columns),
        key=key,
        sets=make_sets(),
        sets_of_minutes=make_sets("date_trunc('minute', occurred_at)"),
        sets_of_durations=make_sets("duration"),
        filters="".join(f" AND {condition}" for condition in wanted),
        before=weigh("call", "before", "from", wanted, grouped=has_before(groups)),
        acted=weigh("action", "from", "to", of_actions, grouped=has_actions(groups)),
        order=", ".join([*orders, "calls DESC", *columns]),
    )


def _build_first(name: str, who: str, activity: str, identity: str, *, successful: bool = False, filtered: bool) -> str:
    source, alias = (_ALL_CALLS, "unfiltered") if filtered else ("calls", "calls")
    such_before = "o.status < 400" if successful else "true"
    return _FIRST.format(
        name=name,
        who=who,
        such="NOT is_error" if successful else "true",
        earlier=EARLIER.format(activity=activity, identity=identity, subject=f"p.{who}", such_before=such_before),
        source=source,
        source_who=f"{alias}.{who}",
        source_such=f"NOT {alias}.is_error" if successful else "true",
    )
