"""Two groups of people of whom a part did something: how far the parts differ, and how sure that is.

The interval is Newcombe's hybrid score interval (R. G. Newcombe, "Interval estimation for the difference between
independent proportions", Statistics in Medicine 17, 1998, method 10): it holds for small groups too, and for parts of 0
and 1.
"""

from math import sqrt
from typing import Final, NamedTuple

METHOD: Final = "95 % interval of the difference of two proportions: Newcombe's hybrid score interval (method 10)"
_Z: Final = 1.959963984540054  # of the normal distribution, 95 % within


class Group(NamedTuple):
    """People, and how many of them did it."""

    people: int
    entered: int

    @property
    def share(self) -> float | None:
        """The part of them that did; None of nobody."""
        return self.entered / self.people if self.people else None


class Difference(NamedTuple):
    """The first group's share less the second's, and between what it is with 95 % confidence; from -1 to 1."""

    value: float
    low: float
    high: float


def compare(one: Group, other: Group) -> Difference | None:
    """How much greater the first group's share is; None where either is empty."""
    if one.share is None or other.share is None:
        return None
    (low, high), (other_low, other_high) = find_interval(one), find_interval(other)
    value = one.share - other.share
    below = sqrt((one.share - low) ** 2 + (other_high - other.share) ** 2)
    above = sqrt((high - one.share) ** 2 + (other.share - other_low) ** 2)
    return Difference(value, max(value - below, -1.0), min(value + above, 1.0))


def find_interval(group: Group) -> tuple[float, float]:
    """Wilson's score interval of a share, 95 %. The group has somebody in it."""
    share, square = group.entered / group.people, _Z * _Z
    middle = share + square / (2 * group.people)
    half = _Z * sqrt(share * (1 - share) / group.people + square / (4 * group.people**2))
    whole = 1 + square / group.people
    return max((middle - half) / whole, 0.0), min((middle + half) / whole, 1.0)


def tell(intended: Group, held_out: Group, within: str) -> str:
    """The comparison in words."""
    difference = compare(intended, held_out)
    if difference is None:
        who = "was held out" if held_out.people == 0 and intended.people else "was to be mailed"
        return f"Nobody {who} at least {within} ago, so there is nothing to compare with."
    shares = f"{_percent(intended.share)} of those to be mailed entered within {within}, {_percent(held_out.share)}"
    more = "more" if difference.value >= 0 else "fewer"
    found = f"{shares} of those held out: {abs(difference.value) * 100:.1f} percentage points {more}."
    low, high = (f"{each * 100:+.1f}" for each in (difference.low, difference.high))
    sure = f"With 95 % confidence the difference is between {low} and {high} points"
    if difference.low <= 0 <= difference.high:
        return f"{found} {sure}: it may be chance."
    return f"{found} {sure}: chance alone hardly explains it."


def _percent(share: float | None) -> str:
    return f"{(share or 0) * 100:.1f} %"
