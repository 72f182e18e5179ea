"""What the API tells of Prometheus's series."""

from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest

from common.errors import ApiError
from query_events.routing import READ_EVENTS, Caller
from query_events.samples import MEANINGS, ROUTES
from tests.integration.conftest import NOW, Connect
from tests.integration.requests import REP, make_request
from tests.integration.test_loading import select
from tests.integration.test_samples import START, load, make_batch
from tests.integration.test_usage import open_query
from tests.unit.sources.remote_write import STALE

(ROUTE,) = ROUTES
DAY = 86_400_000
HOUR = 3_600_000


def ask(connect: Connect, caller: Caller = REP, /, **given: str) -> dict[str, Any]:
    """The answer to a request."""
    return make_request(open_query(connect), ROUTE, {name.strip("_"): text for name, text in given.items()}, caller)


def test_points_tell_values_and_growth(connect: Connect) -> None:
    """By day: what the day's samples were, and how much the counter grew since the sample before, aware of resets."""
    samples: list[tuple[int, float | bytes]] = [
        (START - DAY, 5.0),
        (START - 1000, 9.0),
        (START - 500, STALE),
        (START, 3.0),
        (START + 60_000, 4.0),
    ]
    load(connect("mailwake_loader"), make_batch(samples, job="api"))
    (series,) = ask(connect, group_by="hour", _from="2026-11-21T00:00Z")["results"]
    assert {name: series[name] for name in ("name", "labels", "user", "company")} == {
        "name": "calls_total",
        "labels": {"job": "api"},
        "user": None,
        "company": None,
    }
    numbers = [[point[name] for name in MEANINGS] for point in series["points"]]
    assert [point["hour"] for point in series["points"]] == ["2026-11-21T10:00:00+00:00", "2026-11-21T11:00:00+00:00"]
    assert numbers == [[1, 9.0, 9.0, 9.0, 9.0, 4.0], [2, 4.0, 3.0, 3.5, 4.0, 4.0]]
    (whole,) = ask(connect)["results"][0]["points"]
    assert [whole[name] for name in MEANINGS] == [4, 4.0, 3.0, 5.25, 9.0, 8.0]


@pytest.mark.parametrize("seed", range(3))
def test_increase_is_as_the_database_counts_it(connect: Connect, seed: int) -> None:
    """In any zone, each point's is that of count_increase between its bounds; all together that of the range."""
    random = Random(seed)
    value = 0.0
    samples: list[tuple[int, float | bytes]] = []
    for at in sorted(random.sample(range(START - 3 * DAY, START, 1000), 200)):
        value = 0.0 if random.random() < 0.1 else value + random.randrange(9)
        samples.append((at, random.choice((value, value, value, float("nan"), STALE))))
    load(connect("mailwake_loader"), make_batch(samples))
    given = {"timezone": "Asia/Kathmandu", "_from": "2026-11-20", "to": "2026-11-21"}
    (series,) = ask(connect, group_by="hour", **given)["results"]
    statement = "SELECT count_increase(series_id, %s, %s) FROM series"
    instant = timedelta(microseconds=1)
    for point in series["points"]:
        ((increase,),) = select(
            connect("mailwake_query"),
            statement,
            datetime.fromisoformat(point["hour"]) - instant,
            datetime.fromisoformat(point["hour"]) + timedelta(hours=1) - instant,
        )
        assert point["increase"] == increase
    bounds = ("2026-11-19T18:15Z", "2026-11-20T18:14:59.999999Z")
    ((whole,),) = select(connect("mailwake_query"), statement, *bounds)
    assert sum(point["increase"] for point in series["points"]) == whole > 0


def test_series_are_somebodys_or_nobodys(connect: Connect) -> None:
    """Told apart by `of`, found by names, companies and users; as many as wanted, all counted."""
    loader = connect("mailwake_loader")
    load(loader, make_batch([(START, 1.0)], user_id="ann@example.com", company_id="acme"))
    load(loader, make_batch([(START, 2.0)], key="two", job="api"))
    load(loader, make_batch([(START - 30 * DAY, 2.0)], key="three", job="old"))
    load(loader, make_batch([(START, STALE)], key="four", job="ended"))
    everything = ask(connect)
    assert [series["company"] for series in everything["results"]] == [None, "acme"]
    assert ask(connect, limit="1")["total_count"] == everything["total_count"] == 2
    assert [series["labels"] for series in ask(connect, of="nobody")["results"]] == [{"job": "api"}]
    for given in ({"of": "customers"}, {"companies": "acme"}, {"users": "ann@example.com,x"}):
        assert [series["user"] for series in ask(connect, **given)["results"]] == ["ann@example.com"]
    assert ask(connect, names="other")["results"] == []
    masked = ask(connect, Caller("reports", frozenset({READ_EVENTS})), of="customers")["results"][0]
    assert (masked["user"], masked["labels"]["user_id"]) == ("a***@example.com", "a***@example.com")


def test_numbers_that_json_lacks_are_null(connect: Connect) -> None:
    """Infinite values and sums beyond a double's range are null, and no error."""
    load(connect("mailwake_loader"), make_batch([(START, float("inf")), (START + 1, 1e308), (START + 2, -1e308)]))
    (point,) = ask(connect)["results"][0]["points"]
    assert [point[name] for name in MEANINGS] == [3, -1e308, -1e308, None, None, 0.0]


@pytest.mark.parametrize(
    "given", [{"of": "them"}, {"group_by": "week"}, {"limit": "0"}, {"timezone": "Mars"}, {"x": "1"}]
)
def test_wrong_parameters_are_refused(connect: Connect, given: dict[str, str]) -> None:
    """Each is a 400 that names the parameter."""
    with pytest.raises(ApiError) as raised:
        ask(connect, **given)
    assert raised.value.status == 400
    assert next(iter(given)) in raised.value.description


def test_range_without_samples(connect: Connect) -> None:
    """Nothing is found before the first and after the last sample."""
    load(connect("mailwake_loader"), make_batch([(START, 1.0)]))
    assert ask(connect, to=(NOW - timedelta(days=9)).isoformat())["results"] == []
