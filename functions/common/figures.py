"""What is counted of events, and the SQL that counts it: whole hours once they are over, and for metrics until then.

A figure is a number: from 0 on "delivered after so many seconds", below 0 one of `Figure`. Figures add up over events,
hours, mailings and domains. What an event counts as may depend on others of the same message and
recipient, as far as those are at most LOOK_BACK older or SKEW newer:
- an open is unique if nobody opened the message before, and so is a click. Opens by persons are also counted alone;
- the time to deliver is that from the message's earliest `injected` event;
- a message whose `injected` event is not told was accepted nevertheless when it was delivered or bounced.
Events that name no message are on their own.
"""

from datetime import timedelta
from enum import IntEnum
from typing import Final

LOOK_BACK: Final = timedelta(days=30)  # both also stand in sql/migrations (mark_stale)
SKEW: Final = timedelta(hours=1)


class Figure(IntEnum):
    """What is counted, but for the times to deliver."""

    ACCEPTED = -1  # injected, or known to have been
    DELIVERED_SOMETIME = -2  # nobody knows after how many seconds
    DEFERRED = -3
    BOUNCED_HARD = -4
    BOUNCED_SOFT = -5
    BOUNCED_BLOCK = -6
    BOUNCED_ADMIN = -7
    BOUNCED_UNDETERMINED = -8
    BOUNCED_OUT_OF_BAND = -9  # of all bounces, those that came back as a mail
    REJECTED = -10
    FAILED = -11
    OPENED = -12  # by whomever
    OPENED_BY_MACHINE = -13
    OPENED_UNIQUE = -14
    OPENED_UNIQUE_BY_PERSON = -15
    CLICKED = -16
    CLICKED_UNIQUE = -17
    COMPLAINED = -18
    UNSUBSCRIBED = -19


_NAMES: Final = {figure.name.lower(): int(figure) for figure in Figure}

