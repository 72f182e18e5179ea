"""The demonstration: a tour of all providers, then a recipient's mail, from the POSTs to what a support rep reads."""

import base64
import contextlib
import copy
import http.client
import json
import tempfile
import threading
import time
import urllib.parse
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2

from local import sns
from local.cohort_tour import SENDER
from local.database import Counts, count_rows
from local.receiver import Receiver
from local.stack import Stack
from local.state import PROJECT
from local.telling import tell_people
from local.timelines import draw_recipient
from local.tour import KEPT_MONTHS, Stop, build_target, draw_tour, plan_tour
from local.usage_tour import await_usage, draw_usage, make_calls, send_calls

SAMPLES = PROJECT / "tests" / "payloads" / "sparkpost" / "webhook-samples.json"
RECIPIENT = "recipient@example.com"
SES = "amazon_ses"
BATCH_SIZE = 5
LOAD_PATIENCE_S = 60.0

# When each type happens, in minutes after the message was injected, so that the timeline reads like one message's life.
MINUTES = {
    "injection": 0,
    "policy_rejection": 1,
    "generation_failure": 2,
    "generation_rejection": 3,
    "delay": 5,
    "sms_status": 6,
    "delivery": 9,
    "open": 31,
    "click": 32,
    "bounce": 40,
    "out_of_band": 44,
    "spam_complaint": 58,
    "list_unsubscribe": 59,
    "link_unsubscribe": 61,
    "relay_injection": 70,
    "relay_rejection": 71,
    "relay_tempfail": 74,
    "relay_delivery": 78,
    "relay_permfail": 79,
}
LIFE = timedelta(minutes=90)
# The samples are all of one message. What no message lives through together is told of others.
OTHER_MESSAGES = {"bounce": "2", "out_of_band": "3", "policy_rejection": "4"}

# What no parser can read: a time that is none, and an element that is no event.
BROKEN: tuple[Any, ...] = (
    {"msys": {"message_event": {"type": "delivery", "event_id": "1", "timestamp": "not-a-time", "rcpt_to": RECIPIENT}}},
    "not an event",
)


