"""Reports of our own, one in an object.

Attempts of the mailer (functions/mailer/deliveries.py) are rows of `deliveries`, unsubscribes by a link
(functions/unsubscribe) suppressions.
"""

from datetime import datetime
from typing import Any

from psycopg2.extensions import connection as Connection

from common.clock import format_instant
from common.events import UNSUBSCRIBED, Unparseable
from common.json_text import decode_json
from s3_loader.batches import Batch
from s3_loader.loading import Load, Outcome, save_batch
from s3_loader.prepared import Statement
from s3_loader.quarantine import SetAside
from s3_loader.suppressing import suppress

PROVIDER = "mailwake"
UNSUBSCRIBE = "unsubscribe"
LOOK = "SELECT (SELECT batch_id FROM batches WHERE object_key = %s), nextval('batches_batch_id_seq')"
SAVE = """
INSERT INTO deliveries AS known (id, attempt, at, notification, cohort, channel, state, recipient, status, message_id,
                                 template, template_version, user_name, error, batch_id)
VALUES (%(id)s, %(attempt)s, %(at)s, %(notification)s, %(cohort)s, %(channel)s, %(state)s, %(recipient)s, %(status)s,
        %(message_id)s, %(template)s, %(template_version)s, %(user)s, %(error)s, %(batch_id)s)
ON CONFLICT (id, attempt) DO UPDATE SET state = excluded.state, at = excluded.at, status = excluded.status,
    message_id = excluded.message_id, error = excluded.error
WHERE CASE WHEN (known.state = ANY (%(open)s)) = (excluded.state = ANY (%(open)s)) THEN known.at < excluded.at
           ELSE known.state = ANY (%(open)s) END
"""
# What may still end otherwise: how an attempt ended is not replaced by these, in whatever order they are told.
OPEN = ["retrying", "unknown"]
FIELDS = ("id", "attempt", "at", "notification", "cohort", "channel", "recipient", "state", "error", "status")
MORE = ("message_id", "template", "template_version", "user")


def load_delivery(connection: Connection, batch: Batch, *, replay: bool) -> Load:
    """Loads a report; what is none goes to the quarantine. Raises `psycopg2.Error` with nothing changed."""
    connection.autocommit = False
    unparseable = SetAside()
    told: dict[str, Any] = {}
    save: Statement = ("", ())
    try:
        told = decode_json(batch.body)
        if told.get("kind") == UNSUBSCRIBE:
            save = _suppress(told)
        else:
            told = {name: told[name] for name in (*FIELDS, *MORE)}
    except (ValueError, KeyError, TypeError, AttributeError):
        unparseable.append(Unparseable(None, "it is no report of the mailer", None))
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(LOOK, (batch.object_key,))
            ((found, batch_id),) = cursor.fetchall()
            if found is not None and not replay:
                return Load(Outcome.ALREADY_LOADED)
            load = Load(Outcome.LOADED, 1 - len(unparseable), 0, len(unparseable))
            for sql, values in [*save_batch(batch, batch_id, load, found), *unparseable.build(batch)]:
                cursor.execute(sql, values)
            if not unparseable:
                cursor.execute(*(save if save[0] else (SAVE, {**told, "open": OPEN, "batch_id": found or batch_id})))
            return load
    finally:
        connection.autocommit = True


def _suppress(told: dict[str, Any]) -> Statement:
    """What keeps an unsubscribe. Raises `KeyError`, `ValueError` where it is none."""
    at = format_instant(datetime.fromisoformat(told["at"]))
    entry: dict[str, Any] = {"address": str(told["address"]), "topic": str(told["topic"]), "event_at": at}
    entry["delivery"] = str(told["delivery"]) if told.get("delivery") else None
    return suppress([{**entry, "reason": UNSUBSCRIBED, "source": UNSUBSCRIBE}])
