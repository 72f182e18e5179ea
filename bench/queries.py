"""The search for one recipient, from the request's parameters to the answer's bytes, beside SQL written by hand."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import timedelta
from random import Random
from statistics import median
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection

from bench.database import DATABASE
from bench.figures import Figure, Target, find_percentile
from bench.progress import count_up
from bench.stored import RECEIVED_AT
from bench.traffic import START
from common.clock import format_instant
from local.postgres import SUPERUSER, Postgres
from query_events.app import SESSION
from query_events.events_message import answer_search
from query_events.parameters import DEFAULT_PAGE
from query_events.routing import READ_EVENTS, READ_PII, Caller, Request

QUERY = "mailwake_query"
CALLER = Caller("bench", frozenset({READ_EVENTS, READ_PII}))
TARGET = Target(most=1.5)
RANDOM, HEAVIEST = 400, 40  # recipients
ROUNDS = 3  # for each recipient
WARM_UP = 50
BEGIN, END = START - timedelta(days=1), RECEIVED_AT

FIND_RECIPIENTS = """
SELECT recipient, count(*) FROM events WHERE recipient IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1
"""
# The same columns from the same tables, as one would write it: the page first, then what its events share.
BY_HAND = """
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
    WHERE recipient = %s AND occurred_at >= %s AND occurred_at < %s
    ORDER BY occurred_at DESC, event_key DESC
    LIMIT %s
) e
JOIN kinds k USING (kind_key)
LEFT JOIN mailings m USING (mailing_key)
LEFT JOIN senders s USING (sender_key)
LEFT JOIN receivers r USING (receiver_key)
LEFT JOIN clients c USING (client_key)
ORDER BY e.occurred_at DESC, e.event_key DESC
"""


def measure_queries(server: Postgres, seed: int) -> list[Figure]:
    """Random recipients, then the heaviest ones, both sides in turns over connections of the function's own kind."""
    with closing(psycopg2.connect(server.dsn(SUPERUSER, DATABASE))) as connection, connection.cursor() as cursor:
        cursor.execute(FIND_RECIPIENTS)
        ranked: list[tuple[str, int]] = cursor.fetchall()
    names = [name for name, _ in ranked]
    some = Random(f"queries {seed}").sample(names, min(RANDOM, len(names)))
    with closing(_connect(server)) as function, closing(_connect(server)) as hand:
        _measure(function, hand, some[:WARM_UP], lambda _done: None)
        typical = _measure(function, hand, some, count_up("querying random recipients", len(some)))
        heaviest = names[:HEAVIEST]
        heavy = _measure(function, hand, heaviest, count_up("querying the heaviest recipients", len(heaviest)))
    least, most = ranked[len(heaviest) - 1][1], ranked[0][1]
    return [
        *_report("query", f"one of {len(names):,} recipients", typical, TARGET),
        *_report("  the heaviest", f"{least:,} to {most:,} events", heavy, None),
    ]


def _connect(server: Postgres) -> Connection:
    options = " ".join(f"-c {name}={value}" for name, value in {"timezone": "UTC", **SESSION}.items())
    connection = psycopg2.connect(server.dsn(QUERY, DATABASE), options=options)
    connection.autocommit = True
    return connection


def _ask_function(connection: Connection, recipient: str) -> Any:
    given = {"recipients": recipient, "from": format_instant(BEGIN), "to": format_instant(END)}
    return answer_search(Request(lambda: connection, END, CALLER, path="", given=given))


def _ask_by_hand(connection: Connection, recipient: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(BY_HAND, (recipient, BEGIN, END, DEFAULT_PAGE + 1))
        return cursor.fetchall()


def _measure(
    function: Connection, hand: Connection, recipients: Sequence[str], show: Callable[[int], None]
) -> tuple[list[float], list[float]]:
    """Milliseconds of every query, the function's and those by hand."""
    own: list[float] = []
    by_hand: list[float] = []
    for number, recipient in enumerate(recipients, 1):
        for _ in range(ROUNDS):
            own.append(_time(_ask_function, function, recipient))
            by_hand.append(_time(_ask_by_hand, hand, recipient))
        show(number)
    return own, by_hand


def _time(ask: Callable[[Connection, str], Any], connection: Connection, recipient: str) -> float:
    at = time.perf_counter()
    ask(connection, recipient)
    return (time.perf_counter() - at) * 1000


def _report(name: str, what: str, times: tuple[list[float], list[float]], target: Target | None) -> list[Figure]:
    p50, hand_p50 = (median(side) for side in times)
    p99, hand_p99 = (find_percentile(side, 99) for side in times)
    return [
        Figure(
            name=f"{name} p50, {what}",
            measured=f"{p50:.2f} ms",
            compared=f"SQL by hand {hand_p50:.2f} ms",
            ratio=p50 / hand_p50,
            target=target,
        ),
        Figure(
            name=f"{name} p99" if name.startswith(" ") else "  p99",
            measured=f"{p99:.2f} ms",
            compared=f"SQL by hand {hand_p99:.2f} ms",
            ratio=p99 / hand_p99,
        ),
    ]