class DemoError(Exception):
    """The stack answered something that it must not."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """The last line."""

    sent: int  # elements of all arrays that were posted
    loaded: int  # events in the database, each once
    duplicates: int  # events that came again, whether the edge or the loader saw it
    quarantined: int
    returned: int  # events that the API knows of the recipient

    def __str__(self) -> str:
        return " ".join(f"{name}={value}" for name, value in vars(self).items())


def run_demo(*, port: int, stopped: threading.Event) -> int:
    """Runs it all on a stack of its own; gives the exit code."""
    steps = Steps()
    tour = plan_tour(datetime.now(UTC))
    unproven = [stop.provider for stop in tour if not stop.secrets and stop.provider != SES]
    parameters = {
        "UnsignedProviders": ",".join(unproven),
        "RetentionMonths": KEPT_MONTHS,
        "MaxEventAgeDays": KEPT_MONTHS * 31,
        "SenderAddress": SENDER,
        "SenderIdentity": SENDER,
    }
    with contextlib.ExitStack() as closing:
        folder = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="mailwake-demo-")))
        receiver = closing.enter_context(Receiver(folder))
        parameters["InternalWebhookHosts"] = receiver.host
        trusted = {"Mailer.Environment.Variables.SSL_CERT_FILE": str(receiver.certificate)}
        stack = closing.enter_context(Stack(port=port, say=steps.say, parameters=parameters, overrides=trusted))
        steps.say(f"the stack is up at {stack.url}")
        add_secrets(stack, tour)
        for stop in tour:
            post_stop(stack, stop)
        toured = sum(len(stop.events) for stop in tour)
        steps.say(f"{len(tour)} providers posted {toured} events, {len(unproven)} without proof: {', '.join(unproven)}")
        events = prepare_events(json.loads(SAMPLES.read_text()), now=datetime.now(UTC))
        batches = [events[start : start + BATCH_SIZE] for start in range(0, len(events), BATCH_SIZE)]
        repeated = batches[1]
        posts: list[Sequence[Any]] = [*batches[:2], repeated, *batches[2:], BROKEN]
        for number, batch in enumerate(posts, 1):
            again = " (the same batch again)" if number == 3 else " (broken events)" if batch is BROKEN else ""
            post_batch(stack, batch, batch_id=uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(batch)).hex)
            steps.say(f"posted batch {number} of {len(posts)}: {len(batch)} events{again}")
        sent = toured + sum(len(batch) for batch in posts)
        expected = Figures(
            sent=sent,
            loaded=toured + len(events),
            duplicates=len(repeated),
            quarantined=len(BROKEN),
            returned=sum(rcpt_of(event) == RECIPIENT for event in events)
            + sum(event.recipient == RECIPIENT for stop in tour for event in stop.events),
        )
        counts = await_load(stack, expected, stopped)
        steps.say(f"loaded {counts.events} events of {counts.batches} stored batches")
        told = query_events(stack, tour)
        named = {event["provider"] for event in told}
        steps.say(f"one query returned {len(told)} events of {len(named)} providers; the words are each provider's own")
        print(f"\n{draw_tour(told)}\n")
        found = query_recipient(stack)
        returned = sum(message["event_count"] for message in found["messages"]) + len(found["other_events"])
        steps.say(f"the API returned {returned} events of {RECIPIENT}, in {len(found['messages'])} messages")
        print(f"\n{draw_recipient(found)}\n")
        calls = make_calls(datetime.now(UTC))
        status = send_calls(stack, calls)
        steps.say(f"posted {len(calls)} API calls of a few companies: {status}")
        usage = await_usage(stack, len(calls), LOAD_PATIENCE_S)
        steps.say(f"the API counts {usage['total']['calls']} calls; the companies, and how many of their calls fail")
        print(f"\n{draw_usage(usage)}\n")
        told_all = tell_people(stack, receiver, steps)
        # The edge keeps a body that comes again once: what it was sent but the loader never saw are duplicates too.
        unseen = sent - counts.parsed - counts.quarantined
        figures = Figures(
            sent=sent,
            loaded=counts.events,
            duplicates=counts.duplicates + unseen,
            quarantined=counts.quarantined,
            returned=returned,
        )
        steps.say("stopping")
    if usage["total"]["calls"] != len(calls):
        print(f"{usage['total']['calls']} of {len(calls)} API calls were counted")
    missing = {stop.provider for stop in tour} - named
    if missing:
        print(f"nothing came back of {', '.join(sorted(missing))}")
    if figures != expected:
        print(f"these figures are wrong; they must be {expected}")
    print(f"demo: {figures}", flush=True)
    is_whole = figures == expected and usage["total"]["calls"] == len(calls)
    return 0 if is_whole and told_all and not missing else 1


def post_samples(stack: Stack) -> None:
    """Posts what happened to RECIPIENT, as if it just had, for who looks at the console first."""
    events = prepare_events(json.loads(SAMPLES.read_text()), now=datetime.now(UTC))
    post_batch(stack, events, batch_id=uuid.uuid4().hex)


class Steps:
    """Lines of progress, each with the time since the start."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def say(self, message: str) -> None:
        """Prints one."""
        print(f"{time.monotonic() - self._began:6.2f} s  {message}", flush=True)


def prepare_events(samples: Sequence[dict[str, Any]], *, now: datetime) -> list[dict[str, Any]]:
    """The samples as events that just happened: each with its own event id (where it has one) and its own time."""
    start = (now - LIFE).replace(second=0, microsecond=0)
    first_id = int(start.timestamp() * 1_000_000_000)  # of as many digits as SparkPost's, and new with every run
    events = copy.deepcopy(list(samples))
    for number, event in enumerate(events):
        fields = fields_of(event)
        happened = start + timedelta(minutes=MINUTES.get(fields["type"], 0), seconds=number * 7 % 60)
        fields["timestamp"] = int(happened.timestamp())
        if "event_id" in fields:
            fields["event_id"] = str(first_id + number)
        if "message_id" in fields and fields["type"] in OTHER_MESSAGES:
            fields["message_id"] = f"{fields['message_id'][:-1]}{OTHER_MESSAGES[fields['type']]}"
    return sorted(events, key=lambda event: int(fields_of(event)["timestamp"]))


def fields_of(event: dict[str, Any]) -> dict[str, Any]:
    """An event's own fields, out of {"msys": {class: fields}}."""
    fields: dict[str, Any] = next(iter(event["msys"].values()))
    return fields


def rcpt_of(event: dict[str, Any]) -> str | None:
    """Whom an event is about."""
    return fields_of(event).get("rcpt_to")


