"""The SQL of the numbers of an API product; what each means is in usage.py.

Each number is counted by ids first, then by the names that stand for them. Every part of the statement ends in groups
of the same columns, and finds the row of all calls under the key ''.
"""

from collections.abc import Sequence
from typing import Final

from common.usage_hours import ERROR, SERVER_ERROR
from query_events.usage_hours import (
    BUCKETS,
    ONE_HOUR,
    RANGE,
    RANGE_AND_BEFORE,
    SETTINGS,
    build_all_firsts,
    build_entries,
    build_filter,
    build_hours,
)

# What calls are grouped by: the code that an entry is counted by, and the text that is shown in the end. Operations
# that share a text are counted under the first of them.
_CODE: Final = "(SELECT by_{0} FROM operation_codes)[operation_id]"
GROUPS: Final = {
    "route": (_CODE.format("route"), "concat_ws(' ', {0}.method, {0}.route)"),
    "method": (_CODE.format("method"), "{0}.method"),
    "status": (_CODE.format("status"), "{0}.status"),
    "api_version": (_CODE.format("api_version"), "{0}.api_version"),
    "company": ("company_id", "{0}.value"),
    "user": ("identity_id", "{0}.value"),
    "client": ("agent_id", "{0}.user_agent"),
    "day": ("bucket", "{0}"),
    "hour": ("bucket", "{0}"),
}
# Where the texts are, but for those of operations.
_TABLES: Final = {
    "company": ("identities", "identity_id"),
    "user": ("identities", "identity_id"),
    "client": ("agents", "agent_id"),
}
TIMES: Final = ("day", "hour")
OF_CALLS: Final = ("route", "method", "status", "api_version")  # actions have none of these
FILTERS: Final[Sequence[str]] = ("routes", "statuses", "companies", "users")
FILTERS_OF_CALLS: Final = ("routes", "statuses")
ORDERS: Final = {
    "calls": "calls",
    "errors": "errors",
    "server_errors": "server_errors",
    "error_rate_of_calls": "errors::float8 / nullif(calls, 0)",
    "calls_per_minute": "calls",
    "errors_per_minute": "errors",
    "uptime_of_minutes": "up::float8 / nullif(used, 0)",
    "milliseconds_average": "average",
    "milliseconds_p50": "p50",
    "milliseconds_p90": "p90",
    "milliseconds_p99": "p99",
    "users": "coalesce(users, 0)",
    "companies": "coalesce(companies, 0)",
    "new_users": "coalesce(new_users, 0)",
    "new_companies": "coalesce(new_companies, 0)",
    "lost_users": "coalesce(lost_users, 0)",
    "lost_companies": "coalesce(lost_companies, 0)",
    "calls_before": "calls_before",
    "growth_of_calls_before": "calls::float8 / nullif(calls_before, 0)",
    "seconds_to_first_success_p50": "success_p50",
    "seconds_to_first_success_p95": "success_p95",
    "transactions": "coalesce(transactions, 0)",
    "calls_per_transaction": "calls::float8 / nullif(transactions, 0)",
}
_RANGES: Final = "VALUES (true, %(before)s::timestamptz, %(from)s::timestamptz), (false, %(from)s, %(to)s)"

