"""Entry point of the query API."""

import logging
import time
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

import psycopg2
import psycopg2.errors
from psycopg2.extensions import connection as Connection

from common.clock import now
from common.database import Database, DatabaseSettings, DatabaseUnavailableError, connect, is_transient
from common.errors import ApiError, locate
from common.responses import Response
from common.text import clean_text
from query_events.access_log import log_request
from query_events.answers import Answer, answer_error, answer_options, build_response, wrap
from query_events.given import join_repeated
from query_events.rates import get_rates
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
    """Answers a request in API Gateway's payload 2.0, whatever happens."""
    began = time.monotonic()
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    try:
        response = build_response(answer(event, headers), headers)
    except ApiError as error:
        response = build_response(answer_error(error), headers)
    except Exception as failure:  # noqa: BLE001 (the client gets our error body, an alarm watches the log)
        log_failure(failure)
        ours = ApiError(500, "Internal server error", "This is our mistake; it has been noted.")
        response = build_response(answer_error(ours), headers)
    try:
        log_request(TABLE, event, response, time.monotonic() - began)
    except Exception as failure:  # noqa: BLE001 (a line less in the log is no reason to lose the answer)
        log_failure(failure)
    return response


def answer(event: dict[str, Any], headers: dict[str, str]) -> Answer:
    """The answer to a request. Raises `ApiError`."""
    context = event["requestContext"]
    method = context["http"]["method"]
    if method == "OPTIONS":
        return answer_options(TABLE.list_methods(event["rawPath"]))
    route, path_values = TABLE.find(method, event["rawPath"])
    caller = check_caller(route, context.get("authorizer", {}).get("lambda"))
    get_rates().check(caller.name, time.monotonic())
    request = Request(
        connect=lambda: _database().get(),
        instant=now(),
        caller=caller,
        path=event["rawPath"],
        path_values=path_values,
        given=join_repeated((clean_text(name), clean_text(value)) for name, value in read_query(event)),
        headers=headers,
    )
    return wrap(run(route, request), etag=route.etag)


def read_query(event: dict[str, Any]) -> list[tuple[str, str]]:
    """The query's names and values, decoded; what is not UTF-8 becomes U+FFFD."""
    return parse_qsl(event.get("rawQueryString", ""), keep_blank_values=True)


def log_failure(failure: BaseException) -> None:
    """Logs what failed and where, but not the exception's text: it may hold a recipient. An alarm counts these."""
    log.error("failed", extra={"error": type(failure).__qualname__, "where": locate(failure)})


def run(route: Route, request: Request) -> bytes | Answer:
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
