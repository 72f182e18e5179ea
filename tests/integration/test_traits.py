"""What was written to a person's traits."""

from typing import Any

import pytest

from common.errors import ApiError
from query_events.traits import ROUTES
from tests.integration.conftest import Connect
from tests.integration.lookups import ask, walk
from tests.integration.test_behaviour import load, make_batch

(TRAITS,) = ROUTES
USERS = [
    {"user_id": "u", "modified_time": "2026-11-01T00:00:00Z", "metadata": {"plan": "free", "a": {"x": 1}}},
    {"user_id": "u", "modified_time": "2026-11-02T00:00:00Z", "metadata": {"plan": "pro"}},
    {"user_id": "v", "modified_time": "2026-11-03T00:00:00Z", "metadata": {"plan": None, "tags": ["a", 1]}},
    {"user_id": "w", "modified_time": "2026-11-03T00:00:00Z", "metadata": {"plan": "other"}},
]


def test_all_writes_of_one_person(connect: Connect) -> None:
    """Those of all names of a person, the newest first, page by page, and as they were at an instant."""
    loader, query = connect("mailwake_loader"), connect("mailwake_query")
    query.autocommit = True
    load(loader, make_batch("moesif", "users", USERS))
    load(loader, make_batch("segment", "alias", {"userId": "u", "previousId": "v"}, key="two"))
    found = walk(query, TRAITS, "u", per_page="2")
    shown = [(one["identity"]["value"], one["path"], one["at"][:10], one["value"]) for one in found_results(found)]
    assert shown == [
        ("v", ["metadata", "tags"], "2026-11-03", ["a", 1]),
        ("v", ["metadata", "plan"], "2026-11-03", None),
        ("u", ["metadata", "plan"], "2026-11-02", "pro"),
        ("u", ["metadata", "plan"], "2026-11-01", "free"),
        ("u", ["metadata", "a", "x"], "2026-11-01", 1),
    ]
    assert len(ask(query, TRAITS, "v", at="2026-11-02T00:00:00Z")["results"]) == 3


def found_results(pages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entries of all pages."""
    return [entry for page in pages for entry in page["results"]]


def test_nobody_is_not_found(connect: Connect) -> None:
    """Of whom nothing is known there is a 404; a cursor that is none of ours is a 400."""
    query = connect("mailwake_query")
    query.autocommit = True
    with pytest.raises(ApiError) as refusal:
        ask(query, TRAITS, "nobody")
    assert refusal.value.status == 404
    with pytest.raises(ApiError) as refusal:
        ask(query, TRAITS, "nobody", cursor="x")
    assert refusal.value.status == 400