# A bit of `used` and `up` is a minute of the hour.
_STATEMENT: Final = """
WITH {hours},
{firsts},
operation_codes AS MATERIALIZED (  -- an array of each kind of code, by the operation's id
    SELECT {gathered_codes} max(id)
    FROM generate_series(1, (SELECT max(operation_id) FROM operations)) AS id
    LEFT JOIN (SELECT {operation_codes} operation_id FROM operations o) AS known ON operation_id = id
),
summed AS (
    SELECT {codes} is_total, {key} AS key, coalesce(sum(calls) FILTER (WHERE NOT is_before), 0)::bigint AS calls,
           coalesce(sum(errors) FILTER (WHERE NOT is_before), 0)::bigint AS errors,
           coalesce(sum(server_errors) FILTER (WHERE NOT is_before), 0)::bigint AS server_errors,
           coalesce(sum(calls) FILTER (WHERE is_before), 0)::bigint AS calls_before,
           coalesce(sum(bit_count(used::bit(64))) FILTER (WHERE NOT is_before), 0)::bigint AS used,
           coalesce(sum(bit_count(up::bit(64))) FILTER (WHERE NOT is_before), 0)::bigint AS up
    FROM hours h CROSS JOIN LATERAL (
        SELECT {codes} {total} AS is_total, sum(coalesce(weight, 1)) AS calls,
               sum(coalesce(weight, 1)) FILTER (WHERE outcome >= {error}) AS errors,
               sum(coalesce(weight, 1)) FILTER (WHERE outcome = {server_error}) AS server_errors,
               bit_or(1::bigint << minute) AS used,
               bit_or(1::bigint << minute) FILTER (WHERE outcome < {server_error}) AS up
        FROM {summed} GROUP BY {sets}) AS x
    GROUP BY {codes} is_total
),
by_duration AS (
    SELECT {codes} {total} AS is_total, duration, sum(weight) AS weight
    FROM (SELECT {codes} duration, sum(coalesce(weight, 1)) AS weight FROM {lasting}
          WHERE duration IS NOT NULL GROUP BY {codes} duration) AS x
    GROUP BY {sets_of_durations}
),
lined_up AS (
    SELECT *, sum(weight) OVER (PARTITION BY {codes} is_total ORDER BY duration) AS so_far,
           sum(weight) OVER (PARTITION BY {codes} is_total) AS timed
    FROM by_duration
),
latencies AS (
    SELECT {key} AS key, (sum(duration * weight) / sum(weight))::float8 AS average,
           min(duration) FILTER (WHERE so_far >= 0.50 * timed) AS p50,
           min(duration) FILTER (WHERE so_far >= 0.90 * timed) AS p90,
           min(duration) FILTER (WHERE so_far >= 0.99 * timed) AS p99
    FROM lined_up GROUP BY {codes} is_total
),
customers AS MATERIALIZED (
    SELECT x.*, p.person_id
    FROM (SELECT is_before, {codes} identity_id AS who, company_id AS company FROM {known}
          GROUP BY is_before, {codes} identity_id, company_id) AS x
    LEFT JOIN identities p ON p.identity_id = x.who
),
by_person AS (
    SELECT {codes} {total} AS is_total, bool_and(is_before) AS is_lost
    FROM customers WHERE person_id IS NOT NULL GROUP BY {sets_of_people}
),
by_company AS (
    SELECT {codes} {total} AS is_total, bool_and(is_before) AS is_lost
    FROM customers WHERE company IS NOT NULL GROUP BY {sets_of_companies}
),
people AS (
    SELECT {key} AS key, count(*) FILTER (WHERE NOT is_lost) AS users, count(*) FILTER (WHERE is_lost) AS lost_users
    FROM by_person GROUP BY {codes} is_total
),
companies AS (
    SELECT {key} AS key, count(*) FILTER (WHERE NOT is_lost) AS companies,
           count(*) FILTER (WHERE is_lost) AS lost_companies
    FROM by_company GROUP BY {codes} is_total
),
began AS (
    SELECT {codes} {total} AS is_total, count(*) FILTER (WHERE first_of = 'call') AS new_users,
           count(*) FILTER (WHERE first_of = 'company') AS new_companies,
           percentile_disc(0.50) WITHIN GROUP (ORDER BY seconds) AS success_p50,
           percentile_disc(0.95) WITHIN GROUP (ORDER BY seconds) AS success_p95
    FROM (SELECT {coded} e.first_of, CASE WHEN e.first_of = 'success' THEN
                     (extract(epoch FROM e.occurred_at) - extract(epoch FROM f.occurred_at))::float8 END AS seconds
          FROM (SELECT *, {first_bucket} AS bucket FROM firsts e
                WHERE first_of <> 'activity' AND occurred_at >= %(from)s AND {filter}) AS e
          LEFT JOIN (SELECT person_id, occurred_at FROM firsts WHERE first_of = 'activity') AS f USING (person_id)) AS x
    GROUP BY {sets}
),
newcomers AS (SELECT {key} AS key, new_users, new_companies, success_p50, success_p95 FROM began),
done AS (
    SELECT {acted_codes} {acted_total} AS is_total, sum(coalesce(weight, 1))::bigint AS transactions
    FROM {acted} GROUP BY {acted_sets}
),
acted AS (SELECT {acted_key} AS key, transactions FROM done)
SELECT {names} calls, errors, server_errors, coalesce(users, 0), coalesce(companies, 0), up, used,
       average, p50, p90, p99, coalesce(new_users, 0), coalesce(new_companies, 0),
       coalesce(lost_users, 0), coalesce(lost_companies, 0), success_p50, success_p95, calls_before,
       coalesce(transactions, 0), count(*) OVER ()
FROM summed LEFT JOIN latencies USING (key) LEFT JOIN people USING (key)
LEFT JOIN companies USING (key) LEFT JOIN newcomers USING (key) LEFT JOIN acted USING (key) {named}
WHERE {existing} ORDER BY is_total DESC, {order} LIMIT %(limit)s + 1
"""
_CODED: Final = "(SELECT {codes} entry.* FROM {entries} AS entry) AS entry"


