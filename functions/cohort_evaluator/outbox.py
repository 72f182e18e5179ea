"""Puts what is to be told into S3, where the mailer finds it. What is put twice is told once: it has an id."""

from typing import Final

from psycopg2.extensions import connection as Connection

from common.objects import Bucket

PREFIX: Final = "outbox/"
AT_ONCE: Final = 50
# Of a group; one object may be larger. Python holds texts with an emoji in four times as many.
MOST_BYTES: Final = 16_000_000
TAKE: Final = """
WITH oldest AS MATERIALIZED (
    SELECT id, body::text AS body, created_at FROM outbox ORDER BY created_at, id LIMIT %s FOR UPDATE SKIP LOCKED),
measured AS (
    SELECT *, sum(octet_length(body)) OVER (ORDER BY created_at, id) AS bytes,
           row_number() OVER (ORDER BY created_at, id) AS nth FROM oldest)
SELECT id, body FROM measured WHERE bytes <= %s OR nth = 1 ORDER BY nth
"""
DELETE: Final = "DELETE FROM outbox WHERE id = ANY (%s)"


def publish(connection: Connection, bucket: Bucket) -> int:
    """Puts all of the outbox into the bucket, then deletes it; how many. Raises `AwsError`: the next tick goes on."""
    published = 0
    while True:
        with connection, connection.cursor() as cursor:
            cursor.execute(TAKE, (AT_ONCE, MOST_BYTES))
            names = []
            while row := cursor.fetchone():
                name, body = row
                bucket.put(f"{PREFIX}{name}.json", body.encode())
                names.append(name)
            if not names:
                return published
            cursor.execute(DELETE, (names,))
        published += len(names)
