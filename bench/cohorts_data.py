"""Users, companies, traits and events for the cohorts, made by the server itself from hashes of running numbers.

Some users do much and most do little (the share of the first n of N users is the root of n/N). Of the users a quarter
was there before everything, the others come one by one; six in ten stay, the others go again. A third belong to
companies, of five users in the mean. Mails are 15 of 100 events, calls 60, actions and pages the rest.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2
from psycopg2.extensions import cursor as Cursor

from bench.database import DATABASE
from bench.words import NOUNS
from local.postgres import SUPERUSER, Postgres

NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)  # a Wednesday; what is there was before it
SPAN = timedelta(days=100)  # of the first half of the history; the older half is as long
MAILS = 0.15  # of the events
LOAD = 500  # events that one load brings
CAMPAIGNS = ("spring-sale", "summer-news", "welcome", "invoice", "reminder", "release-notes", "Spring-party", "survey")
ACTIONS = (
    *("created_project", "exported_report", "invited_teammate", "upgraded_plan", "opened_ticket", "ran_import"),
    *("connected_integration", "finished_onboarding", "changed_settings", "shared_link"),
)
PAGES = ("home", "pricing", "docs", "billing", "status")
STATUSES = ((200, 85), (201, 5), (400, 3), (404, 3), (429, 2), (500, 2))

# Between 0 and 1, always the same for a number and a purpose.
PREPARE = """
CREATE FUNCTION part(n bigint, purpose int) RETURNS float8 IMMUTABLE PARALLEL SAFE LANGUAGE sql
    RETURN (hashint8extended(n, purpose) & 9007199254740991) / 9007199254740992::float8;
CREATE UNLOGGED TABLE known_users AS
SELECT n::int AS user_id, born,
       CASE WHEN part(n, 2) < 0.6 THEN 'infinity' ELSE born + (1 + 150 * part(n, 3)) * interval '1 day' END AS gone,
       part(n, 4) < 0.5 AS has_address, part(n, 5) < 0.2 AS is_anonymous,
       CASE WHEN part(n, 6) < 1 / 3.0
            THEN 3 * %(users)s + 1 + floor(%(companies)s * part(n, 7) ^ 1.5)::int END AS company_id
FROM (SELECT n, %(now)s - (CASE WHEN part(n, 0) < 0.25 THEN 300 ELSE 200 * part(n, 1) END) * interval '1 day' AS born
      FROM generate_series(1, %(users)s) AS n) AS coming;
INSERT INTO identities (identity_id, content_key, identity_type, value, person_id)
SELECT user_id, hashint8extended(user_id, 10), 'user', 'u' || user_id, user_id FROM known_users;
INSERT INTO identities (identity_id, content_key, identity_type, value, person_id)
SELECT user_id + %(users)s, hashint8extended(user_id, 11), 'address',
       'u' || user_id || '@host' || user_id %% 20 || '.example', user_id
FROM known_users WHERE has_address;
INSERT INTO identities (identity_id, content_key, identity_type, value, person_id)
SELECT user_id + 2 * %(users)s, hashint8extended(user_id, 12), 'anonymous', 'a' || user_id, user_id
FROM known_users WHERE is_anonymous;
INSERT INTO identities (identity_id, content_key, identity_type, value, person_id)
SELECT 3 * %(users)s + n, hashint8extended(n, 13), 'company', 'c' || n, 3 * %(users)s + n
FROM generate_series(1, %(companies)s) AS n;
SELECT setval('identities_identity_id_seq', 3 * %(users)s + %(companies)s);
INSERT INTO trait_writes
SELECT identity_id, ARRAY['metadata', name], born, value
FROM (SELECT user_id AS identity_id, born FROM known_users
      UNION ALL SELECT 3 * %(users)s + n, %(now)s - interval '300 days'
                FROM generate_series(1, %(companies)s) AS n) AS one
CROSS JOIN LATERAL (VALUES
    ('plan', (ARRAY['"free"', '"free"', '"free"', '"pro"', '"enterprise"'])[1 + floor(5 * part(identity_id, 20))::int]),
    ('country', (ARRAY['"DE"', '"FR"', '"NL"', '"US"', '"US"', '"IN"'])[1 + floor(6 * part(identity_id, 21))::int]),
    ('seats', CASE WHEN part(identity_id, 22) < 0.3 THEN floor(exp(6 * part(identity_id, 23)))::text END),
    ('tags', CASE WHEN part(identity_id, 24) < 0.1 THEN (ARRAY['["beta"]', '["vip", "beta"]', '["vip"]'])
                                                        [1 + floor(3 * part(identity_id, 25))::int] END),
    ('trial_ends_at', CASE WHEN part(identity_id, 26) < 0.2 THEN to_json(born + interval '21 days')::text END)
    ) AS given (name, value)
