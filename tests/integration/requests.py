"""Requests as the query function's entry point makes them, and their answers, held against the OpenAPI document."""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from psycopg2.extensions import connection as Connection

from common.errors import ApiError
from query_events.answers import Answer, answer_error, build_response, wrap
from query_events.routing import READ_EVENTS, READ_PII, Caller, Request, Route
from tests.declared import check_answer
from tests.integration.conftest import NOW

REP = Caller("rep", frozenset({READ_EVENTS, READ_PII}))


def make_request(
    connection: Connection, route: Route, given: Mapping[str, str], caller: Caller = REP, /, **path_values: str
) -> dict[str, Any]:
    """The decoded answer to a request at `NOW` of somebody who may see addresses; fails unless it is as declared.

    Raises `ApiError`, once the refusal is known to be as declared too.
    """
    path = re.sub(r"\{(\w+)\}", lambda found: quote(path_values[found[1]], safe=""), route.path)
    request = Request(lambda: connection, NOW, caller, path, path_values, given)
    try:
        answer = wrap(route.answer(request), etag=route.etag)
    except ApiError as error:
        _check(path, answer_error(error))
        raise
    _check(path, answer)
    decoded: dict[str, Any] = json.loads(answer.body)
    return decoded


def _check(path: str, answer: Answer) -> None:
    response = build_response(answer, {})
    check_answer("GET", path, answer.status, response["headers"], answer.body)
