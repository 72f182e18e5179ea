"""What events share (kinds, senders, mailings, receivers, clients) is stored once, under a key made from its content.

The key needs no look-up: two loaders that meet the same mailing make the same key. A row is inserted when this process
meets it for the first time; `ON CONFLICT DO NOTHING` does the rest.
"""

from collections.abc import Callable
from operator import itemgetter
from typing import Any

from common.event_keys import hash_key
from common.events import Json, Mailing
from common.json_text import encode_json
from s3_loader.prepared import Statement

REMEMBERED = 200_000  # rows of one dimension that a process remembers to be stored
# One parameter for all rows: a list of VALUES takes the client and the server several times as long.
INSERT = "INSERT INTO {0} SELECT * FROM json_populate_recordset(NULL::{0}, %s) ON CONFLICT DO NOTHING"


class Dimension:
    """The keys of one table's rows, and which of the rows are not stored yet."""

    def __init__(self, table: str, key: str, to_columns: Callable[[Any], Json] = lambda row: row._asdict()) -> None:
        self.insert = INSERT.format(table)
        self._key = key
        self._to_columns = to_columns
        self._keys: dict[tuple[Any, ...], int] = {}
        self._fresh: list[tuple[int, tuple[Any, ...]]] = []

    def find_key(self, row: tuple[Any, ...]) -> int:
        """The key of a row; a row that is new to this process is fresh until `keep` or `forget_fresh`."""
        key = self._keys.get(row)
        if key is None:
            key = self._keys[row] = hash_key(encode_json(row))
            self._fresh.append((key, row))
        return key

    def build(self) -> list[Statement]:
        """The INSERT of what is fresh, in the order of keys, so that two loaders can't deadlock."""
        if not self._fresh:
            return []
        columns = [{self._key: key} | self._to_columns(row) for key, row in sorted(self._fresh, key=itemgetter(0))]
        return [(self.insert, (encode_json(columns).decode(),))]

    def keep(self) -> None:
        """What was fresh is stored. Forgets all where it is too much: it is inserted once more when it is met again."""
        self._fresh.clear()
        if len(self._keys) > REMEMBERED:
            self._keys.clear()

    def forget_fresh(self) -> int:
        """What was fresh is not stored after all. Returns how many rows that are."""
        count = len(self._fresh)
        for _, row in self._fresh:
            self._keys.pop(row, None)
        self._fresh.clear()
        return count

    def forget_all(self) -> None:
        """Nothing is known to be stored."""
        self._keys.clear()
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
        self.forgotten = 0  # grows where a key is not stored after all: who keeps keys of ours forgets them then
        self._state: str | None = None
        # Mailings before senders: showing a mailing finds its sender's key.
        self._all = (self.kinds, self.mailings, self.senders, self.receivers, self.clients)

    def _show_mailing(self, mailing: Mailing) -> Json:
        columns = mailing._asdict()
        return columns | {"sender_key": self.senders.find_key(columns.pop("sender"))}

    def use_state(self, state: str) -> None:
        """Forgets all that is remembered when the tables are no longer those that it was stored in."""
        if state != self._state:
            for dimension in self._all:
                dimension.forget_all()
            self.forgotten += 1
        self._state = state

    def list_inserts(self) -> list[str]:
        """The SQL of all inserts, of one parameter each, always in the same order."""
        return [dimension.insert for dimension in self._all]

    def build(self) -> list[Statement]:
        """The INSERTs of what is fresh."""
        return [insert for dimension in self._all for insert in dimension.build()]

    def keep(self) -> None:
        """What was fresh is stored."""
        for dimension in self._all:
            dimension.keep()

    def forget_fresh(self) -> None:
        """What was fresh is not stored after all, and will be fresh again."""
        self.forgotten += sum(dimension.forget_fresh() for dimension in self._all)
