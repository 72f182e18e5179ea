"""Keeps definitions of cohorts, each change as a version that a tick switches on; notifications and templates, too."""

from datetime import datetime
from typing import Final, NamedTuple

from psycopg2.extensions import connection as Connection

from cohort_evaluator.channels import read_notification
from cohort_evaluator.definitions import read_cohort
from common.errors import ApiError
from common.events import Json
from common.json_text import decode_json, encode_json

FIND: Final = """
SELECT c.cohort_id, c.wanted, c.deleted_at IS NOT NULL, v.definition::text
FROM cohorts c JOIN cohort_versions v ON v.cohort_id = c.cohort_id AND v.version = c.wanted
WHERE c.name = %s FOR UPDATE OF c
"""
CREATE: Final = "INSERT INTO cohorts (name, wanted) VALUES (%s, 1) RETURNING cohort_id"
CHANGE: Final = "UPDATE cohorts SET wanted = %s, deleted_at = NULL WHERE cohort_id = %s"
ADD_VERSION: Final = """
INSERT INTO cohort_versions (cohort_id, version, definition, created_at, created_by) VALUES (%s, %s, %s, %s, %s)
"""
REFERENCES: Final = """
SELECT c.name FROM cohorts c JOIN cohort_versions v ON v.cohort_id = c.cohort_id AND v.version = c.wanted
WHERE c.deleted_at IS NULL
  AND jsonb_path_exists(v.definition, '$.**.cohort ? (@ == $name)', jsonb_build_object('name', %s::text))
ORDER BY 1 LIMIT 5
"""
DELETE: Final = "UPDATE cohorts SET deleted_at = %s WHERE name = %s AND deleted_at IS NULL RETURNING cohort_id"


class Saved(NamedTuple):
    """What became of a definition."""

    version: int
    is_changed: bool  # False where it is there already


def save_cohort(connection: Connection, definition: Json, instant: datetime, by: str) -> Saved:
    """Saves a definition under its name. Raises `DefinitionError`; `ApiError` where its subjects would be others."""
    cohort = read_cohort(definition)
    text = encode_json(definition, order="sorted").decode()
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('save_cohort'))")
        cursor.execute(FIND, (cohort.name,))
        found = cursor.fetchall()
        if not found:
            cursor.execute(CREATE, (cohort.name,))
            cohort_id, version = cursor.fetchall()[0][0], 1
        else:
            cohort_id, wanted, is_deleted, known = found[0]
            if decode_json(known.encode()) == definition and not is_deleted:
                return Saved(wanted, is_changed=False)
            if read_cohort(decode_json(known.encode())).subject != cohort.subject:
                description = f"{cohort.name} is a cohort of other subjects: give the new one another name"
                raise ApiError(409, "The subject of a cohort can't be changed", description, "409")
            version = wanted + 1
            cursor.execute(CHANGE, (version, cohort_id))
        cursor.execute(ADD_VERSION, (cohort_id, version, text, instant, by))
        return Saved(version, is_changed=True)


def delete_cohort(connection: Connection, name: str, instant: datetime) -> None:
    """Lets the next tick end all memberships of a cohort. Raises `ApiError` where it is unknown or asked for."""
    with connection, connection.cursor() as cursor:
        cursor.execute(REFERENCES, (name,))
        if names := [found for (found,) in cursor.fetchall()]:
            description = f"Other cohorts ask for it: {', '.join(names)}. Change or delete these first"
            raise ApiError(409, "The cohort is needed", description, "409")
        cursor.execute(DELETE, (instant, name))
        if not cursor.fetchall():
            raise ApiError(404, "There is no such cohort", f"No cohort is called {name[:100]}", "404")


FIND_COHORT: Final = "SELECT cohort_id FROM cohorts WHERE name = %s AND deleted_at IS NULL"
SAVE_NOTIFICATION: Final = """
INSERT INTO notifications AS known (name, cohort_id, definition, created_at, created_by) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (name) DO UPDATE SET definition = excluded.definition, cohort_id = excluded.cohort_id, deleted_at = NULL,
    seen = CASE WHEN known.cohort_id = excluded.cohort_id AND known.deleted_at IS NULL THEN known.seen END
RETURNING notification_id
"""
DELETE_NOTIFICATION: Final = (
    "UPDATE notifications SET deleted_at = %s WHERE name = %s AND deleted_at IS NULL RETURNING 1"
)
FIND_TEMPLATE: Final = """
SELECT version, template::text, deleted_at IS NOT NULL FROM email_templates WHERE name = %s
ORDER BY version DESC LIMIT 1
"""
SAVE_TEMPLATE: Final = """
INSERT INTO email_templates (name, version, template, created_at, created_by) VALUES (%s, %s, %s, %s, %s)
"""


def save_notification(connection: Connection, definition: Json, instant: datetime, by: str) -> int:
    """Saves a notification under its name; its id. It tells of what happens from the next tick on.

    Raises `DefinitionError`; `ApiError` where its cohort is unknown.
    """
    notification = read_notification(definition)
    with connection, connection.cursor() as cursor:
        cursor.execute(FIND_COHORT, (notification.cohort,))
        found = cursor.fetchall()
        if not found:
            raise ApiError(400, "There is no such cohort", f"No cohort is called {notification.cohort}")
        text = encode_json(definition, order="sorted").decode()
        cursor.execute(SAVE_NOTIFICATION, (notification.name, found[0][0], text, instant, by))
        return int(cursor.fetchall()[0][0])


def delete_notification(connection: Connection, name: str, instant: datetime) -> None:
    """Nothing more is told. Raises `ApiError` where it is unknown."""
    with connection, connection.cursor() as cursor:
        cursor.execute(DELETE_NOTIFICATION, (instant, name))
        if not cursor.fetchall():
            raise ApiError(404, "There is no such notification", f"No notification is called {name[:100]}")


def save_template(connection: Connection, name: str, template: Json, instant: datetime, by: str) -> Saved:
    """Saves a template, which has been read (mailer/templates.py), as a new version unless it is the same."""
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('save_template'))")
        cursor.execute(FIND_TEMPLATE, (name,))
        found = cursor.fetchall()
        version, known, is_deleted = found[0] if found else (0, "null", True)
        if decode_json(known.encode()) == template and not is_deleted:
            return Saved(version, is_changed=False)
        text = encode_json(template, order="sorted").decode()
        cursor.execute(SAVE_TEMPLATE, (name, version + 1, text, instant, by))
        return Saved(version + 1, is_changed=True)
