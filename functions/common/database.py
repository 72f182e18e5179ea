"""Postgres: a kept connection of an execution environment, logged in by an IAM token."""

import os
from collections.abc import Callable
from typing import NamedTuple

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_IDLE
from psycopg2.extensions import connection as Connection

from common.aws import build_database_token
from common.settings import read_number, read_text

CONNECT_SECONDS = 5


class DatabaseUnavailableError(Exception):
    """The database can't be reached, or dropped the connection: worth another try."""


class DatabaseSettings(NamedTuple):
    """Where the database is and who logs in; `tls` is a libpq sslmode, `password` is None for an IAM token."""

    host: str
    port: int
    name: str
    user: str
    tls: str
    ca_file: str
    password: str | None = None

    @classmethod
    def read(cls) -> "DatabaseSettings":
        """From the environment; DATABASE_TLS is an sslmode of libpq."""
        return cls(
            host=read_text("DATABASE_HOST"),
            port=read_number("DATABASE_PORT"),
            name=read_text("DATABASE_NAME"),
            user=read_text("DATABASE_USER"),
            tls=read_text("DATABASE_TLS"),
            ca_file=read_text("DATABASE_CA_FILE"),
        )


def connect(settings: DatabaseSettings, **parameters: str) -> Connection:
    """A new connection whose session speaks UTC, with further server parameters. Raises `DatabaseUnavailableError`."""
    password = settings.password or build_database_token(
        settings.host, settings.port, settings.user, os.environ["AWS_REGION"]
    )
    try:
        return psycopg2.connect(
            host=settings.host,
            port=settings.port,
            dbname=settings.name,
            user=settings.user,
            password=password,
            sslmode=settings.tls,
            sslrootcert=settings.ca_file,
            connect_timeout=CONNECT_SECONDS,
            keepalives_idle=30,
            options=" ".join(f"-c {name}={value}" for name, value in {"timezone": "UTC", **parameters}.items()),
        )
    except psycopg2.OperationalError as failure:
        raise DatabaseUnavailableError(f"no connection to {settings.host}: {type(failure).__name__}") from failure


def is_transient(failure: psycopg2.Error) -> bool:
    """Whether the same work may succeed when done again, told by SQLSTATE.

    No code at all: the connection broke. 08 connection, 40 serialisation and deadlock, 53 resources, 57P shutdown,
    25006 a read-only server after a failover.
    """
    code = failure.pgcode
    if code is None:
        return isinstance(failure, psycopg2.OperationalError | psycopg2.InterfaceError)
    return code[:2] in {"08", "40", "53"} or code[:3] == "57P" or code == "25006"


class Database:
    """Gives out one connection and replaces it when it broke."""

    def __init__(self, open_connection: Callable[[], Connection]) -> None:
        self._open = open_connection
        self._connection: Connection | None = None

    def get(self) -> Connection:
        """The kept connection, idle; a new one where it is closed or was left in a transaction."""
        kept = self._connection
        if kept is None or kept.closed or kept.info.transaction_status != TRANSACTION_STATUS_IDLE:
            self.close()
            kept = self._connection = self._open()
        return kept

    def close(self) -> None:
        """Drops the connection; the next `get` opens another."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None
