"""The database's roles. Each logs in by IAM token and may do no more than its function needs."""

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

MIGRATOR = "mailwake_migrator"  # owns the schema
ROLES = (
    MIGRATOR,
    "mailwake_loader",  # writes events
    "mailwake_query",  # reads
    "mailwake_evaluator",  # writes memberships
)
IAM_ROLE = "rds_iam"  # RDS's own: its members log in by IAM token. Absent outside RDS.

SECURE_DATABASE = """
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO mailwake_loader, mailwake_query, mailwake_evaluator;
GRANT USAGE, CREATE ON SCHEMA public TO mailwake_migrator;
"""


def create_roles(connection: Connection) -> None:
    """Creates what is missing, as the database's master; safe to repeat."""
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", ([*ROLES, IAM_ROLE],))
        present = {name for (name,) in cursor.fetchall()}
        for role in ROLES:
            if role not in present:
                cursor.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
            if IAM_ROLE in present:
                cursor.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(IAM_ROLE), sql.Identifier(role)))
        cursor.execute(SECURE_DATABASE)
        database = sql.Identifier(connection.info.dbname)
        cursor.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
        cursor.execute(
            sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(
                database, sql.SQL(", ").join(map(sql.Identifier, ROLES))
            )
        )
        # The loader's slow path goes through a temporary table, and all evaluation does.
        grant = "GRANT TEMPORARY ON DATABASE {} TO mailwake_loader, mailwake_evaluator"
        cursor.execute(sql.SQL(grant).format(database))
