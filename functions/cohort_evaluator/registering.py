"""Makes sure that everybody is known by an identity: mails' recipients and the users that senders name, too."""

from collections.abc import Iterable
from typing import Final

from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from common.activities import ADDRESS, USER, Identity, make_content_key
from common.json_text import encode_json

AT_ONCE: Final = 10_000
# Changes that come after this has read wait for the next tick, if they name somebody new.
NEW_ADDRESSES: Final = """
SELECT DISTINCT address FROM changes CROSS JOIN LATERAL json_object_keys(touched -> 'addresses') AS address
WHERE NOT EXISTS (SELECT FROM identities i WHERE i.value = address AND i.identity_type = 'address')
"""
NEW_USERS: Final = """
SELECT DISTINCT name FROM changes CROSS JOIN LATERAL json_object_keys(touched -> 'users') AS name
WHERE NOT EXISTS (SELECT FROM identities i WHERE i.value = name AND i.identity_type = 'user')
"""
ALL_ADDRESSES: Final = """
SELECT DISTINCT recipient FROM events WHERE recipient IS NOT NULL AND user_key IS NULL
AND NOT EXISTS (SELECT FROM identities i WHERE i.value = recipient AND i.identity_type = 'address')
"""
FIND: Final = "SELECT count(*) FROM find_identities(%s)"


def register_touched(connection: Connection) -> None:
    """Those whom loads have touched since the last tick; in transactions of its own."""
    with connection, connection.cursor() as cursor:
        for kind, statement in ((ADDRESS, NEW_ADDRESSES), (USER, NEW_USERS)):
            cursor.execute(statement)
            _register(cursor, kind, (value for (value,) in cursor.fetchall()))


def register_recipients(connection: Connection) -> None:
    """All recipients of stored mails: for the first cohort of users."""
    with connection, connection.cursor("recipients", withhold=True) as reading:
        reading.itersize = AT_ONCE
        reading.execute(ALL_ADDRESSES)
        while rows := reading.fetchmany(AT_ONCE):
            with connection.cursor() as cursor:
                _register(cursor, ADDRESS, (value for (value,) in rows))


def _register(cursor: Cursor, kind: str, values: Iterable[str]) -> None:
    rows = [
        {"content_key": make_content_key(Identity(kind, value)), "identity_type": kind, "value": value}
        for value in values
    ]
    for start in range(0, len(rows), AT_ONCE):
        cursor.execute(FIND, (encode_json(rows[start : start + AT_ONCE]).decode(),))
