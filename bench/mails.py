"""Measures how much of SES's send rate the mailer uses: `python -m bench.mails`. Exits 1 if a target is missed.

The real mailer, in as many processes and with such batches as template.yaml lets Lambda run, sends to a stand-in for
SES over HTTP (bench/mail_cloud.py) that throttles above its rate, and refuses what is above its daily quota.
"""

import argparse
import contextlib
import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from bench.figures import Figure, Target, draw_table
from bench.progress import say
from local.declared import read_queue_consumers
from local.state import PROJECT
from local.template import load_template

RATES: Final = (14, 200)  # what accounts begin with, and what grown ones have
SECONDS: Final = 20.0  # that are counted
WARM_UP: Final = 3.0  # seconds after the first mail
PATIENCE: Final = 90.0  # seconds for what is left then
USED: Final = Target(least=0.9)
NONE: Final = Target(most=0)
BODY: Final[dict[str, Any]] = {
    "kind": "mail",
    "created_at": "2026-11-21T12:00:00.000Z",
    "notification": {
        "name": "first-call",
        "cohort": "first-call-failed",
        "cohort_title": "First call failed",
        "subject": "user",
        "channel": {"mail": {"template": "first-call", "repeat": "once"}},
    },
    "user": {"id": "u1", "address": "ada@example.com", "timezone": None, "traits": {"metadata": {"name": "Ada"}}},
    "company": None,
    "events": [{"event_key": "1", "occurred_at": "2026-11-21T11:59:00.000Z"}],
    "aggregates": {},
    "entered_at": "2026-11-21T11:59:00.000Z",
    "held_out": False,
    "template": {
        "name": "first-call",
        "version": 1,
        "subject": "{{ user.traits.metadata.name }}, your first call met a 400",
        "html": "<p>Hi {{ user.traits.metadata.name }},</p>"
        + "<p>that is quickly mended, and here is how.</p>" * 40
        + "<p><a href='{{ unsubscribe_url }}'>No more of these</a></p>",
        "text": "Hi {{ user.traits.metadata.name }},\n\n{{ unsubscribe_url }}\n",
        "topic": "onboarding",
    },
}


class Told(NamedTuple):
    """What the stand-in tells."""

    now: float
    taken: list[tuple[float, str]]
    throttled: int
    refused: int
    worst: int
    waiting: int
    pauses: dict[str, int]
    states: list[tuple[str, int]]  # of the ledger, with the number of the attempt
    reports: list[tuple[str, int]]


class Mailers:
    """The stand-in and the mailer's processes; `at_once` and `batch_size` are Lambda's, from the template."""

    def __init__(self, rate: int, quota: int = 10_000_000) -> None:
        template = load_template(PROJECT / "template.yaml")
        consumers = read_queue_consumers(template, lambda name, attribute: f"{name}.{attribute}")
        (consumer,) = [one for one in consumers if one.function == "Mailer"]
        self.at_once, self.batch_size = consumer.maximum_concurrency or 1, consumer.batch_size
        self._closing = contextlib.ExitStack()
        self._cloud = self._start([sys.executable, "-m", "bench.mail_cloud"], {}, stdout=subprocess.PIPE)
        assert self._cloud.stdout is not None
        self._port = int(self._cloud.stdout.readline())
        self.tell(rate=rate, quota=quota)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closing.close()

    def start(self) -> None:
        """Starts the mailer's processes."""
        own = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._port}",
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_REGION": "eu-central-1",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "RAW_BUCKET": "raw",
            "LEDGER_TABLE": "ledger",
            "SUPPRESSIONS_TABLE": "suppressions",
            "MAIL_QUEUE_URL": f"http://127.0.0.1:{self._port}/1/mails",
            "NOTIFICATION_SECRET_ID": "notifications",
            "UNSUBSCRIBE_SECRET_ID": "unsubscribe",
            "UNSUBSCRIBE_URL": "https://api.example.com/unsubscribe",
            "SENDER_ADDRESS": "team@example.com",
            "CONFIGURATION_SET": "mails",
            "MAIL_PAUSED": "false",
            "UNKNOWN_SENDS": "report",
        }
        for _ in range(self.at_once):
            self._start([sys.executable, "-m", "bench.mail_worker", str(self._port), str(self.batch_size)], own)

    def _start(self, command: list[str], own: dict[str, str], stdout: int | None = None) -> "subprocess.Popen[bytes]":
        path = os.pathsep.join([str(PROJECT), str(PROJECT / "functions")])
        child = subprocess.Popen(
            command, env={"PATH": os.defpath, "PYTHONPATH": path, **own}, cwd=PROJECT, stdout=stdout
        )
        self._closing.callback(child.wait)
        self._closing.callback(child.kill)
        if child.stdout is not None:
            self._closing.callback(child.stdout.close)
        return child

    def tell(self, **given: Any) -> Told:
        """Changes something of the stand-in; what happened so far."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)) as connection:
            connection.request("POST", "/control", body=json.dumps(given))
            return Told(**json.loads(connection.getresponse().read()))

    def add(self, count: int) -> None:
        """So many mails are due."""
        self.tell(add=[f"mail-1-{number}" for number in range(count)], body=BODY)

    def watch(self, patience: float, **given: Any) -> Iterator[Told]:
        """What happened, again and again, until patience ends."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            yield self.tell(**given)
            time.sleep(0.2)


