"""The list of whom not to mail, as people change it. What events add is the loader's (s3_loader/suppressing.py)."""

import re
from datetime import datetime
from hashlib import sha256
from typing import Final

from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from cohort_evaluator.reading import DefinitionError, read_text
from common.clock import format_instant
from common.errors import ApiError
from common.events import Json
from common.json_text import encode_json

ALL: Final = "*"
MANUAL: Final = "manual"
_ADDRESS = re.compile(r"[^@\s,;<>\"]{1,64}@[^@\s,;<>\"]{1,255}\Z")
_MASKED = re.compile(r"[^@]?\*\*\*@")
_TOPIC = re.compile(r"[a-z0-9][a-z0-9-]{0,99}\Z")
ADD: Final = """
INSERT INTO suppressions AS known (address, topic, reason, source, event_at, at)
VALUES (%(address)s, %(topic)s, %(reason)s, %(source)s, %(at)s, %(at)s)
ON CONFLICT (address, topic) DO UPDATE SET reason = excluded.reason, source = excluded.source,
    event_at = excluded.event_at, event_key = NULL, delivery = NULL, at = excluded.at, removed_at = NULL,
    removed_by = NULL
WHERE known.removed_at IS NOT NULL
RETURNING 1
"""
REMOVE: Final = """
UPDATE suppressions SET removed_at = %(at)s, removed_by = %(source)s
WHERE address = %(address)s AND topic = %(topic)s AND removed_at IS NULL
RETURNING 1
"""
PUT: Final = "INSERT INTO outbox (id, body, created_at) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"


def add_suppression(connection: Connection, address: object, topic: object, instant: datetime, by: str) -> bool:
    """Forbids mails to an address, of a topic or (`*`) all; False where they are already. Raises `DefinitionError`."""
    entry = _read(read_new_address(address, "address"), topic, instant, by)
    with connection, connection.cursor() as cursor:
        cursor.execute(ADD, entry)
        if not cursor.fetchall():
            return False
        _tell(cursor, entry, instant)
    return True


def remove_suppression(connection: Connection, address: object, topic: object, instant: datetime, by: str) -> None:
    """Allows them again, until something newer forbids them.

    Raises `DefinitionError`; `ApiError` where they are not forbidden.
    """
    entry = _read(read_address(address, "address"), topic, instant, by)
    with connection, connection.cursor() as cursor:
        cursor.execute(REMOVE, entry)
        if not cursor.fetchall():
            raise ApiError(404, "There is no such suppression", "The address is not on the list for this topic")
        _tell(cursor, {**entry, "removed": True}, instant)


def read_address(value: object, place: str) -> str:
    """An address, in lower case. Raises `DefinitionError`."""
    text = read_text(value, place).strip().lower()
    if not _ADDRESS.match(text):
        raise DefinitionError(place, "is an address")
    return text


def read_new_address(value: object, place: str) -> str:
    """The same, of somebody: none that is masked. Raises `DefinitionError`."""
    text = read_address(value, place)
    if _MASKED.match(text):
        raise DefinitionError(place, "is masked, as it is shown without pii:read: take the list with a key that has it")
    return text


def read_topic(value: object, place: str) -> str:
    """A topic, or what stands for all. Raises `DefinitionError`."""
    if type(value) is not str or (value != ALL and not _TOPIC.match(value)):
        raise DefinitionError(place, "is * for all mails, or 1 to 100 characters of a-z, 0-9 and dashes")
    return value


def _read(address: str, topic: object, instant: datetime, by: str) -> Json:
    given = {"address": address, "topic": read_topic(topic, "topic")}
    return {**given, "reason": MANUAL, "source": by, "at": format_instant(instant)}


def _tell(cursor: Cursor, entry: Json, instant: datetime) -> None:
    """Lets the mailer know, with the next tick."""
    text = encode_json(entry, order="sorted")
    name = f"sup-{sha256(text).hexdigest()[:32]}"
    body = {"id": name, "kind": "suppression", "entries": [entry]}
    cursor.execute(PUT, (name, encode_json(body).decode(), instant))
