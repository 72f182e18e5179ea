"""`make fuzz`: sends webhooks that are a little wrong to listener, parsers and loader, and says what broke.

Ends with 0 where nothing did, else with 1. Each finding is saved as the request (`.http`, as payloads are) and its
traceback (`.txt`).
"""

import argparse
import json
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

FINDINGS = Path(__file__).parents[2] / ".local" / "fuzz"
ENGINE = "tests.fuzz.engine"
PATIENCE = 60  # seconds beyond those asked for: to start, and for the last execution


def main() -> int:
    """Runs the engine; the exit code."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--findings", type=Path, default=FINDINGS, help="where they are saved (default: .local/fuzz)")
    given = parser.parse_args()
    guided = find_spec("atheris") is not None
    print(f"fuzzing for {given.seconds} s, {'guided by coverage (atheris)' if guided else 'by chance (no atheris)'}")
    before = set(given.findings.glob("*"))
    command = [sys.executable, "-m", ENGINE, "--seconds", str(given.seconds), "--findings"]
    with subprocess.Popen(
        [*command, str(given.findings)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        figures, problem = follow(run, given.seconds)
    findings: dict[str, str] = dict(figures["findings"])
    if problem:
        artifacts = [path for path in set(given.findings.glob("*")) - before if path.suffix not in (".http", ".txt")]
        findings[problem] = ", ".join(map(str, artifacts)) or "nothing saved"
    for place, path in findings.items():
        print(f"finding: {place}\n         {path}")
    print(f"fuzz: executions={figures['executions']} parsed={figures['parsed']} findings={len(findings)}")
    return 1 if findings else 0


def follow(run: "subprocess.Popen[str]", seconds: int) -> tuple[dict[str, Any], str]:
    """Shows how far it is; the last figures, and what ended it early ("")."""
    figures: dict[str, Any] = {"executions": 0, "parsed": 0, "findings": []}
    started = time.monotonic()
    assert run.stdout is not None
    assert run.stderr is not None
    for line in run.stdout:
        try:
            figures = json.loads(line)
        except ValueError:
            continue
        count = len(figures["findings"])
        show(f"{time.monotonic() - started:4.0f} s  {figures['executions']} executions, {count} findings")
    words = run.stderr.read()
    print()
    try:
        code = run.wait(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        run.kill()
        return figures, "an execution that does not end"
    if not figures["executions"]:
        return figures, f"nothing was executed: {words[-2000:]}"
    return figures, f"the process ended with {code}: {words[-2000:]}" if code else ""


def show(text: str) -> None:
    """A line in place of the one before, on a terminal; else one in ten."""
    if sys.stdout.isatty():
        print(f"\r{text}", end="", flush=True)
    elif int(text.split(maxsplit=1)[0]) % 10 == 0:
        print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
