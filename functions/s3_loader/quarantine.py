"""What of a batch can't be loaded is set aside with its reason: as much as somebody would read, and a count of all."""

import json

from common.events import Unparseable
from providers._fields import clean
from s3_loader.batches import Batch
from s3_loader.prepared import Statement

MOST = 1_000  # rows of one batch; the last one tells how many more there would be
LONGEST_ITEM = 10_000  # characters of an item that are kept beside its reason
DELETE_QUARANTINE = "DELETE FROM quarantine WHERE object_key = %s"
QUARANTINE = """
INSERT INTO quarantine (object_key, item_index, provider, reason, item, received_at)
SELECT %s, item.*, %s FROM json_to_recordset(%s) AS item (item_index int, provider text, reason text, item text)
"""


class SetAside:
    """What of one batch can't be loaded; only the first of it is kept, its length is of all."""

    def __init__(self) -> None:
        self._kept: list[Unparseable] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, entry: Unparseable) -> None:
        """Adds one more."""
        self._count += 1
        if self._count <= MOST:
            self._kept.append(entry)

    def build(self, batch: Batch) -> list[Statement]:
        """Writes the batch's quarantine, unless there is none. Items are JSON in ASCII, which Postgres takes as is."""
        if not self._kept:
            return []
        more = self._count - len(self._kept)
        rows = [
            {
                "item_index": entry.position,
                "provider": batch.provider,
                "reason": clean(entry.reason),
                "item": json.dumps(entry.item)[:LONGEST_ITEM],
            }
            for entry in self._kept
        ]
        if more:
            rows[-1]["reason"] += f" ({more} more of this batch were set aside behind this one, and are not listed)"
        return [(QUARANTINE, (batch.object_key, batch.received_at, json.dumps(rows)))]
