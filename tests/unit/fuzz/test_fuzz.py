import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from local.samples import Payload, list_payloads, read_request, write_request

ROOT = Path(__file__).parents[3]
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT / 'functions'}{os.pathsep}{ROOT}"}
# SparkPost's parser breaks on every body with this word; the process that plays this is not the test's.
BROKEN = """
import sys
from pathlib import Path
import providers.sparkpost as module
parse = module.parse
def broken(body, delivery):
    if b"bounce" in body:
        raise KeyError("planted")
    return parse(body, delivery)
module.parse = broken
from tests.fuzz.engine import run_blind
run_blind(4, Path(sys.argv[1]))
"""


@pytest.mark.parametrize("payload", [pytest.param(payload, id=payload.name) for payload in list_payloads()])
def test_request_is_read_as_it_is_written(payload: Payload) -> None:
    """What a mutation starts from, and a finding, is the whole request."""
    assert read_request(write_request(payload.request)) == payload.request


def test_finding_is_saved_once(tmp_path: Path) -> None:
    """Where something breaks in one place, one request is kept as it came, with the traceback; the search goes on."""
    run = subprocess.run(
        [sys.executable, "-c", BROKEN, str(tmp_path)],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    figures = json.loads(run.stdout.splitlines()[-1])
    ((place, path),) = figures["findings"]
    assert place.startswith("KeyError at ")
    assert figures["executions"] > 100
    assert b"bounce" in read_request(Path(path).read_bytes()).body
    assert "planted" in Path(path).with_suffix(".txt").read_text()
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.slow
def test_command_tells_its_figures(tmp_path: Path) -> None:
    """Without a finding it ends with 0 and says how much it did."""
    command = [sys.executable, "-m", "tests.fuzz", "--seconds", "3", "--findings", str(tmp_path)]
    run = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout
    assert "findings=0" in run.stdout
    assert int(run.stdout.rpartition("executions=")[2].split()[0]) > 100


def test_command_fails_on_a_finding(tmp_path: Path) -> None:
    """An engine that ends otherwise than it should is a finding: the exit code is 1, and the last line counts it."""
    code = "import tests.fuzz.__main__ as m, sys; m.ENGINE = 'tests.nothing'; sys.exit(m.main())"
    command = [sys.executable, "-c", code, "--seconds", "1", "--findings", str(tmp_path)]
    run = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stdout.splitlines()[-1] == "fuzz: executions=0 parsed=0 findings=1"
