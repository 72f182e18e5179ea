"""What each filter is asked for: a frequent value and a rare one, and the SQL that one would write for it by hand.

A filter of the API that is missing here fails a test.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from psycopg2.extensions import cursor as Cursor

from common.event_keys import make_event_key

# Events by the key of what they share, so that values are counted without a join for each filter.
COUNT_SHARED = """
CREATE TEMP TABLE of_{table} AS SELECT {key} AS key, count(*) AS events FROM events GROUP BY 1
"""
SHARED = {"kinds": "kind_key", "mailings": "mailing_key", "receivers": "receiver_key", "clients": "client_key"}

# Where values are found, for each table that holds some.
SOURCES = {
    "kinds": "kinds JOIN of_kinds ON key = kind_key",
    "mailings": "mailings JOIN of_mailings ON key = mailing_key",
    "senders": "senders JOIN mailings USING (sender_key) JOIN of_mailings ON key = mailing_key",
    "receivers": "receivers JOIN of_receivers ON key = receiver_key",
    "clients": "clients JOIN of_clients ON key = client_key",
    "events": "(SELECT *, 1 AS events FROM events) AS each_event",
}
# The key of events by which a condition on such a table selects them.
KEYS = {
    "kinds": ("kind_key", "kinds"),
    "mailings": ("mailing_key", "mailings"),
    "senders": ("mailing_key", "mailings JOIN senders USING (sender_key)"),
    "receivers": ("receiver_key", "receivers"),
    "clients": ("client_key", "clients"),
}
# A value with a comma would be two values of a list; white space around it would be lost.
FIND_VALUE = r"""
SELECT value FROM (SELECT {value} AS value, events FROM {source}) AS found
WHERE value ~ '^[^\s,]([^,]*[^\s,])?$'
GROUP BY value ORDER BY sum(events) {order}, value LIMIT 1
"""


class Filter(NamedTuple):
    """One row: where a filter's values are, and the condition by hand, on `%(value)s` or on its words `%(words)s`."""

    table: str
    value: str  # SQL: the text that a user would ask for
    condition: str
    separators: str = ""  # of words
    parameters: tuple[str, ...] = ()  # as they are asked for, if not by the row's name; each gets a part of the value


def is_equal(table: str, column: str) -> Filter:
    """The column is the value."""
    return Filter(table, f"{column}::text", f"{column} = %(value)s")


def has_words(table: str, column: str, separators: str = "[-_ ]+", value: str = "") -> Filter:
    """The column has the value's words, one after the other, in any case."""
    condition = f"regexp_replace(' ' || lower({column}) || ' ', '{separators}', ' ', 'g') LIKE %(words)s"
    if table == "mailings":  # their words have an index
        condition = f"split_words({column}) @> string_to_array(btrim(%(words)s, '%% '), ' ') AND {condition}"
    return Filter(table, value or column, condition, separators)


def begins_like(table: str, column: str, length: int) -> Filter:
    """The column begins with the value, in any case."""
    return Filter(table, f"left({column}, {length})", f"lower({column}) LIKE lower(%(value)s) || '%%'")


def lacks(row: Filter) -> Filter:
    """The same values; what does not meet the condition."""
    return row._replace(condition=f"NOT coalesce({row.condition}, false)")


DOMAINS = "[-_ .]+"
TERMS = "[^0-9a-z]+"
SYSTEM = "substring(user_agent FROM '(iPhone|Windows|Android|Macintosh|Linux|Thunderbird|GoogleImageProxy)')"
BETWEEN = "|"  # parts of a value
# An event's key is its id mixed with this number.
SALT = make_event_key("sparkpost", "1") ^ 1

