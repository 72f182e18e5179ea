"""The check of a deployment: what it reads through the API is what the oracle needs, and it finds what is wrong."""

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from random import Random
from urllib.parse import unquote

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from common.errors import ApiError
from common.events import Json
from local.postgres import SUPERUSER, Postgres
from oracle.__main__ import check, open_api
from oracle.deployment import CheckError, Fetch, check_person, read_state, sample_people
from query_events.routes import TABLE
from tests.cohorts.engine import Engine
from tests.cohorts.happenings import Happening, Maker, name_people
from tests.integration.conftest import NOW
from tests.integration.requests import make_request

DEFINITION: Json = {
    "name": "busy",
    "title": "Busy",
    "subject": "user",
    "members": {
        "any": [
            {"did": {"event": "call", "where": {"properties.n": {"at_least": 1}}}, "count": {">=": 1},
             "window": {"last": "1 day"}},
            {"did": {"event": "mail", "where": {"type": "opened", "tags": {"exists": False}}}, "count": {">=": 1},
             "window": {"last": "2 days"}},
            {"trait": "metadata.plan", "is": "pro"},
            {"last": {"event": "action"}, "has": {"name": "buy"}, "window": {"ever": True}},
            {"all": [{"cohort": "inner"}, {"not": {"trait": "metadata.plan", "exists": True}}]},
        ]
    },
}  # fmt: skip
INNER: Json = {
    "name": "inner",
    "title": "Inner",
    "subject": "user",
    "members": {"did": {"event": "mail"}, "count": {">=": 2}, "window": {"last": "1 week"}},
}


@pytest.fixture
def engine(migrated: Postgres) -> Iterator[Engine]:
    """A database in which a lot has happened to a few people, evaluated up to NOW."""
    engine = Engine(migrated)
    begin = NOW - timedelta(days=4)
    engine.empty(begin - timedelta(days=1), NOW)
    engine.save(INNER)
    engine.save(DEFINITION)
    random = Random(7)
    for hour in range(0, 96, 12):
        at = begin + timedelta(hours=hour)
        engine.load([make(random, schedule, hour, at) for schedule in range(15)], at)
        engine.tick(at)
    engine.tick(NOW)
    yield engine
    engine.close()


def make(random: Random, schedule: int, hour: int, at: datetime) -> Happening:
    """Something that happens to somebody of a schedule."""
    return Maker(random, name_people(schedule), schedule * 100 + hour).make(at)


@pytest.fixture
def fetch(engine: Engine, migrated: Postgres) -> Iterator[Fetch]:
    """The API over that database."""
    dsn = migrated.dsn("mailwake_query", "mailwake")
    with contextlib.closing(psycopg2.connect(dsn, options="-c timezone=UTC")) as connection:
        connection.autocommit = True
        yield build_fetch(connection)


def build_fetch(connection: Connection) -> Fetch:
    """Asks the routes themselves."""

    def fetch(path: str, parameters: Mapping[str, str]) -> Json:
        route, values = TABLE.find("GET", "/api/v1" + unquote(path))
        try:
            return make_request(connection, route, parameters, **values)
        except ApiError as refusal:
            raise LookupError(path) from refusal

    return fetch


def test_deployment_that_is_right(fetch: Fetch) -> None:
    """Of nobody in the sample, member or not, anything else is told."""
    state = read_state(fetch, "busy")
    people = sample_people(fetch, "busy", 60)
    assert state.evaluated_at == NOW
    assert len(people) > 12
    assert [who for who in people if check_person(fetch, state, who)] == []
    assert check(fetch, "busy", people) == []


def test_deployment_that_is_wrong(fetch: Fetch, engine: Engine, migrated: Postgres) -> None:
    """Who was left out of a cohort, or kept in it, is found, once another evaluation has told no better."""
    people = sample_people(fetch, "busy", 60)
    with contextlib.closing(psycopg2.connect(migrated.dsn(SUPERUSER, "mailwake"))) as owner, owner.cursor() as cursor:
        cursor.execute("DELETE FROM transitions WHERE cohort_id = (SELECT cohort_id FROM cohorts WHERE name = 'busy')")
        cursor.execute("DELETE FROM memberships WHERE cohort_id = (SELECT cohort_id FROM cohorts WHERE name = 'busy')")
        owner.commit()
    engine.tick(NOW + timedelta(seconds=1))
    state = read_state(fetch, "busy")
    found = [finding for who in people if (finding := check_person(fetch, state, who))]
    assert len(found) > 5
    assert all(finding.expected and not finding.told for finding in found)


def test_cohort_that_can_not_be_checked(fetch: Fetch, engine: Engine) -> None:
    """What there is not, has not been evaluated yet, or is of companies, is refused."""
    with pytest.raises(CheckError, match="no cohort named"):
        read_state(fetch, "unknown")
    engine.save({**DEFINITION, "name": "new"})
    with pytest.raises(CheckError, match="not been evaluated"):
        read_state(fetch, "new")
    engine.save({**INNER, "name": "companies", "subject": "company"})
    engine.tick(NOW + timedelta(seconds=2))
    with pytest.raises(CheckError, match="companies"):
        read_state(fetch, "companies")


def test_api_is_asked() -> None:
    """The key goes along; a 404 is nothing found, any other refusal an end."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["authorization"]))
            status = {"/api/v1/none": 404, "/api/v1/no": 403}.get(self.path.partition("?")[0], 200)
            body = json.dumps({"results": []}).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Nothing is logged."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        fetch = open_api(f"http://127.0.0.1:{server.server_port}/api/v1", "mw_1")
        assert fetch("/people/a", {"type": "user"}) == {"results": []}
        with pytest.raises(LookupError):
            fetch("/none", {})
        with pytest.raises(CheckError, match="403"):
            fetch("/no", {})
        server.shutdown()
    assert asked[0] == ("/api/v1/people/a?type=user", "mw_1")
