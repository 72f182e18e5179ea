"""Who must not be mailed is kept from whatever is loaded, and the mailer is told."""

import json
from datetime import timedelta
from typing import Any

import pytest

from cohort_evaluator.reading import DefinitionError
from cohort_evaluator.suppressing import add_suppression, remove_suppression
from cohort_evaluator.suppression_lists import add_list, read_list
from common.errors import ApiError
from common.events import COMPLAINED
from s3_loader.batches import Batch
from s3_loader.deliveries import load_delivery
from s3_loader.loading import Loader
from s3_loader.suppressing import suppress
from tests.integration.batches import LIMITS, make_batch, make_event
from tests.integration.conftest import NOW, Connect
from tests.integration.test_loading import select

HARD: dict[str, Any] = {"type": "bounce", "bounce_class": "10"}
SOFT: dict[str, Any] = {"type": "bounce", "bounce_class": "20"}
KEPT = "SELECT address, topic, reason, source FROM suppressions WHERE removed_at IS NULL ORDER BY 1, 2"


def load(loader: Any, *events: dict[str, Any], key: str = "one") -> None:
    """Loads a batch of SparkPost's."""
    batch = make_batch(list(events), f"raw/sparkpost/{key}")
    Loader().load(loader, batch, LIMITS, replay=True)


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


def test_known_addresses_are_found_by_their_index(connect: Connect) -> None:
    """Also by a connection that began when there were next to none, and before any ANALYZE."""
    connection = connect("mailwake_loader")
    for number in range(12):  # Postgres keeps the plan of the first few
        events = [
            make_event(f"{number}{each:02}", rcpt_to=f"{number}.{each}@example.com", **HARD) for each in range(30)
        ]
        load(connection, *events, key=f"bounces-{number}")
    connection.autocommit = True
    read = (
        "SELECT pg_stat_force_next_flush(); SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'suppressions'"
    )
    before = select(connection, read)
    load(connection, make_event("9999", rcpt_to="0.0@example.com", **HARD), key="again")
    select(connection, read)
    assert select(connection, read) == before


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


def test_event_from_ahead_suppresses_no_longer_than_others(connect: Connect) -> None:
    """Its sender's clock is wrong: whoever is taken off the list behind it is off, for the mailer as well."""
    loader, evaluator = connect("mailwake_loader"), connect("mailwake_evaluator")
    event = make_event("1", age=-3600, **HARD)
    load(loader, event)
    assert select(evaluator, f"SELECT event_at = '{NOW}' FROM suppressions") == [(True,)]
    remove_suppression(evaluator, "ada@example.com", "*", NOW + timedelta(seconds=60), "key")
    told = select(evaluator, "SELECT body #> '{entries,0}' FROM outbox ORDER BY body #>> '{entries,0,at}'")
    assert [(one["at"], one.get("removed", False)) for (one,) in told] == [
        ("2026-11-21T12:00:00.000Z", False),
        ("2026-11-21T12:01:00.000Z", True),
    ]
    load(loader, event)
    assert select(evaluator, KEPT) == []


MASKED = "is masked, as it is shown without pii:read: take the list with a key that has it"


def test_masked_addresses_are_not_put_on_the_list(connect: Connect) -> None:
    """They are nobody's. One that got there earlier can be taken off."""
    evaluator = connect("mailwake_evaluator")
    with pytest.raises(DefinitionError) as caught:
        add_suppression(evaluator, "a***@example.com", "*", NOW, "key")
    assert str(caught.value) == f"address: {MASKED}"
    with evaluator, evaluator.cursor() as cursor:
        cursor.execute("INSERT INTO suppressions VALUES ('a***@example.com', '*', 'manual', 'key', now(), NULL, now())")
    remove_suppression(evaluator, "a***@example.com", "*", NOW, "key")
    assert select(evaluator, KEPT) == []


RECIPIENTS: list[dict[str, Any]] = [
    {
        "recipient": "Hard@example.com",
        "type": "transactional",
        "source": "Bounce Rule",
        "updated": "2021-03-02T12:00:00+00:00",
    },
    {"recipient": "spam@example.com", "type": "non_transactional", "source": "Spam Complaint", "created": "2021-03-02"},
    {"recipient": "link@example.com", "type": "non_transactional", "source": "Unsubscribe Link", "subaccount_id": 7},
    {"recipient": "hand@example.com", "transactional": True, "non_transactional": False, "source": "Manually Added"},
    {
        "recipient": "hard@example.com",
        "type": "non_transactional",
        "source": "Bounce Rule",
        "updated": "2021-03-01T12:00:00Z",
    },
]


def add(connection: Any, **given: Any) -> int:
    """Imports a list at NOW."""
    return add_list(connection, read_list(given, NOW, "key"), NOW)