WHERE value IS NOT NULL;
INSERT INTO trait_writes (identity_id, path, at, value, company_id)
SELECT user_id, ARRAY['company_id'], born, to_json('c' || company_id - 3 * %(users)s), company_id
FROM known_users WHERE company_id IS NOT NULL;
INSERT INTO trait_writes  -- what was changed later
SELECT user_id, ARRAY['metadata', 'plan'], born + (%(now)s - born) * part(user_id, 28), '"pro"'
FROM known_users WHERE part(user_id, 27) < 0.1 AND born < %(now)s ON CONFLICT DO NOTHING;
CREATE UNLOGGED TABLE known_operations AS
SELECT place, (%(operations)s::int[])[1 + place] AS operation_id FROM generate_series(0, 999) AS place;
CREATE UNLOGGED TABLE known_kinds AS
SELECT place, (%(kinds)s::bigint[])[1 + place] AS kind_key FROM generate_series(0, 99) AS place;
INSERT INTO agents (content_key, user_agent)
SELECT n, 'client-' || n / 10 || '.' || n %% 10 FROM generate_series(1, 49) AS n;
INSERT INTO senders
SELECT n, 'news@brand' || n || '.example', n, 'pool', '192.0.2.1', '{}' FROM generate_series(1, 6) AS n;
INSERT INTO receivers
SELECT n, 'host' || n || '.example', 'host.example', 'host', 'eu' FROM generate_series(0, 19) AS n;
INSERT INTO clients SELECT n, 'reader/' || n, '{}' FROM generate_series(1, 60) AS n;
INSERT INTO mailings
SELECT n, 1 + n %% 6, (%(campaigns)s)[1 + n %% 8] || '-' || n / 8, 'template-' || n, 'subject ' || n, NULL, NULL,
       CASE WHEN n %% 3 = 0 THEN ARRAY['digest'] ELSE '{}' END
FROM generate_series(0, 199) AS n
"""
# Who is there between two instants, and for how much of the time.
FIND_LIVING = """
CREATE UNLOGGED TABLE {living} AS
SELECT row_number() OVER (ORDER BY part(user_id, 30))::int AS rank, user_id, company_id, has_address, is_anonymous,
       greatest(born, %(first)s) AS first, least(gone, %(last)s) AS last
FROM known_users WHERE born < %(last)s AND gone > %(first)s
"""
_DRAW = """
FROM generate_series(%(begin)s::bigint, %(end)s) AS n
JOIN {living} ON rank = 1 + floor((SELECT count(*) FROM {living}) * part(n, 40) ^ 2)::int
"""
_ACTIVITY = """
INSERT INTO activities (occurred_at, activity_key, operation_id, batch_id, identity_id, company_id, agent_id, duration,
                        weight, detail, properties)
SELECT at, hashint8extended(n, 42), operation_id, 1,
       user_id + CASE WHEN is_anonymous AND part(n, 43) < 0.3 THEN 2 * %(users)s ELSE 0 END, company_id,
       1 + floor(49 * part(user_id, 44))::int, CASE WHEN operation_id <= 144 THEN (20 * exp(3 * part(n, 45)))::int END,
       CASE WHEN part(n, 46) < 0.02 THEN 2 + floor(8 * part(n, 47))::int END,
       '\\x0328b52ffd0458cd02006270696f6e206f66206120736d616c6c206f626a6563742074686174206e6f206f6e65206861732072656164207965742e',
       CASE WHEN operation_id > 144 THEN jsonb_build_object('amount', round((200 * part(n, 48))::numeric, 2),
                                                            'item', 'item-' || floor(9 * part(n, 49)))
            WHEN part(n, 50) < 0.2 THEN jsonb_build_object('region', 'r' || floor(4 * part(n, 51))) END
FROM ({draw}) AS drawn JOIN known_operations ON place = floor(1000 * part(n, 52))::int
ORDER BY at
"""
_MAIL = """
INSERT INTO events (occurred_at, event_key, kind_key, mailing_key, receiver_key, client_key, batch_id, recipient,
                    message_id, url, metadata, detail, user_key)
SELECT at, hashint8extended(n, 62), kind_key, floor(200 * part(n, 63) ^ 2)::int, user_id %% 20,
       CASE WHEN kind_key > 100 THEN 1 + floor(60 * part(user_id, 64))::int END, 1,
       'u' || user_id || '@host' || user_id %% 20 || '.example', to_hex(hashint8extended(n, 65)),
       CASE WHEN kind_key = 103 THEN 'https://www.example.com/' || n %% 50 END,
       CASE WHEN part(n, 66) < 0.3 THEN jsonb_build_object('list', 'l' || floor(9 * part(n, 67))) END,
       '\\x0328b52ffd0458cd02006270696f6e206f66206120736d616c6c206f626a6563742074686174206e6f206f6e65206861732072656164207965742e',
       CASE WHEN NOT has_address OR part(n, 68) < 0.1 THEN hashint8extended(user_id, 10) END
