from typing import cast

import jsonschema
import pytest
from psycopg2.extensions import connection as Connection

from common.errors import ApiError
from query_events.batches import ROUTES
from query_events.routing import Request
from tests.integration.requests import make_request

(BATCHES,) = ROUTES
NO_DATABASE = cast("Connection", None)


@pytest.mark.parametrize("body", [b"{}", b'{"results": [], "links": []}', b'{"results": [{}], "links": {}}'])
def test_answer_that_is_not_declared_fails(body: bytes) -> None:
    """No test passes with an answer that the OpenAPI document does not describe."""
    with pytest.raises(jsonschema.ValidationError):
        make_request(NO_DATABASE, BATCHES._replace(answer=lambda _: body), {})


def test_refusal_that_is_not_declared_fails() -> None:
    """Nor with a status that the route does not declare; one that it does is raised."""

    def refuse(request: Request) -> bytes:
        raise ApiError(int(request.given["status"]), "No", "No", "1")

    route = BATCHES._replace(answer=refuse)
    with pytest.raises(AssertionError, match="does not declare 404"):
        make_request(NO_DATABASE, route, {"status": "404"})
    with pytest.raises(ApiError):
        make_request(NO_DATABASE, route, {"status": "400"})
