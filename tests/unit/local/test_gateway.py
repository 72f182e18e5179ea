"""Which route a request takes."""

import pytest

from local.declared import Route
from local.gateway import RouteTable


def make_route(key: str) -> Route:
    """A route whose function is named like its key."""
    method, _, path = key.rpartition(" ")
    return Route(method=method or "ANY", path=path, function=key, authorizer=None, timeout=30)


TABLE = RouteTable(
    [
        make_route(key)
        for key in ("$default", "ANY /api/{proxy+}", "ANY /api/{one}", "GET /api/{one}", "ANY /api/exact", "POST /hook")
    ]
)


@pytest.mark.parametrize(
    ("method", "path", "key", "parameters"),
    [
        ("GET", "/api/exact", "ANY /api/exact", {}),
        ("GET", "/api/x", "GET /api/{one}", {"one": "x"}),
        ("HEAD", "/api/x", "ANY /api/{one}", {"one": "x"}),
        ("GET", "/api/v1/events/message", "ANY /api/{proxy+}", {"proxy": "v1/events/message"}),
        ("POST", "/hook", "POST /hook", {}),
        ("GET", "/hook", "$default", {}),
        ("GET", "/api/", "$default", {}),
    ],
)
def test_most_specific_route_wins(method: str, path: str, key: str, parameters: dict[str, str]) -> None:
    """An exact path wins over a variable, that over {proxy+}, a method over ANY, and $default takes the rest."""
    found = TABLE.find(method, path)
    assert found is not None
    assert (found[0].function, found[1]) == (key, parameters)


def test_nothing_matches() -> None:
    """Without a matching route there is none."""
    assert RouteTable([make_route("POST /hook")]).find("GET", "/hook") is None