FILTERS = {
    "events": is_equal("kinds", "provider_type"),
    "event_types": is_equal("kinds", "event_type"),
    "providers": is_equal("kinds", "provider"),
    "bounce_kinds": is_equal("kinds", "bounce_kind"),
    "bounce_classes": is_equal("kinds", "bounce_class"),
    "campaigns": has_words("mailings", "campaign"),
    "campaign_ids": is_equal("mailings", "campaign"),
    "templates": has_words("mailings", "template"),
    "template_ids": is_equal("mailings", "template"),
    "subjects": has_words("mailings", "subject"),
    "ab_tests": has_words("mailings", "ab_test"),
    "ab_test_ids": is_equal("mailings", "ab_test"),
    "ab_test_versions": Filter(
        "mailings",
        f"ab_test || '{BETWEEN}' || ab_test_version",
        f"ab_test = split_part(%(value)s, '{BETWEEN}', 1) AND ab_test_version = split_part(%(value)s, '{BETWEEN}', 2)",
        parameters=("ab_test_ids", "ab_test_versions"),
    ),
    "tags": Filter("mailings", "unnest(tags)", "tags @> ARRAY[%(value)s]"),
    "from_addresses": Filter("senders", "address", "lower(address) = lower(%(value)s)"),
    "subaccounts": is_equal("senders", "subaccount"),
    "ip_pools": has_words("senders", "ip_pool"),
    "sending_ips": is_equal("senders", "sending_ip"),
    "sending_domains": has_words("senders", "split_part(address, '@', 2)", DOMAINS),
    "recipient_domains": has_words("receivers", "domain", DOMAINS),
    "mailbox_providers": has_words("receivers", "mailbox_provider"),
    "mailbox_provider_regions": has_words("receivers", "mailbox_provider_region"),
    "user_agents": has_words("clients", "user_agent", TERMS, value=SYSTEM),
    "recipients": is_equal("events", "recipient"),
    "messages": is_equal("events", "message_id"),
    "transmissions": is_equal("events", "transmission_id"),
    "event_ids": Filter("events", f"(event_key # {SALT})::text", f"event_key = (%(value)s::bigint # {SALT})"),
    "reasons": has_words("events", "reason"),
    "reason": Filter(
        "events", "substring(reason FROM '[A-Za-z]{4,} [A-Za-z]{4,}')", "reason ILIKE '%%' || %(value)s || '%%'"
    ),
    "urls": is_equal("events", "url"),
    "ip_addresses": is_equal("events", "ip_address"),
    "metadata.<key>": Filter(
        "events",
        "metadata ->> 'lifecycle_stage'",
        "metadata ->> 'lifecycle_stage' = %(value)s",
        parameters=("metadata.lifecycle_stage",),
    ),
}
# Some of the forms that each filter has.
FORMS = {
    "not.events": lacks(FILTERS["events"]),
    "not.campaigns": lacks(FILTERS["campaigns"]),
    "not.recipients": lacks(FILTERS["recipients"]),
    "prefix.campaigns": begins_like("mailings", "campaign", 6),
    "prefix.recipients": begins_like("events", "recipient", 8),
}


def build_given(name: str, row: Filter, value: str) -> dict[str, str]:
    """The parameters that ask for a value."""
    names = row.parameters or (name,)
    return dict(zip(names, value.split(BETWEEN) if len(names) > 1 else [value], strict=True))


def count_shared(cursor: Cursor) -> None:
    """Makes the temporary tables that `find_value` reads."""
    for table, key in SHARED.items():
        cursor.execute(COUNT_SHARED.format(table=table, key=key))


def find_value(cursor: Cursor, row: Filter, *, rare: bool) -> str | None:
    """The most frequent value, or the rarest; None where no event has any."""
    source = SOURCES[row.table].format(value=row.value)
    cursor.execute(FIND_VALUE.format(value=row.value, source=source, order="ASC" if rare else "DESC"))
    found = cursor.fetchone()
    return None if found is None else str(found[0])


def build_condition(row: Filter, *, keys_first: bool) -> str:
    """The condition on events: keys of shared rows are looked up first, or the planner may join as it likes."""
    if row.table == "events":
        return row.condition
    key, source = KEYS[row.table]
    keys = f"SELECT {key} FROM {source} WHERE {row.condition}"
    return f"{key} = ANY (ARRAY({keys}))" if keys_first else f"{key} IN ({keys})"


def bind_value(row: Filter, value: str) -> dict[str, str]:
    """What the condition binds."""
    words = re.sub(row.separators, " ", f" {value.lower()} ") if row.separators else ""
    return {"value": value, "words": f"%{words}%"}
