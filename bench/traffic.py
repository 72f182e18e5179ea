"""SparkPost webhook traffic, made from a seed: the bodies that SparkPost would POST, in a plausible order of arrival.

60 of 100 messages belong to bulk campaigns (blasts of 50 to 5,000 messages that share a transmission and a subject), 40
are transactional (a transmission each, personalised subjects). About 1.2 KB of JSON an event. `python -m bench.traffic
--events N` shows a sample of each event type and, on stderr, the mix.
"""

from __future__ import annotations

import argparse
import heapq
import json
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from random import Random

from bench.messages import Event, Messages
from bench.vocabulary import BENCHMARK_VOCABULARY, Account, Mailing, Vocabulary

START = datetime(2026, 10, 5, tzinfo=UTC)
BULK_SHARE = 0.6
EVENTS_PER_MESSAGE = 2.7  # measured; only sets how many days the traffic spreads over
DAYS = 45  # so that any number of events lies in two monthly partitions, three at most


class Traffic:
    """One customer's traffic: yields (arrival, event) pairs without end."""

    def __init__(self, events: int, seed: int, vocabulary: int, start: datetime, days: int = DAYS) -> None:
        self._words = Vocabulary(vocabulary)
        self._draw = Random(f"traffic {seed} {vocabulary}")
        messages = max(60, int(events / EVENTS_PER_MESSAGE))
        self._messages_a_day = max(2, messages // days)
        self._lives = Messages(self._words, self._draw, max(40, messages // 3))
        self._start = int(start.timestamp())

    def run(self) -> Iterator[tuple[float, str, Event]]:
        """Yield (arrival at our edge, class, event) in order of arrival."""
        pending: list[tuple[float, int, str, Event]] = []
        number = 0
        day = 0
        while True:
            for moment, account, mailing, transmission in self._plan_day(day):
                while pending and pending[0][0] < moment:
                    arrival, _, kind, event = heapq.heappop(pending)
                    yield arrival, kind, event
                for at, kind, event in self._lives.live(moment, account, mailing, transmission):
                    number += 1
                    heapq.heappush(pending, (at + self._lag(), number, kind, event))
            day += 1

    def _lag(self) -> float:
        """Seconds from an event to its batch's POST: under a minute, but one in a hundred is retried for hours."""
        draw = self._draw
        return 5 + draw.random() * 50 if draw.random() < 0.99 else 60 + draw.random() ** 3 * 28_800

    def _plan_day(self, day: int) -> list[tuple[float, Account, Mailing, str]]:
        """The day's messages in time order: (epoch seconds, account, mailing, transmission id)."""
        draw = self._draw
        midnight = self._start + day * 86_400
        plan: list[tuple[float, Account, Mailing, str]] = []
        bulk = int(self._messages_a_day * BULK_SHARE)
        while bulk > 0:
            size = min(bulk, int(50 * 100 ** draw.random()))  # 50 to 5,000, log-uniform
            bulk -= size
            account = self._words.accounts[int(draw.random() ** 1.7 * 6)]
            mailing = account.bulk[int(draw.random() ** 1.3 * len(account.bulk))]
            begin = midnight + 6 * 3600 + draw.random() * 14 * 3600
            transmission = self._lives.identify(18)
            plan += ((begin + draw.random() * (600 + size), account, mailing, transmission) for _ in range(size))
        for _ in range(self._messages_a_day - int(self._messages_a_day * BULK_SHARE)):
            account = self._words.accounts[int(draw.random() ** 1.4 * 6)]
            mailing = account.transactional[int(draw.random() ** 1.6 * len(account.transactional))]
            hour = draw.triangular(0, 24, 15)
            plan.append((midnight + hour * 3600, account, mailing, self._lives.identify(18)))
        plan.sort(key=lambda item: item[0])
        return plan


def batches(
    events: int,
    seed: int = 1,
    vocabulary: int = BENCHMARK_VOCABULARY,
    batch_size: int = 350,
    start: datetime = START,
    days: int = DAYS,
) -> Iterator[bytes]:
    """Yield webhook bodies (JSON array bytes) that hold exactly `events` events of some `days`, in order of arrival."""
    if start.tzinfo is None:
        raise ValueError("start must be an aware datetime")
    traffic = Traffic(events, seed, vocabulary, start, days).run()
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode
    left = events
    while left > 0:
        size = min(left, batch_size)
        left -= size
        yield encode([{"msys": {kind: event}} for _, kind, event in (next(traffic) for _ in range(size))]).encode()


def main() -> None:
    """Print a sample of each event type, the mix and the average size."""
    parser = argparse.ArgumentParser(prog="python -m bench.traffic", description=__doc__)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--vocabulary", type=int, default=BENCHMARK_VOCABULARY)
    options = parser.parse_args()
    samples: dict[str, Event] = {}
    size, types = 0, Counter[str]()
    recipients, messages = Counter[str](), Counter[str]()
    for body in batches(options.events, options.seed, options.vocabulary):
        size += len(body)
        for wrapped in json.loads(body):
            ((kind, event),) = wrapped["msys"].items()
            types[event["type"]] += 1
            recipients[event["rcpt_to"]] += 1
            messages[event.get("message_id", "")] += 1
            samples.setdefault(event["type"], {"msys": {kind: event}})
    for sample in samples.values():
        print(json.dumps(sample, indent=1))
    for name, count in types.most_common():
        print(f"{name:22} {count:9,} {count / options.events:8.3%}", file=sys.stderr)
    counts = sorted(recipients.values(), reverse=True)
    print(
        f"{options.events:,} events, {size / options.events:,.0f} bytes each, {len(messages):,} messages; "
        f"{len(counts):,} recipients: heaviest {counts[0]:,}, median {counts[len(counts) // 2]:,}",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main()
