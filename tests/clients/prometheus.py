"""Prometheus itself, as Debian packages it: `python -m tests.clients.prometheus` unpacks it without root.

Of what can be installed here it is the one real agent; it speaks remote write 1.0. apt checks the package by the
archive's signature, this by its own sum, too: a version means the same bytes everywhere.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

VERSION = "2.42.0+ds-5+deb12u1"
SUMS = {
    "amd64": "81d59a24fce84f7fbe97a45a4f2914b6a5881b5cd1db2a6a0e129e515e1a5f55",
    "arm64": "ca131aa102390083398afbc80be9c8dd1dda78f9f92154fc00df8f7f1f4556e9",
}
FOLDER = Path(__file__).parents[2] / ".cache" / f"prometheus-{VERSION}"
PROMETHEUS = FOLDER / "usr" / "bin" / "prometheus"


def install() -> None:
    """Downloads and unpacks it. Raises `OSError`, `subprocess.SubprocessError` or `ValueError` where that can't be."""
    architecture = _run("dpkg", "--print-architecture").strip()
    if architecture not in SUMS:
        raise ValueError(f"no sum is known of the package for {architecture}")
    apt = FOLDER / "apt"  # lists and cache of its own: the machine's are root's
    for folder in (apt / "lists" / "partial", apt / "cache" / "archives" / "partial"):
        folder.mkdir(parents=True, exist_ok=True)
    options = ("-qq", "-o", f"Dir::State::Lists={apt}/lists", "-o", f"Dir::Cache={apt}/cache")
    own = ("-o", "APT::Sandbox::User=")  # who downloads owns the folder
    _run("apt-get", *options, *own, "update")
    _run("apt-get", *options, *own, "download", f"prometheus={VERSION}", folder=apt)
    (package,) = apt.glob("prometheus_*.deb")
    if hashlib.sha256(package.read_bytes()).hexdigest() != SUMS[architecture]:
        raise ValueError(f"{package.name} is another one than was tried")
    _run("dpkg-deb", "--extract", str(package), str(FOLDER))
    shutil.rmtree(apt)


def _run(*command: str, folder: Path | None = None) -> str:
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    if ended.returncode:
        raise ValueError(f"{command[0]}: {ended.stderr.strip()[-300:]}")
    return ended.stdout


@contextmanager
def run_agent(folder: Path, config: dict[str, Any]) -> Iterator[Path]:
    """Runs it as an agent with a configuration; gives the file of its log."""
    file, log = folder / "prometheus.yml", folder / "prometheus.log"
    file.write_text(json.dumps(config))  # JSON is YAML, too
    command = (
        f"--config.file={file}",
        f"--storage.agent.path={folder}/data",
        "--enable-feature=agent,native-histograms",
        "--web.listen-address=127.0.0.1:0",
    )
    with log.open("wb") as output, subprocess.Popen([PROMETHEUS, *command], stdout=output, stderr=output) as running:
        try:
            yield log
        finally:
            running.terminate()


if __name__ == "__main__":
    try:
        install()
    except (OSError, ValueError, subprocess.SubprocessError) as failure:
        sys.exit(f"Prometheus {VERSION} can't be installed here, its tests are left out: {failure}")
