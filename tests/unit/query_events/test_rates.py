from contextlib import suppress

import pytest

from common.errors import ApiError
from query_events.rates import BURST, Rates


def count_let_through(rates: Rates, caller: str, seconds: list[float]) -> int:
    """How many requests at these seconds are answered."""
    let_through = 0
    for second in seconds:
        with suppress(ApiError):
            rates.check(caller, second)
            let_through += 1
    return let_through


def test_burst_is_let_through_and_then_the_rate() -> None:
    """As many at once as some seconds allow; after that a second's requests each second."""
    rates = Rates(10)
    assert count_let_through(rates, "ada", [100.0] * 50) == 10 * BURST
    assert count_let_through(rates, "ada", [101.0] * 50) == 10
    assert count_let_through(rates, "ada", [1000.0] * 50) == 10 * BURST


def test_waiting_client_is_let_in_again() -> None:
    """Requests that were refused do not count: asking again and again does not shut one out."""
    rates = Rates(10)
    count_let_through(rates, "ada", [0.0] * 20)
    assert count_let_through(rates, "ada", [number / 100 for number in range(1, 101)]) == pytest.approx(10, abs=1)


def test_callers_have_limits_of_their_own() -> None:
    """What one asks for takes nothing from another."""
    rates = Rates(1)
    assert count_let_through(rates, "ada", [0.0] * 9) == BURST
    assert count_let_through(rates, "bob", [0.0] * 9) == BURST


def test_without_a_rate_all_is_let_through() -> None:
    """0 leaves it to API Gateway."""
    assert count_let_through(Rates(0), "ada", [0.0] * 1000) == 1000