FROM ({draw}) AS drawn JOIN known_kinds ON place = floor(100 * part(n, 69))::int
ORDER BY at
"""
_PAST = f"SELECT n, {{living}}.*, first + (last - first) * part(n, 41) AS at {_DRAW}"
ADD_ACTIVITIES = _ACTIVITY.replace("{draw}", _PAST)
ADD_MAILS = _MAIL.replace("{draw}", _PAST)
# Those to whom something new happens.
CHOOSE = """
DROP TABLE IF EXISTS changed;
CREATE UNLOGGED TABLE changed AS SELECT row_number() OVER () AS n, chosen.* FROM ({chosen} LIMIT %(count)s) AS chosen
"""
ANYBODY = "SELECT * FROM living ORDER BY part(user_id, %(seed)s)"
BY_ACTIVITY = """
SELECT living.* FROM living
JOIN (SELECT 1 + floor((SELECT count(*) FROM living) * part(n, %(seed)s) ^ 2)::int AS rank, min(n) AS n
      FROM generate_series(1, 50 * %(count)s) AS n GROUP BY 1) AS drawn USING (rank)
WHERE last = %(now)s ORDER BY drawn.n
"""
# One to three activities of each, of one in five a mail besides; as many changes as loads would write.
_COMING = """
SELECT %(seed)s * 100000000::bigint + 10 * changed.n + nth AS n, user_id, company_id, has_address, is_anonymous,
       %(since)s + part(%(seed)s * 100000000::bigint + 10 * changed.n + nth, 41) * interval '50 seconds' AS at
FROM changed CROSS JOIN generate_series(1, {most}) AS nth WHERE part(10 * changed.n + nth, %(seed)s) < {share}
"""
CHANGE = (
    _ACTIVITY.replace("{draw}", _COMING.format(most=3, share="1.0 / nth")),
    _MAIL.replace("{draw}", _COMING.format(most=1, share=0.2)),
    """
INSERT INTO changes (touched)
SELECT json_build_object('identities', json_object_agg(identity_id, since))
FROM (SELECT identity_id, (extract(epoch FROM min(occurred_at)) * 1000000)::bigint AS since,
             row_number() OVER (ORDER BY min(activity_key)) / %(load)s AS load
      FROM activities CROSS JOIN LATERAL (VALUES (identity_id), (company_id)) AS named (identity_id)
      WHERE occurred_at >= %(since)s AND named.identity_id IS NOT NULL GROUP BY 1) AS each_one GROUP BY load
""".replace("SELECT identity_id, (extract", "SELECT named.identity_id, (extract"),
    """
INSERT INTO changes (touched)
SELECT json_build_object(
    'addresses', coalesce(json_object_agg(value, since) FILTER (WHERE identity_type = 'address'), '{}'),
    'users', coalesce(json_object_agg(value, since) FILTER (WHERE identity_type = 'user'), '{}'))
FROM (SELECT value, identity_type, (extract(epoch FROM min(occurred_at)) * 1000000)::bigint AS since,
             row_number() OVER (ORDER BY min(event_key)) / %(load)s AS load
      FROM events JOIN identities ON CASE WHEN user_key IS NULL THEN value = recipient ELSE content_key = user_key END
      WHERE occurred_at >= %(since)s GROUP BY 1, 2) AS each_one GROUP BY load
