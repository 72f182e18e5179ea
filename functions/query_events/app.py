"""Entry point of the query API."""

import logging
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

import psycopg2
import psycopg2.errors
from psycopg2.extensions import connection as Connection

from common.clock import now
from common.database import Database, DatabaseSettings, DatabaseUnavailableError, connect, is_transient
from common.errors import ApiError
from common.responses import Response, build_error
from query_events.routes import TABLE
from query_events.routing import Request, Route, check_caller

log = logging.getLogger(__name__)

SESSION = {
    "statement_timeout": "25s",  # API Gateway gives up after 30
    # Planning takes longer than a page: the queries name their tables in the best order, and look a page's rows up.
    "join_collapse_limit": "1",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}


@cache
def _database() -> Database:
    settings = DatabaseSettings.read()
    return Database(lambda: open_connection(settings))


def open_connection(settings: DatabaseSettings) -> Connection:
    """A connection for queries, each a transaction of its own: a search is one round trip then."""
    connection = connect(settings, **SESSION)
    connection.autocommit = True
    return connection


def handler(event: dict[str, Any], _context: object) -> Response:
    """Answers a request in API Gateway's payload 2.0."""
    try:
        return answer(event)
    except ApiError as error:
        return build_error(error)


def answer(event: dict[str, Any]) -> Response:
    """The answer to a request. Raises `ApiError`."""
    context = event["requestContext"]
    route, path_values = TABLE.find(context["http"]["method"], event["rawPath"])
    caller = check_caller(route, context.get("authorizer", {}).get("lambda"))
    request = Request(
        connect=lambda: _database().get(),
        instant=now(),
        caller=caller,
        path=event["rawPath"],
        path_values=path_values,
        given=dict(parse_qsl(event.get("rawQueryString", ""), keep_blank_values=True)),
        headers={name.lower(): value for name, value in event.get("headers", {}).items()},
    )
    body = run(route, request)
    log.info("answered", extra={"path": route.path, "caller": caller.name, "bytes": len(body)})
    headers = {"content-type": "application/json", "cache-control": "private, no-cache"}
    return {"statusCode": 200, "headers": headers, "body": body.decode()}


def run(route: Route, request: Request) -> bytes:
    """A route's answer; a kept connection to the database that turns out to be broken is replaced once."""
    for last in (False, True):
        try:
            return route.answer(request)
        except psycopg2.errors.QueryCanceled:
            raise ApiError(503, "Search took too long", "Narrow the range of time or add a filter.") from None
        except (psycopg2.Error, DatabaseUnavailableError) as failure:
            if isinstance(failure, psycopg2.Error) and not is_transient(failure):
                raise
            _database().close()
            if last:
                log.exception("database unavailable")
                raise ApiError(503, "Service unavailable", "The database can't be reached; try again.") from failure
    raise AssertionError("unreachable")
