"""Notifications and deliveries, as the API shows them."""

from datetime import timedelta

import pytest
from psycopg2.extensions import connection as Connection

from cohort_evaluator.store import save_notification
from cohort_evaluator.suppressing import add_suppression, remove_suppression
from common.errors import ApiError
from query_events import deliveries, suppressions
from query_events.notifications import ROUTES
from query_events.routing import READ_EVENTS, Caller
from s3_loader.deliveries import load_delivery
from tests.integration.conftest import NOW, Connect
from tests.integration.requests import make_request
from tests.integration.test_cohorts import CALL, World
from tests.integration.test_deliveries import make_report
from tests.integration.test_notifying import DIGEST

LIST, _, ONE = ROUTES
(DELIVERIES,) = deliveries.ROUTES


@pytest.fixture
def query(connect: Connect) -> Connection:
    """A notification with three deliveries."""
    world = World(connect)
    world.save({"did": CALL, "count": {">=": 1}, "window": {"last": "10 minutes"}})
    save_notification(world.evaluator, DIGEST, NOW, "test")
    for number in range(3):
        at = f"2026-11-21T11:00:0{number}.000Z"
        report = make_report(str(number), id=f"ntf-{number}", at=at, recipient="ada@example.com", state="sent")
        load_delivery(world.loader, report, replay=False)
    return connect("mailwake_query")


def test_notifications_are_shown(query: Connection) -> None:
    """With their definition, and nothing that is secret."""
    (one,) = make_request(query, LIST, {})["results"]
    assert (one["name"], one["cohort"], one["definition"]["period"]) == ("team", "one", "15 minutes")
    assert make_request(query, LIST, {"cohort": "other"})["results"] == []
    assert make_request(query, ONE, {}, notification="team")["results"] == one
    with pytest.raises(ApiError, match="Not found"):
        make_request(query, ONE, {}, notification="nothing")


def test_deliveries_are_paged_and_narrowed(query: Connection) -> None:
    """The newest first."""
    page = make_request(query, DELIVERIES, {"per_page": "2"})
    assert [one["id"] for one in page["results"]] == ["ntf-2", "ntf-1"]
    cursor = page["links"]["next"].partition("cursor=")[2].partition("&")[0]
    rest = make_request(query, DELIVERIES, {"per_page": "2", "cursor": cursor})
    assert [one["id"] for one in rest["results"]] == ["ntf-0"]
    assert make_request(query, DELIVERIES, {"state": "failed"})["results"] == []
    assert len(make_request(query, DELIVERIES, {"recipient": "ada@example.com"})["results"]) == 3


def test_addresses_are_masked(query: Connection) -> None:
    """For who may not see them."""
    found = make_request(query, DELIVERIES, {}, Caller("other", frozenset({READ_EVENTS})))["results"]
    assert {one["recipient"] for one in found} == {"a***@example.com"}


def test_suppressions_are_shown(query: Connection, connect: Connect) -> None:
    """The newest first, page by page; those that were removed say so."""
    evaluator, (route,) = connect("mailwake_evaluator"), suppressions.ROUTES
    for number in range(3):
        add_suppression(evaluator, f"a{number}@example.com", "*", NOW, "rep")
    remove_suppression(evaluator, "a1@example.com", "*", NOW, "rep")
    page = make_request(query, route, {"per_page": "2"})
    cursor = page["links"]["next"].partition("cursor=")[2].partition("&")[0]
    found = [*page["results"], *make_request(query, route, {"per_page": "2", "cursor": cursor})["results"]]
    assert sorted(one["address"] for one in found) == ["a0@example.com", "a1@example.com", "a2@example.com"]
    (one,) = make_request(query, route, {"address": " A1@Example.com "})["results"]
    assert (one["reason"], one["removed_by"]) == ("manual", "rep")


@pytest.mark.parametrize(
    ("given", "number"),
    [
        ({"topic": "news"}, 1),
        ({"topic": "*"}, 3),
        ({"reason": "manual"}, 4),
        ({"reason": "bounced"}, 0),
        ({"source": "rep"}, 4),
        ({"source": "other"}, 0),
        ({"from": "2026-11-21T12:00:01Z"}, 1),
        ({"to": "2026-11-21T12:00:01Z"}, 3),
        ({"from": "2026-11-21", "topic": "*", "address": "a1@example.com"}, 1),
    ],
)
def test_suppressions_are_narrowed(query: Connection, connect: Connect, given: dict[str, str], number: int) -> None:
    """By topic, reason, source and since when."""
    evaluator, (route,) = connect("mailwake_evaluator"), suppressions.ROUTES
    for index in range(3):
        add_suppression(evaluator, f"a{index}@example.com", "*", NOW, "rep")
    add_suppression(evaluator, "a1@example.com", "news", NOW + timedelta(seconds=2), "rep")
    assert len(make_request(query, route, given)["results"]) == number
    with pytest.raises(ApiError, match="Invalid"):
        make_request(query, route, {"reason": "spam"})
