"""When scheduled functions run."""

from datetime import UTC, datetime, timedelta

import pytest

from local.declared import read_rate
from local.schedules import Cron
from local.template import TemplateError


@pytest.mark.parametrize(
    ("expression", "interval"),
    [
        ("rate(1 day)", timedelta(days=1)),
        ("rate(5 minutes)", timedelta(minutes=5)),
        ("rate(12 hours)", timedelta(hours=12)),
        ("cron(0 3 * * ? *)", None),
    ],
)
def test_rate(expression: str, interval: timedelta | None) -> None:
    """A rate is an interval."""
    assert read_rate(expression) == interval


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("cron(0 3 * * ? *)", "2026-11-22T03:00"),
        ("cron(0/15 * * * ? *)", "2026-11-21T10:30"),
        ("cron(30 9 ? * MON-FRI *)", "2026-11-23T09:30"),
        ("cron(0 0 1 JAN,DEC ? *)", "2026-12-01T00:00"),
        ("cron(0 12 29 2 ? *)", "2028-02-29T12:00"),
    ],
)
def test_cron(expression: str, expected: str) -> None:
    """The next run after Saturday, 21 November 2026, 10:15."""
    after = datetime(2026, 11, 21, 10, 15, 30, tzinfo=UTC)
    assert Cron(expression).find_next(after) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize("expression", ["at(2026-01-01T00:00:00)", "cron(0 3 * *)", "cron(0 3 L * ? *)"])
def test_unknown_schedule_is_refused(expression: str) -> None:
    """A schedule that the local stack cannot follow is an error."""
    with pytest.raises(TemplateError, match="schedule"):
        Cron(expression)
