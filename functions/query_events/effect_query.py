"""The statements behind the effect of mails: what became of them by people, and who of them entered a cohort.

Each mail counts by its last attempt, one of which nobody knew whether it went by the tag in SES's events
(`known_deliveries`). A person is whoever goes by the name that the mail was to, with all her names. Tests, whose ids
begin with test-, count for nothing.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

# A bit each: a person's are put together over her mails.
EVENTS: Final = ("delivered", "opened", "clicked", "unsubscribed", "bounced", "complained")
UNSUBSCRIBED: Final = "unsubscribed"


class Of(StrEnum):
    """Which mails: a column of `known_deliveries`."""

    TEMPLATE = "template"
    NOTIFICATION = "notification"


# Many keys are looked up here, unlike in a page of a search.
_MAILS: Final = """
SET LOCAL enable_hashjoin = on;
SET LOCAL work_mem = '64MB';
SET LOCAL jit = off;
WITH attempts AS MATERIALIZED (
    SELECT tried.id, tried.at, coalesce(known.state, tried.state) AS state,
           coalesce(known.message_id, tried.message_id) AS message_id, tried.template,
           tried.template_version AS version, tried.user_name
    FROM deliveries AS tried
    LEFT JOIN LATERAL (
        SELECT state, message_id FROM known_deliveries AS one
        WHERE tried.state = 'unknown' AND one.id = tried.id AND one.attempt = tried.attempt OFFSET 0) AS known ON true
    WHERE tried.{of} = %(name)s AND tried.channel = 'mail' AND tried.id NOT LIKE 'test-%%'
      AND tried.at >= %(from)s AND tried.at < %(to)s
      AND NOT EXISTS (SELECT FROM deliveries later WHERE later.id = tried.id AND later.attempt > tried.attempt)
),
names AS (
    SELECT DISTINCT ON (value) value, person_id FROM identities
    WHERE value IN (SELECT user_name FROM attempts) AND identity_type <> 'company'
    ORDER BY value, identity_type DESC
),
mails AS MATERIALIZED (
    SELECT attempts.*, coalesce(person_id, -1 - (hashtext(coalesce(user_name, id)) & 2147483647)) AS person
    FROM attempts LEFT JOIN names ON value = user_name
)"""
# Of each version, and of all, how many people have each bit.
_COUNTS: Final = """,
signs AS (
    SELECT mails.person, mails.template, mails.version, (CASE state {states} ELSE 0 END) AS bits FROM mails
    UNION ALL
    SELECT mails.person, mails.template, mails.version, (CASE event_type {events} END)
    FROM mails JOIN events USING (message_id) JOIN kinds USING (kind_key)
    WHERE occurred_at >= %(from)s - interval '1 day' AND provider = 'amazon_ses' AND event_type = ANY (%(events)s)
    UNION ALL
    SELECT mails.person, mails.template, mails.version, {unsubscribed}
    FROM mails JOIN suppressions ON delivery = mails.id
),
people AS (
    SELECT template, version, grouping(version) = 1 AS is_total, bit_or(bits) AS bits
    FROM signs GROUP BY GROUPING SETS ((person, template, version), (person))
)
SELECT template, version, is_total, count(*), {columns}
FROM people GROUP BY template, version, is_total ORDER BY is_total, template, version DESC
"""
# Of each version, and of all, those whose time is over, and who of them has entered: sent, intended (sent or not), held
# out; and how many have time left. What a person got first says which she is of; what was given up before it was
# written has no version, and says nothing.
_GOAL: Final = """,
firsts AS (
    (SELECT DISTINCT ON (person, template, version) person, template, version, false AS is_total, at, state
     FROM mails WHERE version IS NOT NULL ORDER BY person, template, version, at, id)
    UNION ALL
    (SELECT DISTINCT ON (person) person, NULL, NULL, true, at, state
     FROM mails WHERE version IS NOT NULL ORDER BY person, at, id)
),
entries AS MATERIALIZED (
    SELECT person_id AS person, at
    FROM transitions AS one JOIN identities ON identity_id = subject_id
    WHERE cohort_id = %(goal)s AND kind = 'entered' AND at > %(from)s AND at <= %(to)s + %(within)s
      AND NOT cause ?| %(other_reasons)s
      AND EXISTS (SELECT FROM memberships m WHERE m.cohort_id = one.cohort_id AND m.subject_id = one.subject_id
                    AND m.entered_at = one.at AND (m.exited_at IS NULL OR m.exited_at > m.entered_at))
),
judged AS (
    SELECT template, version, is_total, state, firsts.at + %(within)s <= %(known_to)s AS is_over,
           coalesce(bool_or(entries.at > firsts.at AND entries.at <= firsts.at + %(within)s), false) AS has_entered
    FROM firsts LEFT JOIN entries USING (person)
    GROUP BY person, template, version, is_total, state, firsts.at
)
SELECT template, version, is_total,
       count(*) FILTER (WHERE is_over AND state = 'sent'),
       count(*) FILTER (WHERE is_over AND state = 'sent' AND has_entered),
       count(*) FILTER (WHERE is_over AND state <> 'held_out'),
       count(*) FILTER (WHERE is_over AND state <> 'held_out' AND has_entered),
       count(*) FILTER (WHERE is_over AND state = 'held_out'),
       count(*) FILTER (WHERE is_over AND state = 'held_out' AND has_entered),
       count(*) FILTER (WHERE NOT is_over)
FROM judged GROUP BY template, version, is_total
"""


def build_counts(of: Of, states: Sequence[str]) -> str:
    """Rows of template, version, whether it is that of all, the number of people, and of each state and event.

    Binds `name`, `from`, `to`, and `events` (EVENTS).
    """
    bits = {name: 1 << place for place, name in enumerate((*states, *EVENTS))}
    return _MAILS.format(of=of.value) + _COUNTS.format(
        states=" ".join(f"WHEN '{name}' THEN {bits[name]}" for name in states),
        events=" ".join(f"WHEN '{name}' THEN {bits[name]}" for name in EVENTS),
        unsubscribed=bits[UNSUBSCRIBED],
        columns=", ".join(f"count(*) FILTER (WHERE bits & {bit} <> 0)" for bit in bits.values()),
    )


def build_goal(of: Of) -> str:
    """Rows of template, version, whether it is that of all, and pairs of people and who of them has entered.

    Binds `name`, `from`, `to`, `goal` (a cohort's id), `within`, `known_to`, `other_reasons` (REASONS of cohort_parts).
    """
    return _MAILS.format(of=of.value) + _GOAL
