"""SparkPost webhook traffic, made from a seed: the bodies that SparkPost would POST, in a plausible order of arrival.

60 of 100 messages belong to bulk campaigns (blasts of 50 to 5,000 messages that share a transmission and a subject), 40 are
transactional (a transmission each, personalised subjects). Every message lives: injection, delay, delivery or bounce, opens,
clicks, complaints, unsubscribes. About 1 KB of JSON an event. `python -m bench.traffic --events N` shows some.
"""

from __future__ import annotations

import argparse
import heapq
import json
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from bench.recipients import Recipient, Recipients, mix
from bench.vocabulary import BENCHMARK_VOCABULARY, Account, Mailing, Vocabulary
from bench.world import PROXY_AGENTS

Event = dict[str, Any]
START = datetime(2026, 10, 5, tzinfo=UTC)
BULK_SHARE = 0.6
EVENTS_PER_MESSAGE = 2.7  # measured; only sets how many days the traffic spreads over
DAYS = 45  # so that any number of events lies in two monthly partitions, three at most


class Traffic:
    """One customer's traffic: yields (arrival, event) pairs without end."""

    def __init__(self, events: int, seed: int, vocabulary: int, start: datetime) -> None:
        self._words = Vocabulary(vocabulary)
        self._draw = Random(f"traffic {seed} {vocabulary}")
        messages = max(60, int(events / EVENTS_PER_MESSAGE))
        self._messages_a_day = max(2, messages // DAYS)
        self._recipients = Recipients(self._words, max(40, messages // 3))
        self._start = int(start.timestamp())
        self._people = self._words.user_agents

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
                for at, kind, event in self._live(moment, account, mailing, transmission):
                    number += 1
                    heapq.heappush(pending, (at + self._lag(), number, kind, event))
            day += 1

    def _lag(self) -> float:
        """Seconds from an event to its batch's POST: mostly under a minute, one in a hundred is retried for up to 8 hours."""
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
            transmission = self._identify(18)
            plan += ((begin + draw.random() * (600 + size), account, mailing, transmission) for _ in range(size))
        for _ in range(self._messages_a_day - int(self._messages_a_day * BULK_SHARE)):
            account = self._words.accounts[int(draw.random() ** 1.4 * 6)]
            mailing = account.transactional[int(draw.random() ** 1.6 * len(account.transactional))]
            hour = draw.triangular(0, 24, 15)
            plan.append((midnight + hour * 3600, account, mailing, self._identify(18)))
        plan.sort(key=lambda item: item[0])
        return plan

    def _identify(self, digits: int) -> str:
        return str(self._draw.randrange(10 ** (digits - 1), 10**digits))

    def _pick_recipient(self) -> Recipient:
        """One message in ten goes to a Zipf head (seed lists, shared boxes); the rest spreads, with a mild skew."""
        population, draw = self._recipients.population, self._draw
        u = draw.random()
        rank = int(population**u) - 1 if draw.random() < 0.1 else int(population * u**1.5)
        return self._recipients.build(rank)

    def _live(
        self, moment: float, account: Account, mailing: Mailing, transmission: str
    ) -> Iterator[tuple[float, str, Event]]:
        """The life of one message: (epoch seconds, class, event) for each thing that happens to it."""
        draw = self._draw
        recipient = self._pick_recipient()
        base = self._describe(moment, account, mailing, transmission, recipient)
        chance = draw.random()
        if chance < 0.002:
            yield moment, *self._refuse(base, recipient, policy=chance < 0.0012)
            return
        size = str(int(4_000 + draw.random() ** 2 * 90_000))
        yield (
            moment,
            "message_event",
            {**base, "type": "injection", "msg_size": size, "recv_method": "rest", **self._stamp(moment)},
        )
        mx = recipient.mx_prefix + str(draw.randrange(20, 40))
        sent = {"msg_size": size, "ip_address": mx, "delv_method": "esmtp", "recv_method": "rest", "outbound_tls": "1"}
        at, retries = moment + 0.4 + draw.random() * 4, 0
        while draw.random() < (0.03 if not retries else 0.55) and retries < 9:
            retries += 1
            yield (
                at,
                "message_event",
                {
                    **base,
                    **sent,
                    **self._explain(recipient, account, recipient.delays),
                    "type": "delay",
                    "num_retries": str(retries),
                    "queue_time": str(int((at - moment) * 1000)),
                    **self._stamp(at),
                },
            )
            at += 600 * 2**retries * (0.9 + draw.random() * 0.2)
        if draw.random() < (0.012 if recipient.bits % 12 else 0.2):
            bounce = {
                **base,
                **sent,
                **self._explain(recipient, account, recipient.bounces),
                "type": "bounce",
                "num_retries": str(retries),
                **self._stamp(at),
            }
            del bounce["outbound_tls"]
            yield at, "message_event", bounce
            return
        yield (
            at,
            "message_event",
            {
                **base,
                **sent,
                "type": "delivery",
                "num_retries": str(retries),
                "queue_time": str(int((at - moment) * 1000)),
                **self._stamp(at),
            },
        )
        if draw.random() < 0.001:
            late = at + draw.random() * 86_400
            yield (
                late,
                "message_event",
                {
                    **base,
                    **sent,
                    **self._explain(recipient, account, recipient.bounces),
                    "type": "out_of_band",
                    **self._stamp(late),
                },
            )
        yield from self._engage(at, account, mailing, recipient, base, size)

    def _engage(
        self, at: float, account: Account, mailing: Mailing, recipient: Recipient, base: Event, size: str
    ) -> Iterator[tuple[float, str, Event]]:
        """Opens, clicks, unsubscribes and complaints of a delivered message."""
        draw = self._draw
        habit = recipient.bits % 100 / 100  # some people open everything, some nothing
        if draw.random() > (0.5 if mailing.transactional else 0.22) * (0.4 + 1.2 * habit):
            return
        track = {**base, "msg_size": size, "delv_method": "esmtp", "num_retries": "0"}
        opened = at + 20 + draw.expovariate(1 / (2_400 if mailing.transactional else 15_000))
        yield (
            opened,
            "track_event",
            {**track, **self._look(recipient, opening=True), "type": "initial_open", **self._stamp(opened)},
        )
        again = opened
        for i in range(int(draw.expovariate(1.8)) + 1):
            again += (0.5 if i == 0 else 0) + draw.random() * (3 if i == 0 else 40_000)
            yield (
                again,
                "track_event",
                {**track, **self._look(recipient, opening=True), "type": "open", **self._stamp(again)},
            )
        while draw.random() < (0.25 if mailing.transactional else 0.11):
            again += 3 + draw.random() * 200
            name, url = mailing.links[int(draw.random() ** 2 * len(mailing.links))]
            if mailing.transactional:
                url += f"{mix(int(again)) & 0xFFFFFFFF:08x}?token={draw.getrandbits(128):032x}"
            yield (
                again,
                "track_event",
                {
                    **track,
                    **self._look(recipient, opening=False),
                    "type": "click",
                    "target_link_name": name,
                    "target_link_url": url,
                    **self._stamp(again),
                },
            )
        if mailing.transactional:
            return
        if draw.random() < 0.006:
            again += 30
            way = draw.random() < 0.5
            parting: Event = {**base, "msg_size": size, "mailfrom": base["msg_from"], **self._stamp(again)}
            if way:
                parting |= {"type": "list_unsubscribe", "ip_address": recipient.mx_prefix + "25"}
            else:
                parting |= {
                    "type": "link_unsubscribe",
                    "target_link_name": "unsubscribe",
                    "delv_method": "esmtp",
                    "ip_address": recipient.ip_address,
                    "target_link_url": f"https://{account.domain}/unsubscribe/{draw.getrandbits(96):024x}",
                    "user_agent": self._people[recipient.bits % len(self._people)][0],
                }
            yield again, "unsubscribe_event", parting
        elif draw.random() < 0.001:
            again += 3_600
            yield (
                again,
                "message_event",
                {
                    **base,
                    "type": "spam_complaint",
                    "fbtype": "abuse",
                    "report_to": f"abuse@{account.domain}",
                    "report_by": f"staff@{recipient.domain}",
                    "msg_size": size,
                    "num_retries": "0",
                    **self._stamp(again),
                },
            )

    def _describe(
        self, moment: float, account: Account, mailing: Mailing, transmission: str, recipient: Recipient
    ) -> Event:
        """The fields that all events of one message share."""
        draw = self._draw
        subject = mailing.subject
        if mailing.transactional:
            subject = subject.format(
                name=recipient.first_name,
                number=draw.randrange(100_000, 10_000_000),
                brand=account.brand,
                amount=f"${draw.randrange(500, 90_000) / 100:.2f}",
                thing=draw.choice(self._words.things),
                day=draw.choice(("Monday", "Tuesday", "Friday")),
                hour=f"{draw.randrange(8, 18)}:00",
            )
        keys = account.transactional_keys if mailing.transactional else account.bulk_keys
        tags = list(mailing.tags)
        if account.recipient_tags and not mailing.transactional:
            tags = [self._words.tags[recipient.bits >> 3 & 7], self._words.tags[8]][: 1 + (recipient.bits >> 6 & 1)]
        day = int(moment) // 86_400
        event: Event = {
            "campaign_id": mailing.campaign_id,
            "customer_id": self._words.customer_id,
            "subaccount_id": account.subaccount_id,
            "friendly_from": f"{'team' if not mailing.transactional else 'no-reply'}@{account.domain}",
            # PRVS: the tag depends on the day and the sending address
            "msg_from": f"msprvs1={day}{mix(day ^ len(account.domain)) & 0xFFFFFFFF:08x}=bounces-{self._words.customer_id}-"
            f"{account.subaccount_id}@bounces.{account.domain}",
            "message_id": f"{draw.getrandbits(80):020x}",
            "transmission_id": transmission,
            "template_id": mailing.template_id,
            "template_version": mailing.template_version,
            "subject": subject,
            "rcpt_to": recipient.address,
            "raw_rcpt_to": recipient.raw_address,
            "rcpt_type": "to",
            "rcpt_meta": {key: self._fill(kind, recipient, moment) for key, kind in keys},
            "rcpt_tags": tags,
            "recipient_domain": recipient.domain,
            "routing_domain": recipient.domain,
            "mailbox_provider": recipient.provider or "Other",
            "mailbox_provider_region": recipient.region or "Other",
            "ip_pool": account.ip_pool,
            "sending_ip": draw.choice(account.sending_ips),
            "open_tracking": True,
            "click_tracking": True,
            "initial_pixel": True,
            "amp_enabled": False,
            "injection_time": datetime.fromtimestamp(int(moment), UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        }
        if not mailing.campaign_id:
            del event["campaign_id"]
        if mailing.transactional:
            event["transactional"] = "1"
        if mailing.ab_test:
            event["ab_test_id"], event["ab_test_version"] = mailing.ab_test
        return event

    def _fill(self, kind: str, recipient: Recipient, moment: float) -> str:
        """A metadata value of the given kind."""
        match kind:
            case "number":
                return str(recipient.bits >> 20 & 0xFFFFFFF)
            case "choice":
                return self._words.things[recipient.bits >> 9 & 7]
            case "date":
                return (datetime(2021, 1, 1, tzinfo=UTC) + timedelta(days=recipient.bits >> 13 & 1023)).strftime(
                    "%Y-%m-%d"
                )
            case "slug":
                return f"{self._words.things[recipient.bits >> 30 & 7]}-{recipient.bits >> 34 & 63}"
            case "locale":
                return ("en-US", "en-GB", "de-DE", "fr-FR", "es-ES")[recipient.bits >> 40 & 3]
            case "reference":
                return f"R{int(moment) % 10**6:06d}-{self._draw.randrange(10**5):05d}"
            case _:
                h = f"{self._draw.getrandbits(128):032x}"
                return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-a{h[17:20]}-{h[20:]}"

    def _stamp(self, at: float) -> Event:
        return {"event_id": self._identify(17 if self._draw.random() < 0.4 else 18), "timestamp": str(int(at))}

    def _explain(self, recipient: Recipient, account: Account, reasons: tuple[tuple[str, str, str], ...]) -> Event:
        """Why a receiver refused: `reason` with the IP address masked, `raw_reason` as it was said."""
        draw = self._draw
        code, bounce_class, text = draw.choice(reasons)
        words = {
            "rcpt": recipient.address,
            "a": f"{draw.getrandbits(56):014x}-20020a",
            "n": str(draw.randrange(10, 10**6)),
        }
        return {
            "error_code": code,
            "bounce_class": bounce_class,
            "reason": text.format(ip="a.b.c.d", **words),
            "raw_reason": text.format(ip=account.sending_ips[0], **words),
        }

    def _look(self, recipient: Recipient, *, opening: bool) -> Event:
        """User agent, address and place of an open or a click; half of the opens are image proxies'."""
        draw = self._draw
        address, geo = recipient.ip_address, recipient.geo
        if opening and recipient.provider in ("Gmail", "G Suite") and recipient.bits % 5 < 3:
            agent, parsed = PROXY_AGENTS[1]
            address = f"66.249.{draw.randrange(64, 96)}.{draw.randrange(256)}"
        elif opening and recipient.provider == "Yahoo":
            agent, parsed = PROXY_AGENTS[2]
        elif opening and recipient.bits % 10 < 4:
            agent, parsed = PROXY_AGENTS[0]
            address = f"104.28.{draw.randrange(30, 160)}.{draw.randrange(256)}"
        else:
            # a person has two devices; popularity of devices is skewed
            pick = mix(recipient.bits + (draw.random() < 0.2)) / 2**64
            agent, parsed = self._people[int(pick**2 * len(self._people))]
        return {"user_agent": agent, "user_agent_parsed": parsed, "geo_ip": geo, "ip_address": address}

    def _refuse(self, base: Event, recipient: Recipient, *, policy: bool) -> tuple[str, Event]:
        """A message that SparkPost itself refused, on policy or while generating it."""
        event = {**base, **self._stamp(datetime.fromisoformat(base["injection_time"]).timestamp()), "error_code": "550"}
        if policy:
            event |= {
                "type": "policy_rejection",
                "bounce_class": "25",
                "remote_addr": "10.90.1.7",
                "reason": "550 5.7.1 recipient address was suppressed due to customer policy",
                "raw_reason": "550 5.7.1 recipient address was suppressed due to customer policy",
            }
            del event["subject"]
            return "message_event", event
        for name in ("message_id", "msg_from", "injection_time", "rcpt_type"):
            del event[name]
        event |= {
            "type": "generation_rejection",
            "bounce_class": "25",
            "rcpt_subs": {"first_name": recipient.first_name},
            "reason": "554 5.7.1 [internal] recipient address suppressed due to hard bounce",
            "raw_reason": "554 5.7.1 [internal] recipient address suppressed due to hard bounce",
        }
        return "gen_event", event


def batches(
    events: int, seed: int = 1, vocabulary: int = BENCHMARK_VOCABULARY, batch_size: int = 350, start: datetime = START
) -> Iterator[bytes]:
    """Yield webhook bodies (JSON array bytes) that hold exactly `events` events, in order of arrival."""
    if start.tzinfo is None:
        raise ValueError("start must be an aware datetime")
    traffic = Traffic(events, seed, vocabulary, start).run()
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
        f"{options.events:,} events, {size / options.events:,.0f} bytes each, {len(messages):,} messages; {len(counts):,} recipients: "
        f"heaviest {counts[0]:,}, median {counts[len(counts) // 2]:,}",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main()
