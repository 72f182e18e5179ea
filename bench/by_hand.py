"""The search as one would write it by hand: the page first, then what its events share; the same columns and order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg2.extensions import connection as Connection

Rows = list[tuple[Any, ...]]

# `condition` is on events; `from`, `to` and `limit` are bound.
SELECT_PAGE = """
SELECT e.occurred_at, e.event_key, e.recipient, e.message_id, e.transmission_id, e.metadata, e.reason, e.url,
       e.ip_address, e.detail,
       k.provider, k.provider_type, k.event_type, k.bounce_class, k.bounce_kind, k.out_of_band, k.machine_open,
       k.first_open,
       m.campaign, m.template, m.subject, m.ab_test, m.ab_test_version, m.tags,
       s.address, s.subaccount, s.ip_pool, s.sending_ip, s.shared,
       r.domain, r.routing_domain, r.mailbox_provider, r.mailbox_provider_region,
       c.user_agent, c.parsed
FROM (
    SELECT * FROM events
    WHERE {condition} AND occurred_at >= %(from)s AND occurred_at < %(to)s
    ORDER BY occurred_at DESC, event_key DESC
    LIMIT %(limit)s
) e
JOIN kinds k USING (kind_key)
LEFT JOIN mailings m USING (mailing_key)
LEFT JOIN senders s USING (sender_key)
LEFT JOIN receivers r USING (receiver_key)
LEFT JOIN clients c USING (client_key)
ORDER BY e.occurred_at DESC, e.event_key DESC
"""
COUNT = "SELECT count(*) FROM events WHERE {condition} AND occurred_at >= %(from)s AND occurred_at < %(to)s"


def select_page(connection: Connection, condition: str, bound: Mapping[str, object], size: int) -> Rows:
    """The rows of a page and, if there is more, one of the next."""
    with connection.cursor() as cursor:
        cursor.execute(SELECT_PAGE.format(condition=condition), {**bound, "limit": size + 1})
        return cursor.fetchall()


def search_by_hand(connection: Connection, condition: str, bound: Mapping[str, object], size: int) -> tuple[Rows, int]:
    """The rows of a page, and how many match in all."""
    rows = select_page(connection, condition, bound, size)
    if len(rows) <= size:
        return rows, len(rows)
    with connection.cursor() as cursor:
        cursor.execute(COUNT.format(condition=condition), bound)
        return rows[:size], cursor.fetchall()[0][0]
