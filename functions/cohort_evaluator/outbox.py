"""Puts what is to be told into S3, where the mailer finds it. What is put twice is told once: it has an id."""

from typing import Final

from psycopg2.extensions import connection as Connection

from common.objects import Bucket

PREFIX: Final = "outbox/"
AT_ONCE: Final = 500
TAKE: Final = "SELECT id, body::text FROM outbox ORDER BY created_at, id LIMIT %s FOR UPDATE SKIP LOCKED"
DELETE: Final = "DELETE FROM outbox WHERE id = ANY (%s)"


def publish(connection: Connection, bucket: Bucket) -> int:
    """Puts all of the outbox into the bucket, then deletes it; how many. Raises `AwsError`: the next tick goes on."""
    published = 0
    while True:
        with connection, connection.cursor() as cursor:
            cursor.execute(TAKE, (AT_ONCE,))
            rows = cursor.fetchall()
            for name, body in rows:
                bucket.put(f"{PREFIX}{name}.json", body.encode())
            if rows:
                cursor.execute(DELETE, ([name for name, _ in rows],))
        published += len(rows)
        if len(rows) < AT_ONCE:
            return published
