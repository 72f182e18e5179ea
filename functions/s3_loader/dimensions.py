"""What events share (kinds, senders, mailings, receivers, clients) is stored once, under a key made from its content.

The key needs no look-up: two loaders that meet the same mailing make the same key. A row is inserted when this process
meets it for the first time; `ON CONFLICT DO NOTHING` does the rest.
"""

from collections.abc import Callable, Iterator
from typing import Any

from common.event_keys import hash_key
from common.events import Json, Mailing
from common.json_text import encode_json
from s3_loader.prepared import Statement

REMEMBERED = 200_000  # rows of one dimension that a process remembers to be stored
# One parameter for all rows: a list of VALUES takes the client and the server several times as long.
INSERT = "INSERT INTO {0} SELECT * FROM json_populate_recordset(NULL::{0}, %s) ON CONFLICT DO NOTHING"


class Dimension:
    """The keys of one table's rows, and which of them are still to be inserted."""

    def __init__(self, table: str, key: str, to_columns: Callable[[Any], Json] = lambda row: row._asdict()) -> None:
        self.insert = INSERT.format(table)
        self._key = key
        self._to_columns = to_columns
        self._keys: dict[tuple[Any, ...], int] = {}
        self._fresh: list[tuple[Any, ...]] = []

    def find_key(self, row: tuple[Any, ...]) -> int:
        """The key of a row; a row that is new to this process is remembered for `build_insert`."""
        key = self._keys.get(row)
        if key is None:
            key = self._keys[row] = hash_key(encode_json(row))
            self._fresh.append(row)
        return key

    def build_insert(self) -> Iterator[Statement]:
        """Inserts what was met since the last commit, in the order of keys, so that two loaders can't deadlock."""
        if self._fresh:
            rows = sorted(self._fresh, key=self._keys.__getitem__)
            columns = [{self._key: self._keys[row]} | self._to_columns(row) for row in rows]
            yield self.insert, (encode_json(columns).decode(),)

    def commit(self) -> None:
        """What was fresh is stored now."""
        self._fresh.clear()
        if len(self._keys) > REMEMBERED:
            self.forget()

    def forget(self) -> None:
        """Nothing is known to be stored."""
        self._keys.clear()
        self._fresh.clear()

    def rollback(self) -> None:
        """What was fresh is not stored: it will be fresh again."""
        for row in self._fresh:
            del self._keys[row]
        self._fresh.clear()


class Dimensions:
    """All dimensions of the events of one database; `user_field`: which of the metadata names the user."""

    def __init__(self, user_field: str = "user_id") -> None:
        self.user_field = user_field
        self.user_mark = encode_json(user_field)  # no metadata without it name a user
        self.kinds = Dimension("kinds", "kind_key")
        self.senders = Dimension("senders", "sender_key")
        self.mailings = Dimension("mailings", "mailing_key", self._show_mailing)
        self.receivers = Dimension("receivers", "receiver_key")
        self.clients = Dimension("clients", "client_key")
        self.forgotten = 0  # how often a key was that is not stored: who keeps keys of ours forgets them then
        self._generation: object = None
        # Mailings before senders: showing a mailing finds its sender's key.
        self._all = (self.kinds, self.mailings, self.senders, self.receivers, self.clients)

    def _show_mailing(self, mailing: Mailing) -> Json:
        columns = mailing._asdict()
        return columns | {"sender_key": self.senders.find_key(columns.pop("sender"))}

    def use_generation(self, generation: object) -> None:
        """Forgets all that is remembered when the tables are no longer those that it was stored in."""
        if generation != self._generation:
            for dimension in self._all:
                dimension.forget()
            self.forgotten += 1
        self._generation = generation

    def build_inserts(self) -> Iterator[Statement]:
        """As of each dimension, always in the same order."""
        for dimension in self._all:
            yield from dimension.build_insert()

    def list_inserts(self) -> list[str]:
        """The SQL of them all, of one parameter each."""
        return [dimension.insert for dimension in self._all]

    def commit(self) -> None:
        """As of each dimension."""
        for dimension in self._all:
            dimension.commit()

    def rollback(self) -> None:
        """As of each dimension."""
        self.forgotten += 1
        for dimension in self._all:
            dimension.rollback()
