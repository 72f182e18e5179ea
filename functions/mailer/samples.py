"""Made-up members, for whom a template is rendered when it is saved: whatever it asks for is there."""

from collections.abc import Iterator
from typing import Any, Final, Self

INSTANT: Final = "2026-11-21T12:00:00.000Z"
URL: Final = "https://example.com/unsubscribe/sample"
# What is told of each event that made a member enter.
EVENT: Final = {"event_key": "1", "occurred_at": INSTANT}


class Sample(str):
    """A trait that nobody knows: it can be shown, looked into, gone through, compared and reckoned with."""

    __slots__ = ()

    def _same(self, *_: object) -> Self:
        return self

    def _is_true(self, _: object) -> bool:
        return True

    def __iter__(self) -> Iterator[Any]:
        return iter((self, self))

    def __int__(self) -> int:
        return 1

    def __float__(self) -> float:
        return 1.0

    def items(self) -> list[tuple[Any, Any]]:
        """As an object has them."""
        return [(self, self)]

    __call__ = __getitem__ = __add__ = __radd__ = __sub__ = __rsub__ = __truediv__ = __rtruediv__ = _same
    __floordiv__ = __rfloordiv__ = __neg__ = __pos__ = __abs__ = __round__ = _same
    __lt__ = __le__ = __gt__ = __ge__ = __contains__ = _is_true


SAMPLE: Final = Sample("sample")


def make_up(aggregates: dict[str, Any]) -> dict[str, Any]:
    """The context of a made-up member, with the values of what the template declares."""
    return {
        "user": {"id": "sample", "address": "sample@example.com", "traits": SAMPLE},
        "company": {"id": "sample", "traits": SAMPLE},
        "cohort": {"name": "sample", "title": "Sample", "entered_at": INSTANT},
        "events": [EVENT, EVENT],
        "aggregates": aggregates,
        "unsubscribe_url": URL,
    }
