"""Requests as the query function's entry point makes them."""

from collections.abc import Mapping

from psycopg2.extensions import connection as Connection

from query_events.routing import READ_EVENTS, READ_PII, Caller, Request
from tests.integration.conftest import NOW

REP = Caller("rep", frozenset({READ_EVENTS, READ_PII}))


def make_request(connection: Connection, given: Mapping[str, str], caller: Caller = REP, **path_values: str) -> Request:
    """A request at `NOW` of somebody who may see addresses."""
    return Request(lambda: connection, NOW, caller, path="", path_values=path_values, given=given)
