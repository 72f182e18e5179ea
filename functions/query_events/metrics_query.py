"""The one statement behind metrics: hours that are counted come from their summaries, all others from the events.

It is one statement so that both come from one state of the database. Hours at the edges of the range, and those that a
day's (or hour's) boundary in the asked zone cuts, are counted over the events as well.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from pypika import Table
from pypika.terms import Criterion

from common.figures import Figure, build_counted
from query_events.conditions import kinds, mailings, receivers
from query_events.parameters import PARAMETERS

GROUPS: Final = ("campaign", "template", "provider", "recipient_domain", "day", "hour")
TIMES: Final = ("day", "hour")
_BUCKETS: Final = {
    "day": "({0} AT TIME ZONE %(zone)s)::date",
    "hour": "date_trunc('hour', {0}, %(zone)s)",
}
# The search's filters on columns that summaries have too, under the same names.
FILTERS: Final[Sequence[str]] = (
    "campaigns",
    "campaign_ids",
    "templates",
    "template_ids",
    "providers",
    "recipient_domains",
)
_BOUNCES: Final = (
    *(Figure.BOUNCED_HARD, Figure.BOUNCED_SOFT, Figure.BOUNCED_BLOCK, Figure.BOUNCED_ADMIN),
    Figure.BOUNCED_UNDETERMINED,
)
# The columns of counts by the figures that they add up; delivered also adds up the times to deliver.
COUNTS: Final[Mapping[str, Sequence[Figure]]] = {
    "accepted": [Figure.ACCEPTED],
    "delivered": [Figure.DELIVERED_SOMETIME],
    "deferred": [Figure.DEFERRED],
    "bounced": _BOUNCES,
    **{figure.name.lower(): [figure] for figure in (*_BOUNCES, Figure.BOUNCED_OUT_OF_BAND)},
    "rejected": [Figure.REJECTED],
    "failed": [Figure.FAILED],
    "opened": [Figure.OPENED],
    "opened_by_machine": [Figure.OPENED_BY_MACHINE],
    "unique_opened": [Figure.OPENED_UNIQUE],
    "unique_opened_by_person": [Figure.OPENED_UNIQUE_BY_PERSON],
    "clicked": [Figure.CLICKED],
    "unique_clicked": [Figure.CLICKED_UNIQUE],
    "complained": [Figure.COMPLAINED],
    "unsubscribed": [Figure.UNSUBSCRIBED],
}
SECONDS: Final = ("delivery_seconds_p50", "delivery_seconds_p95")

# The tables are joined by hashes, unlike a page of a search: so many keys are looked up here.
_STATEMENT: Final = """
SET LOCAL enable_hashjoin = on;
WITH extent AS (SELECT min(occurred_at) AS first, max(occurred_at) AS last FROM events),
summed AS MATERIALIZED (
    SELECT hour, {hour_bucket} AS bucket FROM summaries
    WHERE ready AND hour >= %(from)s AND hour <= %(to)s - interval '1 hour'
      AND hour <> ALL (ARRAY(SELECT hour FROM stale_hours)) {whole}
),
spans AS MATERIALIZED (
    SELECT greatest(hour, %(from)s) AS low, least(hour + interval '1 hour', %(to)s) AS high
    FROM extent CROSS JOIN LATERAL generate_series(
        CASE WHEN first IS NOT NULL THEN date_trunc('hour', greatest(first, %(from)s)) END,
        least(last, %(to)s), '1 hour') AS hour
    WHERE hour < %(to)s AND hour NOT IN (SELECT hour FROM summed)
),
{counted},
shared AS MATERIALIZED (
    SELECT {event_bucket} AS bucket, provider, mailing_key, receiver_key, figure, count(*) AS times
    FROM counted GROUP BY 1, 2, 3, 4, 5
),
packed AS MATERIALIZED (
    SELECT bucket, entry.mailing_id, entry.domain_id, entry.figure, sum(entry.times) AS times
    FROM summed JOIN summaries USING (hour)
    CROSS JOIN LATERAL unnest({arrays}) AS entry (mailing_id, domain_id, figure, times)
    WHERE {wanted}
    GROUP BY 1, 2, 3, 4
),
added AS MATERIALIZED (
    SELECT {groups} figure, sum(times) AS times, {is_total} AS is_total
    FROM (
        SELECT bucket, s.provider, m.campaign, m.template, r.domain, figure, times
        FROM shared s
        LEFT JOIN mailings m ON m.mailing_key = s.mailing_key
        LEFT JOIN receivers r ON r.receiver_key = s.receiver_key
        UNION ALL
        SELECT bucket, m.provider, m.campaign, m.template, d.domain, figure, times
        FROM packed p
        LEFT JOIN summary_mailings m ON m.mailing_id = p.mailing_id
        LEFT JOIN summary_domains d ON d.domain_id = p.domain_id
    ) AS named
    GROUP BY GROUPING SETS ({sets})
),
lined_up AS (
    SELECT *, sum(times) FILTER (WHERE figure >= 0) OVER (PARTITION BY {partition} is_total ORDER BY figure) AS so_far,
           sum(times) FILTER (WHERE figure >= 0) OVER (PARTITION BY {partition} is_total) AS timed
    FROM added
),
lines AS (
    SELECT {partition} is_total, {columns},
           min(figure) FILTER (WHERE figure >= 0 AND so_far >= 0.50 * timed) AS delivery_seconds_p50,
           min(figure) FILTER (WHERE figure >= 0 AND so_far >= 0.95 * timed) AS delivery_seconds_p95
    FROM lined_up GROUP BY {partition} is_total
)
SELECT *, count(*) OVER () FROM lines ORDER BY is_total DESC, {order} LIMIT %(limit)s + 1
"""


def build_statement(groups: Sequence[str], filters: Sequence[str], order: str, *, descending: bool) -> str:
    """The SQL of metrics by these groups: the row of all first, if there is any event, then those of the groups.

    A row has the groups' values, whether it is that of all, COUNTS, SECONDS, and how many rows there are in all.
    """
    time = next((name for name in groups if name in TIMES), None)
    by_domain = "recipient_domain" in groups or "recipient_domains" in filters
    by_mailing = not ({*groups, *filters} <= {*TIMES, "recipient_domain", "recipient_domains"})
    mailings = "mailings" if by_domain else "total_mailings"
    names = {"recipient_domain": "domain", **dict.fromkeys(TIMES, "bucket")}
    sources = [names.get(name, name) for name in groups]
    listed = "".join(f"{name}, " for name in groups)
    sets = f"({', '.join((*sources, 'figure'))}), (figure)" if groups else "(figure)"
    direction = "DESC NULLS LAST" if descending else "ASC NULLS LAST"
    ties = [name for name in groups if name != order]
    return _STATEMENT.format(
        whole=f"AND {_cut('hour', time)} = {_cut(_LAST_INSTANT, time)}" if time else "",
        counted=build_counted(_narrow(filters)),
        event_bucket=_cut("occurred_at", time) if time else "NULL",
        hour_bucket=_cut("hour", time) if time else "NULL",
        arrays=", ".join(
            (
                (mailings if by_mailing else "NULL::int[]"),
                ("domains, figures, counts" if by_domain else "NULL::int[], total_figures, total_counts"),
            )
        ),  # what nobody asks for is not told apart
        wanted=_choose(filters),
        groups="".join(f"{source} AS {name}, " for source, name in zip(sources, groups, strict=True)),
        is_total=f"grouping({sources[0]}) = 1" if groups else "true",
        sets=sets,
        partition=listed,
        columns=", ".join(f"{_add_up(name)} AS {name}" for name in COUNTS),
        order=", ".join((f"{order} {direction}", *ties)),
    )


_LAST_INSTANT: Final = "(hour + interval '1 hour' - interval '1 microsecond')"


def _cut(instant: str, time: str | None) -> str:
    return _BUCKETS[time or "day"].format(instant)


def _add_up(name: str) -> str:
    figures = ", ".join(str(int(figure)) for figure in COUNTS[name])
    timed = " OR figure >= 0" if name == "delivered" else ""
    return f"coalesce(sum(times) FILTER (WHERE figure IN ({figures}){timed}), 0)::bigint"


def _ask_of(tables: Sequence[Table], filters: Sequence[str]) -> str:
    """What the filters on these tables ask of a row; their columns' names stand alone, so of a summary's row too."""
    asked = [PARAMETERS[name].filter for name in filters]
    criteria = [one.holds(name) for name, one in zip(filters, asked, strict=True) if one and one.table in tables]
    return str(Criterion.all(criteria)) if criteria else ""


def _narrow(filters: Sequence[str]) -> str:
    """What is asked of an event; its shared rows are found first, IS TRUE keeps them from being joined."""
    asked = ""
    for table, key in ((kinds, "kind_key"), (mailings, "mailing_key"), (receivers, "receiver_key")):
        if condition := _ask_of([table], filters):
            asked += f" AND (e.{key} IN (SELECT {key} FROM {table.get_sql()} WHERE {condition})) IS TRUE"
    return asked


def _choose(filters: Sequence[str]) -> str:
    """What is asked of an entry of a summary."""
    asked = ["true"]
    if condition := _ask_of([mailings, kinds], filters):
        asked.append(f"(entry.mailing_id IN (SELECT mailing_id FROM summary_mailings WHERE {condition})) IS TRUE")
    if condition := _ask_of([receivers], filters):
        asked.append(f"(entry.domain_id IN (SELECT domain_id FROM summary_domains WHERE {condition})) IS TRUE")
    return " AND ".join(asked)
