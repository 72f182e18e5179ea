"""The process that executes: by atheris, which keeps what reaches new code, or without it by chance alone.

Run by `python -m tests.fuzz`; its output are `Target`'s lines.
"""

import argparse
import os
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from random import Random

LARGEST = 64 * 1024  # bytes of a request
SLOWEST = 20  # seconds of an execution
MEMORY = 3000  # MB
PACKAGES = ["common", "providers", "s3_loader", "webhook_listener"]


def run_guided(seconds: int, findings: Path) -> None:
    """Until the time is over; what takes too long or too much memory ends the process and is saved by libFuzzer."""
    import atheris

    with atheris.instrument_imports(include=PACKAGES):
        from providers import find_provider, list_mappings, list_providers

        for name in [*list_providers(), *list_mappings()]:
            find_provider(name)
        from tests.fuzz.target import SEEDS, Target, change_content
    from local.samples import read_request, write_request

    target = Target(findings)

    def mutate(content: bytes, largest: int, seed: int) -> bytes:
        chance = Random(seed)
        if chance.random() < 0.3:
            try:
                request = read_request(content)
                body: bytes = atheris.Mutate(request.body, max(largest - 2000, 1))
                return write_request(request._replace(body=body))[:largest]
            except ValueError:
                pass
        return change_content(content, chance)[:largest]

    with tempfile.TemporaryDirectory() as corpus:
        for number, request in enumerate(SEEDS):
            Path(corpus, f"{number}.http").write_bytes(write_request(request))
        findings.mkdir(parents=True, exist_ok=True)
        options = [f"-max_total_time={seconds}", f"-max_len={LARGEST}", "-len_control=0", f"-timeout={SLOWEST}"]
        options += [f"-rss_limit_mb={MEMORY}", f"-artifact_prefix={findings}/", "-verbosity=0"]
        atheris.Setup([sys.argv[0], *options, corpus], target.run, custom_mutator=mutate)
        atheris.Fuzz()


def run_blind(seconds: int, findings: Path) -> None:
    """Until the time is over."""
    from local.samples import write_request
    from tests.fuzz.target import SEEDS, Target, change_content

    target = Target(findings)
    chance = Random(os.urandom(16))
    corpus = [write_request(request) for request in SEEDS]
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        target.run(change_content(chance.choice(corpus), chance))
    target.tell()


def main() -> None:
    """Chooses the way."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, required=True)
    parser.add_argument("--findings", type=Path, required=True)
    given = parser.parse_args()
    (run_guided if find_spec("atheris") else run_blind)(given.seconds, given.findings)


if __name__ == "__main__":
    main()