""",
)


def count_companies(users: int) -> int:
    """So many that one has five users: a third of all are of a company."""
    return max(users // 15, 1)


def prepare(server: Postgres, users: int) -> None:
    """Makes everybody, what is known of them, and what events share."""
    operations, places = _list_operations()
    kinds, kind_places = _list_kinds()
    with _connect(server) as cursor:
        cursor.executemany(
            "INSERT INTO operations (content_key, source, activity_type, name, method, route, status)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s)",
            operations,
        )
        cursor.executemany("INSERT INTO kinds VALUES (%s, 'sparkpost', %s, %s, NULL, %s, false, %s, false)", kinds)
        values = {"operations": places, "kinds": kind_places, "campaigns": list(CAMPAIGNS)}
        cursor.execute(PREPARE, {**values, "users": users, "companies": count_companies(users), "now": NOW})


def add_history(server: Postgres, users: int, events: int, *, is_older: bool) -> None:
    """Adds so many events, over SPAN: the newer half up to NOW, or the older half before it."""
    last = NOW - SPAN if is_older else NOW
    living, begin = ("living_then", 10 * events + 1) if is_older else ("living", 1)
    mails = int(events * MAILS)
    values = {"users": users, "first": last - SPAN, "last": last}
    with _connect(server) as cursor:
        cursor.execute(FIND_LIVING.format(living=living), values)
        cursor.execute(f"CREATE INDEX ON {living} (rank); ANALYZE {living}")
        for week in range(-1, SPAN // timedelta(weeks=1) + 2):
            for kind in ("activities", "events"):
                cursor.execute(f"SELECT create_{kind}_partition(%s)", (last - SPAN + timedelta(weeks=week),))
    jobs = (
        (ADD_ACTIVITIES, {**values, "begin": begin, "end": begin + events - mails - 1}),
        (ADD_MAILS, {**values, "begin": begin + events, "end": begin + events + mails - 1}),
    )
    _run_at_once(server, [(statement.replace("{living}", living), each) for statement, each in jobs])


def choose(server: Postgres, count: int, *, by_activity: bool) -> int:
    """Chooses who is to change, and says how many: anybody as likely, or who does much rather than who does little."""
    chosen = BY_ACTIVITY if by_activity else ANYBODY
    with _connect(server) as cursor:
        cursor.execute(CHOOSE.format(chosen=chosen), {"count": count, "now": NOW, "seed": 71 if by_activity else 70})
        cursor.execute("SELECT count(*) FROM changed")
        return int(cursor.fetchall()[0][0])


def change(server: Postgres, users: int, since: datetime, number: int) -> None:
    """Lets something happen to all who are chosen, within a minute; loads say so."""
    with _connect(server) as cursor:
        for statement in CHANGE:
            cursor.execute(statement, {"users": users, "since": since, "seed": 1000 + number, "load": LOAD})


@contextmanager
def _connect(server: Postgres) -> Iterator[Cursor]:
    """A transaction."""
    dsn = server.dsn(SUPERUSER, DATABASE)
    with (
        closing(psycopg2.connect(dsn, options="-c timezone=UTC")) as connection,
        connection,
        connection.cursor() as cursor,
    ):
        yield cursor


def _run_at_once(server: Postgres, jobs: Sequence[tuple[str, dict[str, Any]]]) -> None:
    failures: list[Exception] = []

    def run(statement: str, values: dict[str, Any]) -> None:
        try:
            with _connect(server) as cursor:
                cursor.execute("SET LOCAL work_mem = '512MB'; SET LOCAL jit = off")
                cursor.execute(statement, values)
        except psycopg2.Error as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run, args=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def _list_operations() -> tuple[list[tuple[Any, ...]], list[int]]:
    """The rows of operations in the order of their ids, and the ids of a thousand events; the first 144 are calls."""
    rows: list[tuple[Any, ...]] = []
    weights: list[float] = []
    for number, noun in enumerate(NOUNS[:24]):
        for status, percent in STATUSES:
            rows.append(
                (len(rows), "moesif", "call", None, "POST" if number % 3 == 0 else "GET", f"/v1/{noun}", status)
            )
            weights.append(0.7 * percent / 100 / 24)
    for activity_type, names, share in (("action", ACTIONS, 0.2), ("page", PAGES, 0.1)):
        for name in names:
            rows.append((len(rows), "segment", activity_type, name, None, None, None))
            weights.append(share / len(names))
    return rows, _spread(range(1, len(rows) + 1), weights, 1000)


def _list_kinds() -> tuple[list[tuple[Any, ...]], list[int]]:
    """The rows of kinds, and the keys of a hundred mails' events; from 101 on there is a client."""
    kinds = [
        (1, "injection", "injected", None, False, 35), (2, "delivery", "delivered", None, False, 33),
        (3, "bounce", "bounced", "hard", False, 1), (4, "bounce", "bounced", "soft", False, 2),
        (5, "spam_complaint", "complained", None, False, 1), (6, "list_unsubscribe", "unsubscribed", None, False, 1),
        (101, "open", "opened", None, False, 13), (102, "open", "opened", None, True, 8),
        (103, "click", "clicked", None, False, 6),
    ]  # fmt: skip
    return [kind[:-1] for kind in kinds], _spread([kind[0] for kind in kinds], [kind[-1] / 100 for kind in kinds], 100)


def _spread(values: Iterable[int], weights: Sequence[float], size: int) -> list[int]:
    """The values so often as their weights (which add up to 1) say, `size` in all, mixed by the server's hash."""
    spread: list[int] = []
    total = 0.0
    for value, weight in zip(values, weights, strict=True):
        total += weight
        spread += [value] * (round(total * size) - len(spread))
    return spread