def has_before(groups: Sequence[str]) -> bool:
    """Whether a row of these groups can be held against the period before: days and hours are not in it."""
    return not set(groups) & set(TIMES)


def has_actions(groups: Sequence[str]) -> bool:
    """Whether actions have what calls are grouped by."""
    return not set(groups) & set(OF_CALLS)


def build_statement(
    groups: Sequence[str], filters: Sequence[str], order: str = "", *, descending: bool = False, named: bool = False
) -> str:
    """The SQL of the numbers by these groups: the row of all calls first, then those of the groups; none of no hour.

    `order`: a group or one of `ORDERS`; times, and then the most calls, first if none. `named`: only the transactions
    `%(transactions)s` count.
    """
    time = next((name for name in groups if name in TIMES), None)
    names = {name: _show(name) for name in groups}
    orders = [names[name] for name in groups if name in TIMES]
    if order:
        column = names[order] if order in groups else ORDERS[order]
        orders = [f"{column} {'DESC' if descending else 'ASC'} NULLS LAST"]
    of_actions = [name for name in filters if name not in FILTERS_OF_CALLS] + ["transactions"] * named
    of_calls = [name for name in groups if name in OF_CALLS]
    acted_groups = groups if has_actions(groups) else ()
    return SETTINGS + _STATEMENT.format(
        hours=build_hours(_RANGES, time),
        firsts=build_all_firsts(),
        operation_codes="".join(
            f"min(operation_id) OVER (PARTITION BY {GROUPS[name][1].format('o')}) AS by_{name}, " for name in of_calls
        ),
        gathered_codes="".join(f"array_agg(coalesce(by_{name}, 0) ORDER BY id) AS by_{name}, " for name in of_calls),
        **_describe(groups),
        **{f"acted_{name}": part for name, part in _describe(acted_groups).items()},
        error=ERROR,
        server_error=SERVER_ERROR,
        summed=_read(groups, ["outcome", "minute", "weight"], filters, ONE_HOUR),
        lasting=_read(groups, ["duration", "weight"], filters),
        known=_read(groups, ["identity_id", "company_id"], filters, RANGE_AND_BEFORE),
        acted=_read(acted_groups, ["weight"], of_actions, actions=True),
        sets_of_durations=_make_sets(groups, "duration"),
        sets_of_people=_make_sets(groups, "person_id"),
        sets_of_companies=_make_sets(groups, "company"),
        first_bucket=BUCKETS[time].format("e.occurred_at") if time else "NULL",
        filter=build_filter(filters),
        names="".join(f"{shown}, " for shown in names.values()),
        named=" ".join(_join_names(name) for name in groups if name not in TIMES),
        existing=f"is_total OR by_{time} IS NOT NULL" if time else "true",
        order=", ".join([*orders, "calls DESC", *names.values()]),
    )


def _describe(groups: Sequence[str]) -> dict[str, str]:
    """What the parts of the statement need to know of the groups; `coded`: where their codes come from."""
    codes = [f"by_{name}" for name in groups]
    return {
        "codes": "".join(f"{code}, " for code in codes),
        "coded": _list_codes(groups),
        "total": f"grouping({codes[0]}) = 1" if groups else "true",
        "key": f"CASE WHEN is_total THEN '' ELSE ROW({', '.join(codes)})::text END" if groups else "''",
        "sets": _make_sets(groups),
    }


def _list_codes(groups: Sequence[str]) -> str:
    return "".join(f"{GROUPS[name][0]} AS by_{name}, " for name in groups)


def _make_sets(groups: Sequence[str], more: str = "") -> str:
    """Groups, and all together; each by one more column."""
    columns = [f"by_{name}" for name in groups]
    sets = [f"({', '.join(filter(None, (*columns, more)))})"] if columns else []
    return f"GROUPING SETS ({', '.join([*sets, f'({more})'])})"


def _read(
    groups: Sequence[str], columns: Sequence[str], filters: Sequence[str], hours: str = RANGE, *, actions: bool = False
) -> str:
    """SQL of a table of entries with their groups' codes, and these columns at least."""
    codes = {code for code, _ in (GROUPS[name] for name in groups)}
    own = [column for column in ("company_id", "identity_id", "agent_id") if column in codes]
    entries = build_entries([*own, *columns], filters, hours, actions=actions)
    return _CODED.format(codes=_list_codes(groups), entries=entries)


def _show(name: str) -> str:
    return GROUPS[name][1].format(f"by_{name}" if name in TIMES else f"named_{name}")


def _join_names(name: str) -> str:
    table, key = _TABLES.get(name, ("operations", "operation_id"))
    return f"LEFT JOIN {table} named_{name} ON named_{name}.{key} = by_{name}"