def post_batch(stack: Stack, batch: Sequence[Any], *, batch_id: str) -> None:
    """Posts one batch as SparkPost does; raises DemoError unless it is answered 200."""
    credentials = base64.b64encode(":".join(stack.webhook_auth).encode()).decode()
    headers = {
        "Authorization": f"Basic {credentials}",
        "Content-Type": "application/json",
        "X-MessageSystems-Batch-ID": batch_id,
    }
    status, body = send(stack.port, "POST", "/webhooks/sparkpost", headers=headers, body=json.dumps(batch).encode())
    if status != 200:
        raise DemoError(f"the webhook answered {status}: {body.decode(errors='replace')}")


def add_secrets(stack: Stack, tour: Sequence[Stop]) -> None:
    """Sets the providers of the tour up: their secrets beside SparkPost's password."""
    secret_id = stack.name("WebhookSecret")
    client = stack.client("secretsmanager")
    secrets: dict[str, Any] = json.loads(client.get_secret_value(SecretId=secret_id)["SecretString"])
    secrets |= {stop.provider: stop.secrets for stop in tour if stop.secrets and stop.provider not in secrets}
    client.put_secret_value(SecretId=secret_id, SecretString=json.dumps(secrets))


def post_stop(stack: Stack, stop: Stop) -> None:
    """Sends a provider's samples as it does; raises DemoError unless each is answered 200."""
    for payload in stop.payloads:
        request = payload.request
        headers = {name: value for name, value in request.headers.items() if name != "content-length"}
        posted = sns.Posted(headers, request.body)
        if stop.provider == SES:  # by the stack's own topic, whose signature is checked
            posted = sns.post_again(request, stack.mail_events_topic, datetime.now(UTC))
        target = build_target(payload)
        status, body = send(stack.port, request.method, target, headers=posted.headers, body=posted.body)
        if status != 200:
            raise DemoError(f"{payload.name} was answered {status}: {body.decode(errors='replace')}")


def query_events(stack: Stack, tour: Sequence[Stop]) -> list[dict[str, Any]]:
    """All events from the oldest of the tour on, of all providers, by one query."""
    now = datetime.now(UTC)
    since = min((event.occurred_at for stop in tour for event in stop.events), default=now - LIFE)
    times = {"from": f"{since:%Y-%m-%dT%H:%M:%SZ}", "to": f"{now + LIFE:%Y-%m-%dT%H:%M:%SZ}"}
    query = urllib.parse.urlencode({**times, "per_page": 10_000})
    target = f"/api/v1/events/message?{query}"
    status, body = send(stack.port, "GET", target, headers={"Authorization": stack.api_key})
    if status != 200:
        raise DemoError(f"the API answered {status}: {body.decode(errors='replace')}")
    results: list[dict[str, Any]] = json.loads(body)["results"]
    return results


def send(port: int, method: str, target: str, *, headers: dict[str, str], body: bytes = b"") -> tuple[int, bytes]:
    """One HTTP request to the stack; gives status and body."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=40)) as connection:
        connection.request(method, target, body=body or None, headers=headers)
        response = connection.getresponse()
        return response.status, response.read()


def await_load(stack: Stack, expected: Figures, stopped: threading.Event) -> Counts:
    """Waits until all is loaded and the queue empty, or gives up; gives what is there."""
    deadline = time.monotonic() + LOAD_PATIENCE_S
    with contextlib.closing(psycopg2.connect(stack.database_dsn())) as connection:
        while True:
            counts = count_rows(connection)
            complete = counts.events >= expected.loaded and counts.quarantined >= expected.quarantined
            if (complete and not stack.count_messages("LoadQueue")) or time.monotonic() > deadline:
                return counts
            if stopped.wait(0.05):
                return counts


def query_recipient(stack: Stack) -> dict[str, Any]:
    """What the API says of the recipient, over as many pages as there are."""
    target = f"/api/v1/recipients/{urllib.parse.quote(RECIPIENT)}?per_page=3"
    found: dict[str, Any] = {"messages": [], "other_events": []}
    while target:
        status, body = send(stack.port, "GET", target, headers={"Authorization": stack.api_key})
        if status != 200:
            raise DemoError(f"the API answered {status}: {body.decode(errors='replace')}")
        page = json.loads(body)
        lists = {name: found[name] + page["results"][name] for name in ("messages", "other_events")}
        found = {**page["results"], **lists}
        target = page["links"].get("next", "")
    return found
