"""Statements that Postgres parses and plans once for a connection: every load sends the same ones."""

from collections.abc import Iterable
from weakref import WeakSet

from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

Statement = tuple[str, tuple[object, ...]]  # SQL and its values

FIND_PREPARED = "SELECT name FROM pg_prepared_statements WHERE name = ANY (%s)"


class PreparedStatements:
    """Statements with placeholders as psycopg2's, `%s`, which stand for values whose types Postgres can tell.

    `name`: what the statements' names begin with; those of another beginning may be prepared beside them.
    """

    def __init__(self, statements: Iterable[str], name: str = "load") -> None:
        self._names = {sql: f"{name}_{number}" for number, sql in enumerate(statements)}
        self._connections: WeakSet[Connection] = WeakSet()

    def use(self, connection: Connection) -> None:
        """Prepares them, unless this connection has them; outside of a transaction."""
        if connection in self._connections:
            return
        numbered = [
            f"PREPARE {name} AS {sql % tuple(f'${n + 1}' for n in range(sql.count('%s')))}"
            for sql, name in self._names.items()
        ]
        with connection.cursor() as cursor:
            cursor.execute(FIND_PREPARED, (list(self._names.values()),))
            others = [f"DEALLOCATE {name}" for (name,) in cursor.fetchall()]
            cursor.execute(";".join(others + numbered))
        self._connections.add(connection)

    def build(self, cursor: Cursor, statements: Iterable[Statement]) -> bytes:
        """Statements as one text, executing those that are prepared and giving the others whole."""
        return b";".join(self._build(cursor, sql, values) for sql, values in statements)

    def _build(self, cursor: Cursor, sql: str, values: tuple[object, ...]) -> bytes:
        name = self._names.get(sql)
        if name is not None:
            sql = f"EXECUTE {name} ({', '.join(['%s'] * len(values))})"
        return bytes(cursor.mogrify(sql, values or None))
