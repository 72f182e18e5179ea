"""What is put into S3 at once, of an outbox that holds much."""

import contextlib
import tracemalloc

from cohort_evaluator.outbox import publish
from common.json_text import encode_json
from tests.integration.conftest import NOW, Connect
from tests.integration.test_loading import select


class Store:
    """A bucket."""

    def __init__(self) -> None:
        self.objects: dict[str, int] = {}

    def put(self, key: str, body: bytes) -> None:
        """Keeps its size."""
        assert key not in self.objects
        self.objects[key] = len(body)


def fill(connect: Connect, sizes: list[int]) -> None:
    """Objects of so many characters each, one of which makes Python keep four bytes for each."""
    evaluator = connect("mailwake_evaluator")
    with evaluator, evaluator.cursor() as cursor:
        for number, size in enumerate(sizes):
            body = encode_json({"text": "\U0001f600" + "a" * size}).decode()
            cursor.execute("INSERT INTO outbox VALUES (%s, %s, %s)", (f"mail-{number:04}", body, NOW))


def test_memory_is_bounded_however_much_there_is(connect: Connect) -> None:
    """Large objects are taken some at a time, one that is larger than that alone; all are put, the oldest first."""
    sizes = [1_200_000] * 40 + [20_000_000]
    fill(connect, sizes)
    store, evaluator = Store(), connect("mailwake_evaluator")
    tracemalloc.start()
    try:
        assert publish(evaluator, store) == len(sizes)  # type: ignore[arg-type]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 200_000_000
    assert list(store.objects) == [f"outbox/mail-{number:04}.json" for number in range(len(sizes))]
    assert all(kept > size for kept, size in zip(store.objects.values(), sizes, strict=True))
    assert select(evaluator, "SELECT count(*) FROM outbox") == [(0,)]


def test_many_small_ones_are_put_in_groups(connect: Connect) -> None:
    """Each group leaves the outbox before the next is taken: what breaks off begins there again."""

    class Broken(Store):
        def put(self, key: str, body: bytes) -> None:
            super().put(key, body)
            if len(self.objects) == 120:
                raise ConnectionError

    fill(connect, [10] * 130)
    store, evaluator = Broken(), connect("mailwake_evaluator")
    with contextlib.suppress(ConnectionError):
        publish(evaluator, store)  # type: ignore[arg-type]
    assert select(evaluator, "SELECT count(*) FROM outbox") == [(30,)]
