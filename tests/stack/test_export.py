import gzip
import json
import time
import urllib.parse
import urllib.request

from local.stack import Stack
from tests.stack.client import await_events, call, make_event, make_recipient, post


def test_export_of_more_than_an_answer_holds(stack: Stack) -> None:
    """Asked for, waited for, fetched by its link without a key: every event once, newest first, metadata and all.

    Asked again, it is the same export.
    """
    recipient = make_recipient()
    # Two seconds apart: while they are made the clock may go on by one.
    events = [make_event(recipient, age=120 + 2 * n, rcpt_meta={"note": f"{n:06} " * 300}) for n in range(3_000)]
    for begin in range(0, len(events), 500):
        assert post(stack, events[begin : begin + 500]) == 200
    await_events(stack, recipient, 3_000, patience=90)
    target = f"/api/v1/export?{urllib.parse.urlencode({'recipients': recipient})}"
    headers = {"Authorization": stack.api_key, "Accept-Encoding": "identity"}
    status, answered, body = call(stack, "GET", target, headers=headers)
    assert (status, answered["retry-after"]) == (202, "5"), body[:300]
    asked = json.loads(body)
    deadline = time.monotonic() + 60
    while status == 202 and time.monotonic() < deadline:
        time.sleep(0.5)
        status, _, body = call(stack, "GET", target, headers=headers)
    found = json.loads(body)
    assert (status, found["state"], found["events"]) == (200, "done", 3_000)
    assert found["id"] == asked["id"]
    with urllib.request.urlopen(found["url"]) as response:
        assert response.headers["content-type"] == "application/gzip"
        packed = response.read()
    assert len(packed) == found["bytes"]
    rows = [json.loads(line) for line in gzip.decompress(packed).splitlines()]
    ids = [event["msys"]["message_event"]["event_id"] for event in events]
    assert [row["event_id"] for row in rows] == ids
    assert rows[7]["rcpt_meta"] == {"note": "000007 " * 300}


def test_small_export_is_answered_at_once(stack: Stack) -> None:
    """CSV of a few events, with their columns."""
    recipient = make_recipient()
    post(stack, [make_event(recipient)])
    await_events(stack, recipient, 1)
    target = f"/api/v1/export?{urllib.parse.urlencode({'recipients': recipient, 'format': 'csv'})}"
    status, answered, body = call(stack, "GET", target, headers={"Authorization": stack.api_key})
    assert (status, answered["content-type"]) == (200, "text/csv; charset=utf-8")
    assert recipient.encode() in body
