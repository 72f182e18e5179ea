"""What happens beside a tick."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from cohort_evaluator import evaluation
from common.activities import ADDRESS, Identity
from common.events import Json
from local.postgres import Postgres
from oracle.telling import Interval
from tests.cohorts.engine import Engine
from tests.cohorts.happenings import Happening
from tests.integration.batches import make_event
from tests.integration.conftest import NOW, migrated, postgres

__all__ = ["migrated", "postgres"]

GOT_MAIL: Json = {"did": {"event": "mail"}, "count": {">=": 1}, "window": {"last": "1 day"}}
NAMED: Json = {"rcpt_meta": {"user_id": "ada"}}


@pytest.fixture
def engine(migrated: Postgres) -> Iterator[Engine]:
    """With a cohort of those who got mail, in force before anything came."""
    engine = Engine(migrated)
    engine.empty(NOW - timedelta(days=1), NOW)
    engine.save({"name": "got-mail", "title": "Got mail", "subject": "user", "members": GOT_MAIL})
    engine.tick(NOW - timedelta(minutes=3))
    yield engine
    engine.close()


@pytest.mark.parametrize(
    ("named", "who"), [({}, Identity(ADDRESS, "ada@example.com")), (NAMED, Identity("user", "ada"))]
)
def test_load_between_registration_and_snapshot(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, named: Json, who: Identity
) -> None:
    """A mail to somebody new that is committed when a tick has registered who is new, but sees it, is not forgotten."""
    engine.load([Happening("sparkpost", "", make_event("1", age=90, **named), ())], NOW)
    with monkeypatch.context() as patched:
        patched.setattr(evaluation, "register_touched", lambda _connection: None)
        engine.tick(NOW - timedelta(minutes=1))
    assert engine.read_memberships() == {}
    engine.tick(NOW)
    found = engine.read_memberships()
    assert found == {("got-mail", engine.read_numbers()[who]): [Interval(NOW - timedelta(seconds=90))]}
