"""What events share (kinds, senders, mailings, receivers, clients) is stored once, under a key made from its content.

The key needs no look-up: two loaders that meet the same mailing make the same key. A row is inserted when this process
meets it for the first time; `ON CONFLICT DO NOTHING` does the rest.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from common.event_keys import hash_key
from common.events import Json, Mailing
from common.json_text import encode_json
from s3_loader.prepared import Statement

REMEMBERED = 200_000  # rows of one dimension that a process remembers to be stored
# One parameter for all rows: a list of VALUES takes the client and the server several times as long.
INSERT = "INSERT INTO {0} SELECT * FROM json_populate_recordset(NULL::{0}, %s) ON CONFLICT DO NOTHING"


class Dimension:
    """The keys of one table's rows, and which of them no batch was to insert yet."""

    def __init__(self, table: str, key: str, to_columns: Callable[[Any], Json] = lambda row: row._asdict()) -> None:
        self.insert = INSERT.format(table)
        self._key = key
        self._to_columns = to_columns
        self._keys: dict[tuple[Any, ...], int] = {}
        self._fresh: list[tuple[int, tuple[Any, ...]]] = []

    def find_key(self, row: tuple[Any, ...]) -> int:
        """The key of a row; a row that is new to this process is remembered for `take`."""
        key = self._keys.get(row)
        if key is None:
            key = self._keys[row] = hash_key(encode_json(row))
            self._fresh.append((key, row))
        return key

    def take(self) -> tuple[list[tuple[Any, ...]], list[Statement]]:
        """What was met since the last call, and its INSERT in the order of keys, so that two loaders can't deadlock."""
        if not self._fresh:
            return [], []
        fresh = sorted(self._fresh, key=lambda one: one[0])
        columns = [{self._key: key} | self._to_columns(row) for key, row in fresh]
        self._fresh.clear()
        return [row for _, row in fresh], [(self.insert, (encode_json(columns).decode(),))]

    def trim(self) -> None:
        """Forgets all where it is too much: it is inserted once more where it is met again."""
        if len(self._keys) > REMEMBERED:
            self._keys.clear()

    def forget(self, rows: list[tuple[Any, ...]]) -> int:
        """These rows are not stored, nor is what no batch was to insert yet. Returns how many they are."""
        rows = [*rows, *(row for _, row in self._fresh)]
        for row in rows:
            self._keys.pop(row, None)
        self._fresh.clear()
        return len(rows)

    def forget_all(self) -> None:
        """Nothing is known to be stored."""
        self._keys.clear()
        self._fresh.clear()


class Fresh(NamedTuple):
    """What one batch is the first to have, to be inserted with it."""

    rows: list[list[tuple[Any, ...]]]  # of each dimension
    inserts: list[Statement]


class Dimensions:
    """All dimensions of the events of one database; `user_field`: which of the metadata names the user.

    Batches are prepared one after the other, each as if those before it were stored: so they may only be stored in that
    order, and where one is not, all that were prepared after it lack rows. They are to be prepared again.
    """

    def __init__(self, user_field: str = "user_id") -> None:
        self.user_field = user_field
        self.user_mark = encode_json(user_field)  # no metadata without it name a user
        self.kinds = Dimension("kinds", "kind_key")
        self.senders = Dimension("senders", "sender_key")
        self.mailings = Dimension("mailings", "mailing_key", self._show_mailing)
        self.receivers = Dimension("receivers", "receiver_key")
        self.clients = Dimension("clients", "client_key")
        self.forgotten = 0  # grows where a key is not stored after all: who keeps keys of ours forgets them then
        self._generation: object = None
        # Mailings before senders: showing a mailing finds its sender's key.
        self._all = (self.kinds, self.mailings, self.senders, self.receivers, self.clients)
        self._taken: deque[Fresh] = deque()  # of the batches that are prepared and not stored, in that order

    def _show_mailing(self, mailing: Mailing) -> Json:
        columns = mailing._asdict()
        return columns | {"sender_key": self.senders.find_key(columns.pop("sender"))}

    def use_generation(self, generation: object) -> None:
        """Forgets all that is remembered when the tables are no longer those that it was stored in."""
        if generation != self._generation:
            for dimension in self._all:
                dimension.forget_all()
            self._taken.clear()
            self.forgotten += 1
        self._generation = generation

    def list_inserts(self) -> list[str]:
        """The SQL of all inserts, of one parameter each, always in the same order."""
        return [dimension.insert for dimension in self._all]

    def take(self) -> Fresh:
        """What was met since the last call: the rows of the batch that is prepared now."""
        taken = [dimension.take() for dimension in self._all]
        fresh = Fresh([rows for rows, _ in taken], [insert for _, inserts in taken for insert in inserts])
        self._taken.append(fresh)
        return fresh

    def is_next(self, fresh: Fresh) -> bool:
        """Whether all that was prepared before is stored."""
        return bool(self._taken) and self._taken[0] is fresh

    def commit(self, fresh: Fresh) -> None:
        """It is stored now. May be called while the next batch is prepared, as nothing else may."""
        if self.is_next(fresh):
            self._taken.popleft()
        for dimension in self._all:
            dimension.trim()

    def rollback(self) -> None:
        """All that was prepared and is not stored will be fresh again."""
        taken = list(self._taken)
        for number, dimension in enumerate(self._all):
            self.forgotten += dimension.forget([row for fresh in taken for row in fresh.rows[number]])
        self._taken.clear()