def test_list_of_sparkpost_is_imported_once(connect: Connect) -> None:
    """Both of its types are for every mail; its sources are our reasons; the mailer is told of each address once."""
    evaluator = connect("mailwake_evaluator")
    assert (add(evaluator, recipients=RECIPIENTS), add(evaluator, recipients=RECIPIENTS)) == (4, 0)
    assert select(evaluator, KEPT) == [
        ("hand@example.com", "*", "manual", "sparkpost"),
        ("hard@example.com", "*", "bounced", "sparkpost"),
        ("link@example.com", "*", "unsubscribed", "sparkpost"),
        ("spam@example.com", "*", "complained", "sparkpost"),
    ]
    since = (
        "SELECT event_at::text FROM suppressions WHERE address IN ('hard@example.com', 'spam@example.com') ORDER BY 1"
    )
    assert select(evaluator, since) == [("2021-03-02 00:00:00+00",), ("2021-03-02 12:00:00+00",)]
    ((body,),) = select(evaluator, "SELECT body FROM outbox")
    assert len(body["entries"]) == 4


def test_our_own_list_is_imported(connect: Connect) -> None:
    """With topic, reason and time, where it has them; no time is later than now."""
    evaluator = connect("mailwake_evaluator")
    own = [
        {"address": "ada@example.com"},
        {"address": "ada@example.com", "topic": "news", "reason": "unsubscribed", "event_at": "2999-01-01T00:00:00Z"},
    ]
    assert add(evaluator, entries=own) == 2
    assert select(evaluator, KEPT) == [
        ("ada@example.com", "*", "manual", "key"),
        ("ada@example.com", "news", "unsubscribed", "key"),
    ]
    assert select(evaluator, "SELECT DISTINCT event_at = %s FROM suppressions".replace("%s", f"'{NOW}'")) == [(True,)]


def test_imported_list_leaves_off_whom_somebody_took_off_later(connect: Connect) -> None:
    """By its time; without one it may be older than anything. Events that come later count as ever."""
    loader, evaluator = connect("mailwake_loader"), connect("mailwake_evaluator")
    add(evaluator, recipients=[{"recipient": "ada@example.com"}])
    remove_suppression(evaluator, "ada@example.com", "*", NOW - timedelta(seconds=200), "key")
    older = {"recipient": "ada@example.com", "updated": (NOW - timedelta(seconds=300)).isoformat()}
    assert (add(evaluator, recipients=[older]), add(evaluator, recipients=[{"recipient": "ada@example.com"}])) == (0, 0)
    assert select(evaluator, KEPT) == []
    newer = {"recipient": "ada@example.com", "updated": (NOW - timedelta(seconds=100)).isoformat()}
    assert add(evaluator, recipients=[newer]) == 1
    remove_suppression(evaluator, "ada@example.com", "*", NOW - timedelta(seconds=90), "key")
    load(loader, make_event("1", age=60, **HARD))
    assert select(evaluator, KEPT) == [("ada@example.com", "*", "bounced", "sparkpost")]


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"recipients": [{"recipient": "a@b.c"}, {"recipient": "ada"}]}, "recipients[1].recipient: is an address"),
        ({"recipients": [{"recipient": "a@b.c", "type": "both"}]}, "recipients[0].type: is transactional or"),
        ({"recipients": [{"recipient": "a@b.c", "transactional": False}]}, "recipients[0]: is neither"),
        ({"recipients": [{"recipient": "a@b.c", "updated": "soon"}]}, "recipients[0].updated: is a time"),
        ({"recipients": ["a@b.c"]}, "recipients[0]: is an object"),
        ({"entries": [{"address": "A***@b.c"}]}, f"entries[0].address: {MASKED}"),
        ({"recipients": [{"recipient": "***@b.c"}]}, f"recipients[0].recipient: {MASKED}"),
        ({"entries": [{"address": "a@b.c", "reason": "no"}]}, "entries[0].reason: is one of"),
        ({"entries": [{"address": "a@b.c", "topc": "x"}]}, "entries[0].topc: is unknown"),
        ({"entries": [{"address": "a@b.c", "event_at": 7}]}, "entries[0].event_at: is a time"),
        ({"entries": []}, "entries: is a list of 1 to 10,000"),
        ({"entries": [{"address": "a@b.c"}] * 10_001}, "entries: is a list of 1 to 10,000"),
        ({"recipients": [], "entries": []}, "the list.entries: is unknown"),
    ],
)
def test_list_with_anything_wrong_is_refused_as_a_whole(connect: Connect, given: dict[str, Any], place: str) -> None:
    """With the place; nothing of it is kept."""
    evaluator = connect("mailwake_evaluator")
    with pytest.raises(DefinitionError) as caught:
        add(evaluator, **given)
    assert str(caught.value).startswith(place)
    assert select(evaluator, KEPT) == []
