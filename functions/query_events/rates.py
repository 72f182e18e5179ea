"""How often one caller may ask: a token bucket for each, in this function's memory.

API Gateway's own limit answers with a body that SparkPost's clients don't know. Ours is below it, with SparkPost's
text, which some of them compare. It holds for each function at work; who asks for one page after the other meets one.
"""

from functools import cache

from common.errors import ApiError
from common.settings import read_number

MOST_CALLERS = 10_000  # that are remembered
BURST = 2  # seconds' worth of requests that may come at once


class Rates:
    """The buckets; `rate` requests a second for each caller, 0 for any number."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._buckets: dict[str, tuple[float, float]] = {}  # requests left, at which second

    def check(self, caller: str, second: float) -> None:
        """Takes one request out of the caller's bucket; `second` is of a clock that only goes on. Raises `ApiError`."""
        if not self._rate:
            return
        if len(self._buckets) > MOST_CALLERS:
            self._buckets.clear()
        full = self._rate * BURST
        left, since = self._buckets.get(caller, (full, second))
        left = min(full, left + (second - since) * self._rate)
        self._buckets[caller] = left - (left >= 1), second
        if left < 1:
            raise ApiError(429, "Too many requests", f"{self._rate} a second are let through; wait a second.")


@cache
def get_rates() -> Rates:
    """Those of this function."""
    return Rates(read_number("QUERY_RATE", 0))