class Measured(NamedTuple):
    """One rate."""

    rate: int
    processes: int
    used: float  # of the rate
    throttled: int
    worst: int  # mails in one second
    lost: int  # that were never taken
    twice: int  # that were taken more than once
    burnt: int  # whose attempts were used up by throttling


def measure_rate(rate: int, seconds: float = SECONDS, warm_up: float = WARM_UP) -> Measured:
    """Sends for so many seconds at a rate, then the rest."""
    count = round(rate * (seconds + warm_up + 1))
    with Mailers(rate) as mailers:
        mailers.add(count)
        mailers.start()
        told = next(told for told in mailers.watch(30) if told.taken)
        begin = told.taken[0][0] + warm_up
        told = next(told for told in mailers.watch(seconds + warm_up + 30) if told.now >= begin + seconds)
        used = sum(begin <= at < begin + seconds for at, _ in told.taken) / (rate * seconds)
        # What was throttled waits for some seconds, the second time for a minute: nobody needs to watch that.
        told = next((told for told in mailers.watch(PATIENCE, wake=True) if not told.waiting), mailers.tell())
        names = [name for _, name in told.taken]
        return Measured(
            rate=rate,
            processes=mailers.at_once,
            used=used,
            throttled=told.throttled,
            worst=told.worst,
            lost=count - len(set(names)),
            twice=len(names) - len(set(names)),
            burnt=sum(tuple(one) != ("settled", 1) for one in told.states) + count - len(told.states),
        )


class Deferred(NamedTuple):
    """A day that is full."""

    mails: int
    quota: int
    sent: int  # while it was
    deferred: int  # that wait, unclaimed, with all of their attempts
    shortest_pause: int  # seconds
    sent_later: int


def measure_quota(count: int = 60, quota: int = 40, rate: int = 50) -> Deferred:
    """More mails than the day has room for, and the next day."""
    with Mailers(rate, quota) as mailers:
        mailers.add(count)
        mailers.start()
        told = next(told for told in mailers.watch(60) if len(told.pauses) == count - quota)
        deferred = sum(tuple(one) == ("retrying", 0) for one in told.states)
        later = next(told for told in mailers.watch(60, quota=10_000, wake=True) if not told.waiting)
        sent = len({name for _, name in later.taken})
        return Deferred(count, quota, len(told.taken), deferred, min(told.pauses.values()), sent - len(told.taken))


def list_figures(measured: Measured) -> list[Figure]:
    """A rate as figures."""
    name = f"{measured.rate} a second, {measured.processes} processes"
    shown = f"{measured.used * measured.rate:.1f}/s"
    return [
        Figure(name=name, measured=shown, compared=f"{measured.rate}/s", ratio=measured.used, target=USED),
        Figure(name="  most in one second", measured=f"{measured.worst}", compared=f"{measured.rate}"),
        Figure(name="  throttled, and sent later", measured=f"{measured.throttled}"),
        *(
            Figure(name=f"  {word}", measured=f"{value}", value=value, target=NONE)
            for word, value in (
                ("lost", measured.lost),
                ("sent twice", measured.twice),
                ("attempts used up", measured.burnt),
            )
        ),
    ]


def main() -> int:
    """Measures, and draws the table; 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.mails", description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="that are counted at each rate (%(default)s)")
    options = parser.parse_args()
    figures = []
    for rate in RATES:
        say(f"{rate} mails a second, {options.seconds:.0f} s")
        figures += list_figures(measure_rate(rate, options.seconds))
    say("a day that is full")
    day = measure_quota()
    missing = day.mails - day.quota - day.deferred + day.quota - day.sent + day.mails - day.sent - day.sent_later
    figures += [
        Figure(name=f"a quota of {day.quota}, {day.mails} mails", measured=f"{day.sent} sent", compared=f"{day.quota}"),
        Figure(
            name="  deferred, and sent the next day", measured=f"{day.deferred}", compared=f"{day.mails - day.quota}"
        ),
        Figure(name="  shortest deferral", measured=f"{day.shortest_pause / 60:.0f} min"),
        Figure(name="  missing", measured=f"{missing}", value=missing, target=NONE),
    ]
    print(f"\n{draw_table(figures)}")
    return int(any(figure.verdict == "FALLS SHORT" for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
