import gzip
from datetime import UTC, datetime

import pytest

from common.objects import StoredObject
from s3_loader import batches
from s3_loader.batches import decompress, read_batch

METADATA = {"provider": "sparkpost", "received-at": "2026-11-21T09:30:05.123Z", "batch-id": "7", "request-id": "r"}


def test_batch_is_read_from_object_and_metadata() -> None:
    """What the listener noted comes back as it was."""
    batch = read_batch("raw/sparkpost/2026/11/21/09/x", StoredObject(b"[]", METADATA))
    assert batch.received_at == datetime(2026, 11, 21, 9, 30, 5, 123_000, tzinfo=UTC)
    assert (batch.provider, batch.provider_batch_id, batch.request_id, batch.body) == ("sparkpost", "7", "r", b"[]")


def test_missing_ids_are_none() -> None:
    """A batch without the provider's id is a batch all the same; the key tells the provider."""
    batch = read_batch("raw/sparkpost/2026/11/21/09/x", StoredObject(b"", {"received-at": METADATA["received-at"]}))
    assert (batch.provider, batch.provider_batch_id, batch.request_id) == ("sparkpost", None, None)


@pytest.mark.parametrize("metadata", [{}, {"received-at": "yesterday"}, {"received-at": "2026-11-21T09:30:05"}])
def test_foreign_object_is_an_error(metadata: dict[str, str]) -> None:
    """An object that the listener did not store is not taken for a batch."""
    with pytest.raises(ValueError):
        read_batch("raw/x", StoredObject(b"[]", metadata))


def test_gzip_is_recognised_by_its_bytes() -> None:
    """Compressed or not, with or without a header that says so."""
    assert decompress(gzip.compress(b"[1]")) == b"[1]"
    assert decompress(b"[1]") == b"[1]"


@pytest.mark.parametrize("body", [gzip.compress(b"[1]" * 100)[:-5], b"\x1f\x8b", b"\x1f\x8bnonsense"])
def test_damaged_gzip_is_an_error(body: bytes) -> None:
    """A body that was cut on its way is told apart from an empty one."""
    with pytest.raises(ValueError, match="gzip"):
        decompress(body)


def test_gzip_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small body that unpacks to a huge one does not fill the memory."""
    monkeypatch.setattr(batches, "LARGEST_BODY", 1000)
    assert len(decompress(gzip.compress(b" " * 999))) == 999
    assert len(decompress(gzip.compress(b" " * 1000))) == 1000
    with pytest.raises(ValueError, match="gzip of more than 1000 bytes: send smaller batches"):
        decompress(gzip.compress(b" " * 100_000))


def test_gzip_that_ends_early_is_no_bomb() -> None:
    """What was cut on its way is told as such."""
    with pytest.raises(ValueError, match="gzip is cut short"):
        decompress(gzip.compress(b"[1]" * 100)[:-5])
