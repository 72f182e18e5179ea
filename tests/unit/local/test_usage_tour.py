from datetime import UTC, datetime

from local.usage_tour import COMPANIES, draw_usage, make_calls

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_calls_are_of_the_last_hour() -> None:
    """Every company makes its calls, as many of which fail as it is said to; each is a call of its own."""
    calls = make_calls(NOW)
    for company, (number, failing) in COMPANIES.items():
        own = [call for call in calls if call["company_id"] == company]
        assert len(own) == number
        assert sum(call["response"]["status"] >= 400 for call in own) == number * failing // 100
        assert all(call["request"]["time"] < NOW.isoformat() for call in own)
    assert len({call["transaction_id"] for call in calls}) == len(calls)


def test_table_is_drawn() -> None:
    """One line for each company below the headings."""
    row = {
        "company": "globex",
        "calls": 30,
        "errors": 6,
        "error_rate_of_calls": 0.2,
        "milliseconds_p50": 200,
        "milliseconds_p99": 390,
    }
    heading, line = draw_usage({"results": [row]}).splitlines()
    assert heading.split("  ") == ["", "company", "calls", "errors", "error rate", "p50 ms", "p99 ms"]
    assert line.split() == ["globex", "30", "6", "0.2", "200", "390"]
