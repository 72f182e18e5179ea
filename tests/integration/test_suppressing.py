"""Who must not be mailed is kept from whatever is loaded, and the mailer is told."""

import json
from datetime import timedelta
from typing import Any

import pytest

from cohort_evaluator.reading import DefinitionError
from cohort_evaluator.suppressing import add_suppression, remove_suppression
from common.errors import ApiError
from common.events import COMPLAINED
from s3_loader.batches import Batch
from s3_loader.deliveries import load_delivery
from s3_loader.loading import Loader
from s3_loader.suppressing import suppress
from tests.integration.batches import make_batch, make_event, parse
from tests.integration.conftest import NOW, Connect
from tests.integration.test_loading import select

HARD: dict[str, Any] = {"type": "bounce", "bounce_class": "10"}
SOFT: dict[str, Any] = {"type": "bounce", "bounce_class": "20"}
KEPT = "SELECT address, topic, reason, source FROM suppressions WHERE removed_at IS NULL ORDER BY 1, 2"


def load(loader: Any, *events: dict[str, Any], key: str = "one") -> None:
    """Loads a batch of SparkPost's."""
    batch = make_batch(list(events), f"raw/sparkpost/{key}")
    Loader().load(loader, batch, parse(batch), replay=True)


def test_events_suppress_their_recipients(connect: Connect) -> None:
    """Hard bounces, complaints and unsubscribes do, soft bounces and others don't; who sent it plays no part."""
    loader, evaluator = connect("mailwake_loader"), connect("mailwake_evaluator")
    load(
        loader,
        make_event("1", rcpt_to="Hard@example.com", rcpt_meta={"user_id": "u1"}, **HARD),
        make_event("2", rcpt_to="soft@example.com", **SOFT),
        make_event("3", rcpt_to="spam@example.com", type="spam_complaint"),
        make_event("4", rcpt_to="link@example.com", type="link_unsubscribe", event_class="unsubscribe_event"),
        make_event("5", rcpt_to="fine@example.com"),
    )
    kept = [
        ("hard@example.com", "*", "bounced", "sparkpost"),
        ("link@example.com", "*", "unsubscribed", "sparkpost"),
        ("spam@example.com", "*", "complained", "sparkpost"),
    ]
    assert select(evaluator, KEPT) == kept
    ((name, body),) = select(evaluator, "SELECT id, body FROM outbox")
    assert (body["id"], body["kind"]) == (name, "suppression")
    assert [(one["address"], one["topic"], one["reason"], one["source"]) for one in body["entries"]] == kept
    assert body["entries"][0]["at"] == "2026-11-21T11:58:30.000Z"
    assert select(evaluator, "SELECT count(*) FROM suppressions s JOIN events e USING (event_key)") == [(3,)]


def test_it_is_told_once(connect: Connect) -> None:
    """However often a batch is loaded, and whatever else the same address does."""
    loader, evaluator = connect("mailwake_loader"), connect("mailwake_evaluator")
    load(loader, make_event("1", **HARD))
    load(loader, make_event("1", **HARD))
    load(loader, make_event("2", type="spam_complaint"), key="two")
    assert select(evaluator, "SELECT address, reason FROM suppressions") == [("ada@example.com", "bounced")]
    assert select(evaluator, "SELECT count(*) FROM outbox") == [(1,)]


def test_whom_somebody_took_off_the_list_stays_off_until_something_new_happens(connect: Connect) -> None:
    """Events before that suppress no more, events behind it do."""
    loader, evaluator = connect("mailwake_loader"), connect("mailwake_evaluator")
    load(loader, make_event("1", age=300, **HARD))
    with evaluator, evaluator.cursor() as cursor:
        cursor.execute("UPDATE suppressions SET removed_at = %s, removed_by = 'key'", (NOW - timedelta(seconds=200),))
    load(loader, make_event("1", age=300, **HARD))
    load(loader, make_event("2", age=250, **HARD), key="two")
    assert select(evaluator, KEPT) == []
    load(loader, make_event("3", age=100, type="spam_complaint"), key="three")
    assert select(evaluator, KEPT) == [("ada@example.com", "*", COMPLAINED, "sparkpost")]
    assert select(evaluator, "SELECT count(*) FROM outbox") == [(2,)]


def test_many_are_told_in_parts(connect: Connect) -> None:
    """500 in an object."""
    evaluator = connect("mailwake_evaluator")
    entry = {"topic": "*", "reason": "bounced", "source": "ses", "event_at": "2026-11-21T11:00:00.000Z"}
    with (loader := connect("mailwake_loader")), loader.cursor() as cursor:
        cursor.execute(*suppress([{"address": f"a{number}@example.com", **entry} for number in range(1_100)]))
    assert select(evaluator, "SELECT jsonb_array_length(body -> 'entries') FROM outbox ORDER BY 1") == [
        (100,),
        (500,),
        (500,),
    ]


def test_unsubscribe_by_a_link_is_kept(connect: Connect) -> None:
    """For its topic; what is no such report is set aside."""
    loader = connect("mailwake_loader")
    body = {"kind": "unsubscribe", "address": "ada@example.com", "topic": "news", "at": "2026-11-21T12:00:00.000Z"}
    batch = Batch("raw/mailwake/unsubscribe-1", "mailwake", None, None, NOW, json.dumps(body).encode())
    assert load_delivery(loader, batch, replay=False).quarantined == 0
    wrong = batch._replace(object_key="raw/mailwake/unsubscribe-2", body=json.dumps({**body, "at": "now"}).encode())
    assert load_delivery(loader, wrong, replay=False).quarantined == 1
    evaluator = connect("mailwake_evaluator")
    assert select(evaluator, KEPT) == [("ada@example.com", "news", "unsubscribed", "unsubscribe")]


def test_people_change_the_list(connect: Connect) -> None:
    """Each change is told to the mailer with its time; what is older stays without effect."""
    loader, evaluator = connect("mailwake_loader"), connect("mailwake_evaluator")
    assert add_suppression(evaluator, " Ada@example.com", "*", NOW - timedelta(seconds=300), "key")
    assert not add_suppression(evaluator, "ada@example.com", "*", NOW - timedelta(seconds=290), "key")
    assert select(evaluator, KEPT) == [("ada@example.com", "*", "manual", "key")]
    remove_suppression(evaluator, "ada@example.com", "*", NOW - timedelta(seconds=200), "key")
    with pytest.raises(ApiError):
        remove_suppression(evaluator, "ada@example.com", "*", NOW, "key")
    load(loader, make_event("1", age=250, **HARD))
    assert select(evaluator, KEPT) == []
    told = select(evaluator, "SELECT body #> '{entries,0}' FROM outbox ORDER BY body #>> '{entries,0,at}'")
    assert [(one["at"], one.get("removed", False)) for (one,) in told] == [
        ("2026-11-21T11:55:00.000Z", False),
        ("2026-11-21T11:56:40.000Z", True),
    ]
    assert add_suppression(evaluator, "ada@example.com", "*", NOW, "key")
    assert select(evaluator, KEPT) == [("ada@example.com", "*", "manual", "key")]


@pytest.mark.parametrize(
    ("address", "topic"),
    [("ada", "*"), (None, "*"), ("a@b\0", "*"), ("\ud800@b.c", "*"), ("a@b.c", "A"), ("a@b.c", None), ("a@b.c", "")],
)
def test_other_things_are_not_put_on_the_list(connect: Connect, address: object, topic: object) -> None:
    """An address and a topic are."""
    with pytest.raises(DefinitionError):
        add_suppression(connect("mailwake_evaluator"), address, topic, NOW, "key")
