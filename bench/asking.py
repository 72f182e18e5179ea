"""The query API's own answers, without HTTP around them: from a request's parameters to the body's bytes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TypeVar

import psycopg2
from psycopg2.extensions import connection as Connection

from bench.database import DATABASE
from local.postgres import Postgres
from query_events.answers import wrap
from query_events.app import SESSION
from query_events.routes import TABLE
from query_events.routing import READ_EVENTS, READ_PII, Caller, Request

QUERY = "mailwake_query"
CALLER = Caller("bench", frozenset({READ_EVENTS, READ_PII}))
SEARCH = "/api/v1/events/message"
Found = TypeVar("Found")


def open_connection(server: Postgres, settings: Mapping[str, str] = SESSION) -> Connection:
    """A connection of the function's own kind, or with other settings."""
    options = " ".join(f"-c {name}={value}" for name, value in {"timezone": "UTC", **settings}.items())
    connection = psycopg2.connect(server.dsn(QUERY, DATABASE), options=options)
    connection.autocommit = True
    return connection


def ask(connection: Connection, path: str, given: Mapping[str, str], instant: datetime) -> bytes:
    """What a route answers to somebody who may see everything."""
    route, path_values = TABLE.find("GET", path)
    return wrap(route.answer(Request(lambda: connection, instant, CALLER, path, path_values, given)), etag=False).body


def measure(call: Callable[[], Found]) -> tuple[float, Found]:
    """Milliseconds that a call takes, and what it gives."""
    at = time.perf_counter()
    found = call()
    return (time.perf_counter() - at) * 1000, found
