"""S3 is the log and Postgres an index of it: an emptied database is rebuilt from the raw bucket alone."""

import contextlib
from typing import Any

import psycopg2

from admin.replay import replay
from local.database import empty_tables
from local.stack import Stack
from tests.stack.client import await_true, make_event, make_recipient, post, select

# Everything of an event but the batch that brought it and the time of loading.
EVENT = """
SELECT occurred_at, event_key, kinds.*, mailings.*, receivers.*, clients.*, recipient, message_id, transmission_id,
       metadata::text, reason, url, ip_address, detail, received_at
FROM events JOIN batches USING (batch_id) JOIN kinds USING (kind_key) JOIN mailings USING (mailing_key)
JOIN receivers USING (receiver_key) LEFT JOIN clients USING (client_key)
WHERE recipient = %s ORDER BY occurred_at, event_key
"""
QUARANTINE = "SELECT object_key, item_index, reason, item, received_at FROM quarantine ORDER BY 1, 2"
BATCHES = "SELECT object_key, provider, provider_batch_id, received_at, body_bytes, event_count FROM batches ORDER BY 1"


def read_all(stack: Stack, recipient: str) -> list[list[tuple[Any, ...]]]:
    """What a rebuilt database must have again."""
    events = [
        tuple(bytes(value) if isinstance(value, memoryview) else value for value in row)
        for row in select(stack, EVENT, recipient)
    ]
    return [events, select(stack, QUARANTINE), select(stack, BATCHES)]


def send_replay(stack: Stack) -> int:
    """Replays every object of the raw bucket."""
    return replay(
        stack.client("s3"),
        stack.client("sqs"),
        bucket=stack.name("RawBucket"),
        queue_url=stack.queue_url("LoadQueue"),
    )


def test_emptied_database_is_rebuilt(stack: Stack) -> None:
    """After every table was emptied, a replay of all stored batches gives the same rows as before."""
    recipient = make_recipient()
    for age in range(30):
        events = [make_event(recipient, kind="open", age=age * 86400 + 60, user_agent=f"Mail/{age}")]
        assert post(stack, [*events, make_event(recipient, rcpt_meta={"order": age}), "broken"]) == 200
    stack.await_empty_queue()
    before = read_all(stack, recipient)
    assert len(before[0]) == 60
    with contextlib.closing(psycopg2.connect(stack.database_dsn())) as connection:
        empty_tables(connection)
    assert read_all(stack, recipient) == [[], [], []]
    assert send_replay(stack) >= 30
    stack.await_empty_queue()
    assert read_all(stack, recipient) == before


def test_replay_changes_nothing(stack: Stack) -> None:
    """A replay of what is loaded already leaves every event and every quarantined item as it is."""
    recipient = make_recipient()
    assert post(stack, [make_event(recipient), "broken"]) == 200
    stack.await_empty_queue()
    before = read_all(stack, recipient)
    send_replay(stack)
    stack.await_empty_queue()
    assert read_all(stack, recipient) == before


def test_replayed_dead_letter_is_loaded(stack: Stack) -> None:
    """A single object can be replayed by its key."""
    recipient = make_recipient()
    assert post(stack, [make_event(recipient)]) == 200
    stack.await_empty_queue()
    ((key,),) = select(
        stack, "SELECT object_key FROM batches JOIN events USING (batch_id) WHERE recipient = %s", recipient
    )
    with (
        contextlib.closing(psycopg2.connect(stack.database_dsn())) as connection,
        connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("DELETE FROM events WHERE recipient = %s", (recipient,))
    sent = replay(
        stack.client("s3"),
        stack.client("sqs"),
        bucket=stack.name("RawBucket"),
        queue_url=stack.queue_url("LoadQueue"),
        prefix=key,
    )
    assert sent == 1
    await_true(lambda: len(select(stack, EVENT, recipient)) == 1, "the replayed event")
