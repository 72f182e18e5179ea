"""What events share (kinds, mailings, receivers, clients) is stored once, under a key made from its content.

The key needs no look-up: two loaders that meet the same mailing make the same key. A row is inserted when this process
meets it for the first time; `ON CONFLICT DO NOTHING` does the rest.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from psycopg2.extensions import cursor as Cursor
from psycopg2.extras import execute_values

from common.event_keys import hash_key
from common.json_text import encode_json

REMEMBERED = 200_000  # rows of one dimension that a process remembers to be stored


class Table(NamedTuple):
    """Where a dimension is stored; `to_row` gives the columns after the key."""

    name: str
    key: str
    to_row: Callable[[Any], Sequence[object]]


KINDS = Table("kinds", "kind_key", tuple)
MAILINGS = Table("mailings", "mailing_key", lambda mailing: mailing._replace(tags=list(mailing.tags)))
RECEIVERS = Table("receivers", "receiver_key", tuple)
CLIENTS = Table("clients", "client_key", tuple)


class Dimension:
    """The keys of one table's rows, and which of them are still to be inserted."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._keys: dict[tuple[Any, ...], int] = {}
        self._fresh: list[tuple[Any, ...]] = []

    def find_key(self, row: tuple[Any, ...]) -> int:
        """The key of a row; a row that is new to this process is remembered for `insert_fresh`."""
        key = self._keys.get(row)
        if key is None:
            key = self._keys[row] = hash_key(encode_json(row))
            self._fresh.append(row)
        return key

    def insert_fresh(self, cursor: Cursor) -> None:
        """Inserts what was met since the last commit, in the order of keys, so that two loaders can't deadlock."""
        if not self._fresh:
            return
        rows = sorted((self._keys[row], *self._table.to_row(row)) for row in self._fresh)
        statement = f"INSERT INTO {self._table.name} VALUES %s ON CONFLICT ({self._table.key}) DO NOTHING"
        execute_values(cursor, statement, rows, page_size=1000)

    def commit(self) -> None:
        """What was fresh is stored now."""
        self._fresh.clear()
        if len(self._keys) > REMEMBERED:
            self._keys.clear()

    def rollback(self) -> None:
        """What was fresh is not stored: it will be fresh again."""
        for row in self._fresh:
            del self._keys[row]
        self._fresh.clear()


class Dimensions:
    """All dimensions of the events of one database."""

    def __init__(self) -> None:
        self.kinds = Dimension(KINDS)
        self.mailings = Dimension(MAILINGS)
        self.receivers = Dimension(RECEIVERS)
        self.clients = Dimension(CLIENTS)
        self._all = (self.kinds, self.mailings, self.receivers, self.clients)

    def insert_fresh(self, cursor: Cursor) -> None:
        """As of each dimension, always in the same order."""
        for dimension in self._all:
            dimension.insert_fresh(cursor)

    def commit(self) -> None:
        """As of each dimension."""
        for dimension in self._all:
            dimension.commit()

    def rollback(self) -> None:
        """As of each dimension."""
        for dimension in self._all:
            dimension.rollback()
