"""What happens beside a tick."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from cohort_evaluator import evaluation
from common.activities import ADDRESS, USER, Identity
from common.events import Json
from local.postgres import Postgres
from oracle.telling import Interval
from tests.cohorts.engine import Engine
from tests.cohorts.happenings import Happening
from tests.integration.batches import make_event
from tests.integration.conftest import NOW

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


@pytest.mark.parametrize(("named", "who"), [({}, Identity(ADDRESS, "ada@example.com")), (NAMED, Identity(USER, "ada"))])
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


def test_somebody_whose_past_was_somebody_elses(engine: Engine) -> None:
    """Who lost all that was known of her to another person, but for what is dated ahead, is no member any more."""
    engine.save({"name": "all", "title": "All", "subject": "user", "members": {"share": 1}})
    begin = NOW - timedelta(minutes=2)
    anonymous: Json = {"type": "page", "messageId": "1", "timestamp": "2026-11-21T11:50:00Z", "anonymousId": "a"}
    engine.load([Happening("segment", "batch", anonymous, ())], NOW)
    engine.tick(begin)
    ahead: Json = {"type": "page", "messageId": "2", "timestamp": "2026-11-21T13:00:00Z", "anonymousId": "a"}
    engine.load([Happening("segment", "batch", {**ahead, "userId": "ada"}, ())], NOW)
    engine.tick(NOW - timedelta(minutes=1))
    ada = engine.read_numbers()[Identity(USER, "ada")]
    assert engine.read_memberships()["all", ada] == [Interval(begin)]
    first: Json = {"type": "identify", "timestamp": "2026-11-21T11:40:00Z", "userId": "bob", "anonymousId": "a"}
    engine.load([Happening("segment", "batch", first, ())], NOW)
    engine.tick(NOW)
    assert engine.read_memberships()["all", ada] == [Interval(begin, begin)]


@pytest.mark.parametrize(("path", "is_found"), [("properties.n.x", True), ("properties.m.0", False)])
def test_path_leads_through_objects(engine: Engine, path: str, is_found: bool) -> None:
    """A path's names are those of objects, and not the places of a list."""
    pattern: Json = {"event": "action", "where": {path: "a"}}
    condition: Json = {"did": pattern, "count": {">=": 1}, "window": {"ever": True}}
    engine.save({"name": "found", "title": "Found", "subject": "user", "members": condition})
    done: Json = {"type": "track", "event": "x", "messageId": "1", "timestamp": "2026-11-21T11:59:00Z", "userId": "ada"}
    engine.load([Happening("segment", "batch", {**done, "properties": {"n": {"x": "a"}, "m": ["a"]}}, ())], NOW)
    engine.tick(NOW)
    ada = engine.read_numbers()[Identity(USER, "ada")]
    assert (("found", ada) in engine.read_memberships()) == is_found


def test_deleted_cohort_that_failed(engine: Engine) -> None:
    """A cohort that is deleted, and fails as its members leave, shows no error once they have left."""
    engine.delete("got-mail")
    for statement in range(10, 100):
        engine.fail(NOW, statement)
        if engine.read_errors():
            break
    assert set(engine.read_errors()) == {"got-mail"}
    engine.tick(NOW)
    assert engine.read_errors() == {}
