"""Entry point of the migration, inside the VPC: invoked by start_migration with the database's master log-in."""

import logging
from typing import Any

import psycopg2

from common.cloudformation import FAILED, SUCCESS, answer_cloudformation
from common.database import DatabaseSettings, DatabaseUnavailableError, connect
from migrate_database.files import list_migrations
from migrate_database.migrations import MigrationError, apply_migrations
from migrate_database.roles import create_roles

log = logging.getLogger(__name__)


def migrate(master: dict[str, str]) -> list[str]:
    """Creates the roles as master, then applies the migrations as the role that owns the schema."""
    settings = DatabaseSettings.read()
    connection = connect(settings._replace(user=master["username"], password=master["password"]))
    try:
        create_roles(connection)
    finally:
        connection.close()
    connection = connect(settings)
    try:
        return apply_migrations(connection, list_migrations())
    finally:
        connection.close()


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """`{"event": CloudFormation's event, "master": {"username", "password"}}`; answers CloudFormation itself."""
    try:
        applied = migrate(event["master"])
    except (MigrationError, DatabaseUnavailableError, psycopg2.Error) as failure:
        log.exception("migration failed")
        answer_cloudformation(event["event"], FAILED, reason=str(failure))
        return {"status": FAILED}
    log.info("schema is up to date", extra={"applied": applied})
    answer_cloudformation(event["event"], SUCCESS, data={"Applied": ",".join(applied)})
    return {"status": SUCCESS, "applied": applied}
