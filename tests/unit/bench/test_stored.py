from pathlib import Path

from bench.metrics import MONTHS, RANGES, SPREAD_DAYS, YEAR
from bench.stored import RECEIVED_AT, make_batch, parse_stored, write_blobs, write_bodies
from common.events import Event


def test_blobs_are_read_as_they_were_written(tmp_path: Path) -> None:
    """Any stretch of the written byte strings comes back, empty ones too."""
    contents = [b"one", b"", b"three", b"4"]
    told: list[int] = []
    blobs = write_blobs(tmp_path / "blobs", contents, told.append)
    assert blobs.count == 4
    assert blobs.size == 9
    assert list(blobs.read(0, 4)) == contents
    assert list(blobs.read(1, 3)) == contents[1:3]
    assert list(blobs.read(2, 2)) == []
    assert told == [1, 2, 3, 4]


def test_all_generated_events_can_be_loaded(tmp_path: Path) -> None:
    """None of the traffic is set aside for its time or its form, whatever the number of events."""
    bodies = write_bodies(tmp_path / "bodies", 1_000, 1, lambda _done: None)
    items = [item for number, body in enumerate(bodies.read(0, 3)) for item in parse_stored(make_batch(number, body))]
    assert len(items) == 1_000
    assert all(type(item) is Event for item in items)


def test_traffic_of_a_year_can_be_loaded_too(tmp_path: Path) -> None:
    """It fills a whole year, so that metrics over one read it all."""
    bodies = write_bodies(tmp_path / "bodies", 10_000, 1, lambda _done: None, SPREAD_DAYS)
    items = [
        item
        for number, body in enumerate(bodies.read(0, bodies.count))
        for item in parse_stored(make_batch(number, body))
    ]
    times = [item.occurred_at for item in items if type(item) is Event]
    assert len(times) == 10_000
    assert max(times) < RECEIVED_AT
    assert max(times) - min(times) > RANGES[YEAR]
    assert len({f"{at:%Y-%m}" for at in times}) == MONTHS


def test_batches_have_names_of_their_own() -> None:
    """Two batches never share an object key or a batch id, or the second would be taken for loaded."""
    first, second = make_batch(1, b"[]"), make_batch(2, b"[]")
    assert first.object_key != second.object_key
    assert first.provider_batch_id != second.provider_batch_id
    assert first == make_batch(1, b"[]")
