"""Batch ids that stand for one body: Mailgun's tokens, whose signature does not cover the event."""

import itertools
import json
import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from psycopg2.extensions import connection as Connection

from common.clock import format_instant
from common.objects import StoredObject
from providers import WebhookRequest
from providers.mailgun import find_batch_id
from s3_loader.batches import Batch, read_batch
from s3_loader.loading import USED_ID, Load, Loader, Outcome
from tests.integration.batches import LIMITS
from tests.integration.conftest import NOW, Connect
from tests.integration.test_loading import count, select
from webhook_listener.storage import store


class Stored:
    """Takes what the listener stores, and gives it to the loader as a batch."""

    batch: Batch

    def put_new(self, key: str, body: bytes, metadata: dict[str, str], _digest: str) -> bool:
        """As `Bucket.put_new`."""
        self.batch = read_batch(key, StoredObject(body, metadata))
        return True


def receive(token: str, recipient: str, *, after: float = 0, provider: str = "mailgun", **fields: Any) -> Batch:
    """The batch of a webhook with this token, that arrived so many seconds after NOW."""
    data = {"event": "delivered", "id": "one", "timestamp": NOW.timestamp() - 60, "recipient": recipient} | fields
    signature = {"timestamp": "1795262400", "token": token, "signature": "00"}
    request = WebhookRequest(provider, "POST", {}, json.dumps({"signature": signature, "event-data": data}).encode())
    stored = Stored()
    store(stored, request, NOW + timedelta(seconds=after), "request-1", find_batch_id(request))  # type: ignore[arg-type]
    return stored.batch


def load(connection: Connection, batch: Batch, *, replay: bool = False) -> Load:
    """Loads a batch by a loader that remembers nothing."""
    return Loader().load(connection, batch, LIMITS, replay=replay)


def read_contents(connection: Connection) -> tuple[list[tuple[Any, ...]], ...]:
    """Events, batches and quarantine, as far as they do not depend on when what was loaded."""
    return (
        select(connection, "SELECT recipient FROM events ORDER BY 1"),
        select(connection, "SELECT object_key, event_count, quarantine_count FROM batches ORDER BY 1"),
        select(connection, "SELECT object_key, item_index, reason, received_at FROM quarantine ORDER BY 1, 2"),
    )


def test_another_body_under_a_token_is_set_aside(connect: Connect) -> None:
    """Who holds a signature can't send another event under it: the batch goes to the quarantine as a whole."""
    loader = connect("mailwake_loader")
    genuine, forged = receive("token", "ada@example.com"), receive("token", "eve@example.com", after=5)
    assert (genuine.provider_batch_id, genuine.single_use) == ("token", True)
    assert load(loader, genuine) == Load(Outcome.LOADED, events=1)
    assert load(loader, forged) == Load(Outcome.LOADED, quarantined=1)
    assert select(loader, "SELECT recipient FROM events") == [("ada@example.com",)]
    assert select(loader, "SELECT object_key, item_index, reason FROM quarantine") == [
        (forged.object_key, None, USED_ID)
    ]


def test_same_body_again_is_a_duplicate(connect: Connect) -> None:
    """A redelivery an hour later is another object of the same body: its event is there already, nothing is set aside.

    Even after a forgery under the same token: the first body counts, not the last.
    """
    loader = connect("mailwake_loader")
    batches = [receive("token", "ada@example.com"), receive("token", "eve@example.com", after=5)]
    batches.append(receive("token", "ada@example.com", after=3600))
    assert batches[0].object_key != batches[2].object_key
    loads = [load(loader, batch) for batch in batches]
    assert loads[2] == Load(Outcome.LOADED, events=1, duplicates=1)
    assert count(loader, "events") == 1


