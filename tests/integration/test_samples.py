from datetime import timedelta

import pytest

from s3_loader.batches import Batch
from s3_loader.behaviour import BehaviourLoader
from s3_loader.contents import read_content
from s3_loader.loading import Load, Outcome
from sources import prometheus
from tests.integration.conftest import NOW, Connect
from tests.integration.test_behaviour import LIMITS
from tests.integration.test_loading import count, select
from tests.unit.sources.remote_write import FIRST, SECOND, STALE, Samples, compress, make_first, make_second

START = int(NOW.timestamp() * 1000) - 3_600_000
VALUES = "SELECT extract(epoch FROM sampled_at)::bigint - %s, value FROM samples ORDER BY 1"


def make_batch(samples: Samples, *, key: str = "one", second: bool = False, **labels: str) -> Batch:
    """A batch of one series, as the listener stores it."""
    given = tuple(sorted({"__name__": "calls_total", **labels}.items()))
    body = compress((make_second if second else make_first)([(given, samples)]))
    content_type = SECOND if second else FIRST
    return Batch(f"raw/prometheus/2026/11/21/12/{key}", "prometheus", None, "r", NOW, body, content_type, "write")


def load(connection: object, batch: Batch, *, replay: bool = False) -> Load:
    """Loads a batch by a loader that remembers nothing."""
    return BehaviourLoader().load(connection, batch, read_content(prometheus, batch, LIMITS), replay=replay)  # type: ignore[arg-type]


def test_samples_are_stored_once(connect: Connect) -> None:
    """Both versions of one series are one series; a retried part changes nothing, nor does a replay."""
    loader, query = connect("mailwake_loader"), connect("mailwake_query")
    first = make_batch([(START, 1.0), (START + 1000, STALE)], job="api")
    assert load(loader, first) == Load(Outcome.LOADED, events=2)
    again = make_batch([(START, 1.0), (START + 2000, 3.0)], key="two", second=True, job="api")
    assert load(loader, again) == Load(Outcome.LOADED, events=2, duplicates=1)
    assert load(loader, first, replay=True) == Load(Outcome.LOADED, events=2, duplicates=2)
    assert select(query, VALUES, START // 1000) == [(0, 1.0), (1, None), (2, 3.0)]
    assert select(query, "SELECT name, labels FROM series") == [("calls_total", {"job": "api"})]


def test_series_belong_to_customers(connect: Connect) -> None:
    """The labels user_id and company_id name the same people as calls do; a series without them is nobody's."""
    loader, query = connect("mailwake_loader"), connect("mailwake_query")
    load(loader, make_batch([(START, 1.0)], user_id="ann", company_id="acme"))
    load(loader, make_batch([(START, 1.0)], key="two"))
    owners = """
        SELECT u.value, c.value FROM series
        LEFT JOIN identities u USING (identity_id) LEFT JOIN identities c ON c.identity_id = company_id ORDER BY 1
    """
    assert select(query, owners) == [("ann", "acme"), (None, None)]


def test_samples_of_other_weeks(connect: Connect) -> None:
    """Late samples get the partition that they need; what is too far from its arrival is set aside."""
    loader = connect("mailwake_loader")
    week = 7 * 86_400_000
    batch = make_batch([(START - 60 * week, 1.0), (START - 54 * week, 1.0), (START - 9 * week, 1.0), (START, 1.0)])
    assert load(loader, batch) == Load(Outcome.LOADED, events=2, quarantined=1, expired=1)
    assert count(loader, "samples") == 2


@pytest.mark.parametrize(
    ("values", "increase"),
    [
        ([(-10, 5.0), (10, 7.0), (20, 9.0)], 4.0),
        ([(10, 7.0), (20, 9.0)], 2.0),  # nobody knows where it began
        ([(-10, 5.0), (10, 8.0), (20, 2.0), (30, 3.0)], 6.0),  # began anew: 3 + 2 + 1
        ([(-10, 5.0), (10, STALE), (20, 6.0)], 1.0),
        ([(-10, 5.0), (10, float("nan")), (20, 1.0)], 1.0),
        ([(-10, 5.0), (200, 50.0)], None),
        ([], None),
    ],
)
def test_counters_begin_anew(connect: Connect, values: list[tuple[int, float | bytes]], increase: float | None) -> None:
    """A counter's growth between two instants: from the last sample before, aware of resets."""
    samples = [(START + second * 1000, value) for second, value in values]
    load(connect("mailwake_loader"), make_batch(samples or [(START + 900_000, 1.0)]))
    begin = NOW - timedelta(hours=1)
    query = "SELECT count_increase(series_id, %s, %s) FROM series"
    assert select(connect("mailwake_query"), query, begin, begin + timedelta(seconds=100)) == [(increase,)]
