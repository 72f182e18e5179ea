"""Agents that write to remote storage, as Debian packages them: `python -m tests.clients.prometheus` unpacks them.

Prometheus itself and VictoriaMetrics' vmagent, without root; both speak remote write 1.0. apt checks a package by the
archive's signature, this by its own sum, too: a version means the same bytes everywhere.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

Json = dict[str, Any]

CACHE = Path(__file__).parents[2] / ".cache"


class Package(NamedTuple):
    """A package of Debian 12's with an agent in it."""

    name: str
    version: str
    program: str
    sums: dict[str, str]  # processor → SHA-256

    @property
    def folder(self) -> Path:
        """Where it is unpacked."""
        return CACHE / f"{self.name}-{self.version}"

    @property
    def path(self) -> Path:
        """The agent; it is there once it is installed."""
        return self.folder / "usr" / "bin" / self.program


PROMETHEUS = Package(
    "prometheus",
    "2.42.0+ds-5+deb12u1",
    "prometheus",
    {
        "amd64": "81d59a24fce84f7fbe97a45a4f2914b6a5881b5cd1db2a6a0e129e515e1a5f55",
        "arm64": "ca131aa102390083398afbc80be9c8dd1dda78f9f92154fc00df8f7f1f4556e9",
    },
)
VMAGENT = Package(
    "victoria-metrics",
    "1.79.5+ds1-2+b5",
    "vmagent",
    {
        "amd64": "bb437c10c5aa7c6a293acbb93828bd726dded618aa4bf3f4b45bef24c6d2f6f0",
        "arm64": "82f08b45f29ce24585e4e7d89acbe26a7a07af2dce99276c47edbfbe923fc8b6",
    },
)


def install(packages: Sequence[Package]) -> None:
    """Downloads and unpacks packages. Raises `OSError`, `subprocess.SubprocessError` or `ValueError`."""
    architecture = _run("dpkg", "--print-architecture").strip()
    CACHE.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=CACHE) as temporary:  # lists of its own: the machine's are root's
        apt = Path(temporary)
        for folder in (apt / "lists" / "partial", apt / "cache" / "archives" / "partial"):
            folder.mkdir(parents=True)
        options = ("-qq", "-o", f"Dir::State::Lists={apt}/lists", "-o", f"Dir::Cache={apt}/cache")
        own = ("-o", "APT::Sandbox::User=")  # who downloads owns the folder
        with suppress(ValueError):  # of another of the machine's sources
            _run("apt-get", *options, *own, "update")
        for package in packages:
            _run("apt-get", *options, *own, "download", f"{package.name}={package.version}", folder=apt)
            (file,) = apt.glob(f"{package.name}_*.deb")
            if hashlib.sha256(file.read_bytes()).hexdigest() != package.sums.get(architecture):
                raise ValueError(f"{file.name} is another one than was tried")
            _run("dpkg-deb", "--extract", str(file), str(package.folder))


def _run(*command: str, folder: Path | None = None) -> str:
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    if ended.returncode:
        raise ValueError(f"{command[0]}: {ended.stderr.strip()[-300:]}")
    return ended.stdout


@contextmanager
def run_prometheus(folder: Path, scraping: Json, remote: Json) -> Iterator[None]:
    """Runs Prometheus as an agent with what it scrapes and where it writes to."""
    file = folder / "prometheus.yml"
    queue = {"batch_send_deadline": "1s", "min_backoff": "50ms", "max_backoff": "100ms"}
    remote = {"queue_config": queue, "metadata_config": {"send_interval": "2s"}, **remote}
    file.write_text(json.dumps({**scraping, "remote_write": [remote]}))  # JSON is YAML, too
    command = (
        f"--config.file={file}",
        f"--storage.agent.path={folder}/data",
        "--enable-feature=agent,native-histograms",
        "--web.listen-address=127.0.0.1:0",
    )
    with _start(PROMETHEUS, command, folder):
        yield


@contextmanager
def run_vmagent(folder: Path, scraping: Json, remote: Json) -> Iterator[None]:
    """The same of vmagent; `remote` has the url and the credentials."""
    file = folder / "prometheus.yml"
    file.write_text(json.dumps(scraping))
    command = (
        f"-promscrape.config={file}",
        f"-remoteWrite.tmpDataPath={folder}/data",
        f"-remoteWrite.url={remote['url']}",
        f"-remoteWrite.bearerToken={remote['authorization']['credentials']}",
        "-httpListenAddr=127.0.0.1:0",
    )
    with _start(VMAGENT, command, folder):
        yield


@contextmanager
def _start(package: Package, command: Sequence[str], folder: Path) -> Iterator[None]:
    with (folder / f"{package.program}.log").open("wb") as log:
        running = subprocess.Popen([package.path, *command], stdout=log, stderr=log)
        try:
            yield
        finally:
            running.terminate()
            running.wait(30)


if __name__ == "__main__":
    try:
        install((PROMETHEUS, VMAGENT))
    except (OSError, ValueError, subprocess.SubprocessError) as failure:
        sys.exit(f"Debian 12's Prometheus and vmagent can't be installed here, their tests are left out: {failure}")