# Common table expressions on top of `spans (low, high)`: hours, the first and the last of which may be cut at `low` and
# `high`; `high` is left out. `counted` has a row for each event and figure: occurred_at, provider, mailing_key,
# receiver_key, figure. Nothing is joined by what the planner can't estimate, which is how many events the spans hold.
_COUNTED: Final = """
chosen AS MATERIALIZED (
    SELECT e.occurred_at, e.mailing_key, e.receiver_key, e.message_id, k.provider, k.event_type, k.bounce_kind,
           k.out_of_band, k.machine_open,
           e.message_id IS NOT NULL AND (k.event_type = ANY ('{{delivered,opened,clicked}}')
               OR k.event_type = 'bounced' AND NOT k.out_of_band) AS depends
    FROM spans JOIN events e ON e.occurred_at >= spans.low AND e.occurred_at < spans.high
    JOIN kinds k ON k.kind_key = e.kind_key
    WHERE k.event_type <> ALL ('{{subscribed,autoresponded,unknown}}') {narrow}
),
story AS MATERIALIZED (
    SELECT e.occurred_at, e.event_key, e.mailing_key, e.receiver_key, e.message_id, e.recipient, k.provider,
           k.event_type, k.bounce_kind, k.machine_open,
           date_trunc('hour', e.occurred_at) IN (SELECT date_trunc('hour', low) FROM spans)
               AND e.occurred_at >= (SELECT min(low) FROM spans)
               AND e.occurred_at < (SELECT max(high) FROM spans) {narrow} AS is_chosen
    FROM (SELECT DISTINCT message_id FROM chosen WHERE depends) AS touched
    CROSS JOIN LATERAL (  -- by the index, however many the planner expects: OFFSET keeps it from joining in another way
        SELECT * FROM events
        WHERE message_id = touched.message_id AND occurred_at >= (SELECT min(low) FROM spans) - {look_back}
          AND occurred_at <= (SELECT max(high) FROM spans) + {skew}
        OFFSET 0
    ) AS e
    JOIN kinds k ON k.kind_key = e.kind_key
    WHERE k.event_type = ANY ('{{injected,delivered,opened,clicked}}') OR k.event_type = 'bounced' AND NOT k.out_of_band
),
handed AS (  -- to the provider, and from it to the receiving server
    SELECT *, extract(epoch FROM occurred_at - min(occurred_at) FILTER (WHERE event_type = 'injected') OVER (
                  PARTITION BY message_id, recipient ORDER BY occurred_at
                  RANGE BETWEEN {look_back} PRECEDING AND {skew} FOLLOWING)) AS seconds,
           lag(occurred_at) OVER (
               PARTITION BY message_id, recipient, event_type = 'injected' ORDER BY occurred_at, event_key) AS before
    FROM story WHERE event_type <> ALL ('{{opened,clicked}}')
),
seen AS (
    SELECT *, lag(occurred_at) OVER (
                  PARTITION BY message_id, recipient, event_type ORDER BY occurred_at, event_key) AS before,
           lag(occurred_at) OVER (PARTITION BY message_id, recipient, event_type, machine_open
                                  ORDER BY occurred_at, event_key) AS before_alike
    FROM story WHERE event_type = ANY ('{{opened,clicked}}')
),
facts AS (
    SELECT occurred_at, mailing_key, receiver_key, provider, event_type, bounce_kind, false AS out_of_band,
           machine_open, seconds, seconds IS NULL AND coalesce(before < occurred_at - {look_back}, true) AS is_untold,
           false AS is_first, false AS is_first_alike
    FROM handed WHERE is_chosen AND event_type <> 'injected'
    UNION ALL
    SELECT occurred_at, mailing_key, receiver_key, provider, event_type, bounce_kind, false, machine_open, NULL, false,
           coalesce(before < occurred_at - {look_back}, true), coalesce(before_alike < occurred_at - {look_back}, true)
    FROM seen WHERE is_chosen
    UNION ALL
    SELECT occurred_at, mailing_key, receiver_key, provider, event_type, bounce_kind, out_of_band, machine_open, NULL,
           false, true, true
    FROM chosen WHERE NOT depends
),
counted AS (
    SELECT occurred_at, provider, mailing_key, receiver_key, figure
    FROM facts CROSS JOIN LATERAL unnest(CASE event_type
        WHEN 'injected' THEN ARRAY[{accepted}]
        WHEN 'delivered' THEN ARRAY[
            CASE WHEN seconds IS NULL THEN {delivered_sometime} ELSE greatest(floor(seconds)::int, 0) END,
            CASE WHEN is_untold THEN {accepted} END]
        WHEN 'bounced' THEN ARRAY[
            CASE bounce_kind WHEN 'hard' THEN {bounced_hard} WHEN 'soft' THEN {bounced_soft}
                WHEN 'block' THEN {bounced_block} WHEN 'admin' THEN {bounced_admin} ELSE {bounced_undetermined} END,
            CASE WHEN out_of_band THEN {bounced_out_of_band} WHEN is_untold THEN {accepted} END]
        WHEN 'opened' THEN ARRAY[
            {opened},
            CASE WHEN machine_open THEN {opened_by_machine} END,
            CASE WHEN is_first THEN {opened_unique} END,
            CASE WHEN is_first_alike AND NOT machine_open THEN {opened_unique_by_person} END]
        WHEN 'clicked' THEN ARRAY[{clicked}, CASE WHEN is_first THEN {clicked_unique} END]
        WHEN 'deferred' THEN ARRAY[{deferred}]
        WHEN 'rejected' THEN ARRAY[{rejected}]
        WHEN 'failed' THEN ARRAY[{failed}]
        WHEN 'complained' THEN ARRAY[{complained}]
        WHEN 'unsubscribed' THEN ARRAY[{unsubscribed}]
    END) AS figure
    WHERE figure IS NOT NULL
)
"""


def build_counted(narrow: str = "") -> str:
    """The table expressions that end with `counted`; `narrow` is SQL that begins with AND, of `e` (events) and `k`."""
    days = f"interval '{LOOK_BACK // timedelta(days=1)} days'"
    hours = f"interval '{SKEW // timedelta(hours=1)} hours'"
    return _COUNTED.format(look_back=days, skew=hours, narrow=narrow, **_NAMES)