def test_other_tokens_and_providers_are_no_matter(connect: Connect) -> None:
    """Each POST has a token of its own; SparkPost's batch ids bind nothing."""
    loader = connect("mailwake_loader")
    batches = [
        receive("token", "ada@example.com"),
        receive("other", "grace@example.com", after=1, id="two"),
        receive("", "linus@example.com", after=2, id="three"),
        receive("", "ken@example.com", after=3, id="four"),
    ]
    assert [load(loader, batch) for batch in batches] == [Load(Outcome.LOADED, events=1)] * 4
    sparkpost = [receive("token", "a@example.com", after=number, provider="sparkpost") for number in (4, 5)]
    assert [(batch.provider_batch_id, batch.single_use) for batch in sparkpost] == [("token", False)] * 2


BATCHES = [
    receive("token", "ada@example.com"),
    receive("token", "eve@example.com", after=5),
    receive("token", "mallory@example.com", after=5, timestamp=NOW.timestamp() - 30),
    receive("token", "ada@example.com", after=3600),
]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))), ids=str)
def test_order_of_loading_is_no_matter(connect: Connect, order: tuple[int, ...]) -> None:
    """What arrived first is right, in whatever order the batches are loaded.

    A copy of the right body may be set aside while the first is not loaded yet; a replay tells it from a forgery.
    """
    loader = connect("mailwake_loader")
    for number in order:
        load(loader, BATCHES[number])
    events, _, quarantine = read_contents(loader)
    assert events == [("ada@example.com",)]
    assert {row[0] for row in quarantine} >= {BATCHES[1].object_key, BATCHES[2].object_key}
    for number in reversed(order):
        load(loader, BATCHES[number], replay=True)
    events, batches, quarantine = read_contents(loader)
    assert events == [("ada@example.com",)]
    assert {key: counts for key, *counts in batches} == {
        BATCHES[0].object_key: [1, 0],
        BATCHES[1].object_key: [0, 1],
        BATCHES[2].object_key: [0, 1],
        BATCHES[3].object_key: [1, 0],
    }
    assert {row[0] for row in quarantine} == {BATCHES[1].object_key, BATCHES[2].object_key}


def test_a_forgery_that_was_loaded_first_does_not_hide_the_event(connect: Connect) -> None:
    """It took the event's id and time, so that the genuine one looked like its duplicate: it makes place."""
    loader = connect("mailwake_loader")
    genuine, forged = receive("token", "ada@example.com"), receive("token", "eve@example.com", after=1)
    assert load(loader, forged).events == 1
    assert load(loader, genuine) == Load(Outcome.LOADED, events=1)
    assert select(loader, "SELECT recipient FROM events") == [("ada@example.com",)]


def test_loaders_at_once_agree(connect: Connect) -> None:
    """Loaders that meet under one token wait for each other: one body is loaded, the others are set aside."""
    batches = [receive("token", f"user{number}@example.com", after=number, id=str(number)) for number in range(6)]
    connections = [connect("mailwake_loader") for _ in batches]
    threads = [threading.Thread(target=load, args=pair) for pair in zip(connections, reversed(batches), strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert select(connections[0], "SELECT recipient FROM events") == [("user0@example.com",)]
    assert count(connections[0], "quarantine") == 5


def test_loaders_may_not_delete(connect: Connect) -> None:
    """The function is all that a loader may do: it deletes what a batch that came first outdates, nothing else."""
    loader = connect("mailwake_loader")
    load(loader, receive("token", "ada@example.com"))
    later = receive("token", "eve@example.com", after=1)
    claim = (later.provider, later.provider_batch_id, later.received_at, later.object_key, "")
    assert select(loader, "SELECT claim_batch_id(%s, %s, %s, %s, %s)", *claim) == [(False,)]
    assert count(loader, "events") == 1
    privileges = "SELECT has_table_privilege('mailwake_loader', 'events', 'DELETE')"
    assert select(loader, privileges) == [(False,)]
    public = (
        "SELECT has_function_privilege('mailwake_query', 'claim_batch_id(text,text,timestamptz,text,text)', 'EXECUTE')"
    )
    assert select(loader, public) == [(False,)]


def test_time_of_arrival_is_the_listeners() -> None:
    """A sender can't make its batch look older."""
    batch = receive("token", "ada@example.com", timestamp=0)
    assert format_instant(batch.received_at) == format_instant(datetime.fromisoformat("2026-11-21T12:00:00Z"))
