"""docs/api.md's recipe for a filter, followed to the letter in a copy of the code."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from local.postgres import SUPERUSER, Postgres
from s3_loader.loading import Loader
from tests.integration.batches import LIMITS, make_batch, make_event
from tests.integration.conftest import Connect

ROOT = Path(__file__).parents[2]
END_OF_TABLE = "\n)\nPARAMETERS"
NAME = "routing_domains"

# Runs in the copy: the ids that a search finds, and how the shared rows' keys are found.
SEARCH = """
import json, sys
import psycopg2
from query_events.events_message import ROUTES
from query_events.given import read_parameters
from query_events.shared_keys import build_key_query
from tests.integration.requests import make_request

connection = psycopg2.connect(sys.argv[1], options="-c timezone=UTC")
connection.autocommit = True
found = {}
for name, text in json.loads(sys.argv[2]):
    answer = make_request(connection, ROUTES[0], {name: text})
    found[name] = [result["event_id"] for result in answer["results"]]
with connection.cursor() as cursor:
    cursor.execute("SET enable_seqscan = off")
    explain = "EXPLAIN " + build_key_query(((sys.argv[3], False, False),))[1]
    cursor.execute(explain, {"v0": ["mx.example.net"], "most": 10})
    found["plan"] = str(cursor.fetchall())
print(json.dumps(found))
"""


def read_block(language: str) -> str:
    """The recipe's block in a language."""
    recipe = (ROOT / "docs" / "api.md").read_text(encoding="utf-8").partition("## Add a filter and its index\n")[2]
    return recipe.partition(f"```{language}\n")[2].partition("```")[0]


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A copy of the functions with the recipe's row in the table."""
    copy = tmp_path / "functions"
    shutil.copytree(ROOT / "functions", copy, ignore=shutil.ignore_patterns("__pycache__"))
    file = copy / "query_events" / "parameters.py"
    before, end, after = file.read_text(encoding="utf-8").partition(END_OF_TABLE)
    assert end
    file.write_text(f"{before}\n{read_block('python').rstrip()},{end}{after}", encoding="utf-8")
    return copy


@pytest.fixture
def index(migrated: Postgres) -> Iterator[str]:
    """The name of the recipe's index, which is there during the test."""
    statement = read_block("sql")
    (name,) = re.findall(r"CREATE INDEX (\w+)", statement)
    connection = psycopg2.connect(migrated.dsn("mailwake_migrator", "mailwake"))
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(statement)
        yield name
        cursor.execute(f"DROP INDEX {name}")
    connection.close()


def test_recipe_adds_a_filter(migrated: Postgres, connect: Connect, code: Path, index: str) -> None:
    """The row alone makes the filter, its negation and its beginning; the index serves it."""
    events = [
        make_event("1", routing_domain="mx.example.net"),
        make_event("2", routing_domain="mx2.example.net"),
        make_event("3"),
    ]
    batch = make_batch(events)
    Loader().load(connect("mailwake_loader"), batch, LIMITS)
    asked = [(NAME, "mx.example.net"), (f"not.{NAME}", "mx.example.net"), (f"prefix.{NAME}", "MX")]
    arguments = [migrated.dsn(SUPERUSER, "mailwake"), json.dumps(asked), NAME]
    run = subprocess.run(
        [sys.executable, "-c", SEARCH, *arguments],
        env={**os.environ, "PYTHONPATH": f"{code}{os.pathsep}{ROOT}"},
        cwd=code,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout)
    assert index in found.pop("plan")
    ids = {name: set(each) for name, each in found.items()}
    assert ids == {NAME: {"1"}, f"not.{NAME}": {"2", "3"}, f"prefix.{NAME}": {"1", "2"}}
