"""The life of one message as SparkPost tells it: injection, delays, delivery or bounce, opens, clicks, complaints."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from random import Random
from typing import Any

from bench.clients import PROXY_AGENTS
from bench.metadata import make_value
from bench.recipients import Recipient, Recipients, mix
from bench.vocabulary import Account, Mailing, Vocabulary

Event = dict[str, Any]
Told = tuple[float, str, Event]  # epoch seconds, SparkPost's class, the event's fields
# The classes of the types that are not message events.
CLASSES = {
    "initial_open": "track_event",
    "open": "track_event",
    "click": "track_event",
    "generation_rejection": "gen_event",
    "list_unsubscribe": "unsubscribe_event",
    "link_unsubscribe": "unsubscribe_event",
}
OUTBOUND_TLS: Event = {"outbound_tls": "1"}


class Messages:
    """Makes the events of messages, from one random stream."""

    def __init__(self, words: Vocabulary, draw: Random, population: int) -> None:
        self._words = words
        self._draw = draw
        self._recipients = Recipients(words, population)
        self._people = words.user_agents

    def _pick_recipient(self) -> Recipient:
        """One message in ten goes to a Zipf head (seed lists, shared boxes); the rest spreads, with a mild skew."""
        population, draw = self._recipients.population, self._draw
        u = draw.random()
        rank = int(population**u) - 1 if draw.random() < 0.1 else int(population * u**1.5)
        return self._recipients.build(rank)

    def live(self, moment: float, account: Account, mailing: Mailing, transmission: str) -> Iterator[Told]:
        """All that happens to one message that is handed in at `moment` (epoch seconds)."""
        draw = self._draw
        recipient = self._pick_recipient()
        base = self._describe(moment, account, mailing, transmission, recipient)
        chance = draw.random()
        if chance < 0.002:
            yield self._refuse(moment, base, recipient, policy=chance < 0.0012)
            return
        size = {"msg_size": str(int(4_000 + draw.random() ** 2 * 90_000))}
        yield self._tell(moment, "injection", base, size, {"recv_method": "rest"})
        mx = recipient.mx_prefix + str(draw.randrange(20, 40))
        sent = base | size | {"ip_address": mx, "delv_method": "esmtp", "recv_method": "rest"}
        at, retries = moment + 0.4 + draw.random() * 4, 0
        while draw.random() < (0.03 if not retries else 0.55) and retries < 9:
            retries += 1
            why = self._explain(recipient, account, recipient.delays)
            yield self._tell(at, "delay", sent, OUTBOUND_TLS, why, _count(retries, at - moment))
            at += 600 * 2**retries * (0.9 + draw.random() * 0.2)
        if draw.random() < (0.012 if recipient.bits % 12 else 0.2):
            why = self._explain(recipient, account, recipient.bounces)
            yield self._tell(at, "bounce", sent, why, {"num_retries": str(retries)})
            return
        yield self._tell(at, "delivery", sent, OUTBOUND_TLS, _count(retries, at - moment))
        if draw.random() < 0.001:
            late = at + draw.random() * 86_400
            yield self._tell(late, "out_of_band", sent, self._explain(recipient, account, recipient.bounces))
        yield from self._engage(at, account, mailing, recipient, base | size)

    def _engage(
        self, at: float, account: Account, mailing: Mailing, recipient: Recipient, base: Event
    ) -> Iterator[Told]:
        """Opens, clicks, unsubscribes and complaints of a delivered message."""
        draw = self._draw
        habit = recipient.bits % 100 / 100  # some people open everything, some nothing
        if draw.random() > (0.5 if mailing.transactional else 0.22) * (0.4 + 1.2 * habit):
            return
        track = base | {"delv_method": "esmtp", "num_retries": "0"}
        at += 20 + draw.expovariate(1 / (2_400 if mailing.transactional else 15_000))
        yield self._tell(at, "initial_open", track, self._look(recipient, opening=True))
        for i in range(int(draw.expovariate(1.8)) + 1):
            at += (0.5 if i == 0 else 0) + draw.random() * (3 if i == 0 else 40_000)
            yield self._tell(at, "open", track, self._look(recipient, opening=True))
        while draw.random() < (0.25 if mailing.transactional else 0.11):
            at += 3 + draw.random() * 200
            name, url = mailing.links[int(draw.random() ** 2 * len(mailing.links))]
            if mailing.transactional:
                url += f"{mix(int(at)) & 0xFFFFFFFF:08x}?token={draw.getrandbits(128):032x}"
            link = {"target_link_name": name, "target_link_url": url}
            yield self._tell(at, "click", track, self._look(recipient, opening=False), link)
        if not mailing.transactional:
            yield from self._part(at, account, recipient, base)

    def _part(self, at: float, account: Account, recipient: Recipient, base: Event) -> Iterator[Told]:
        """An unsubscribe or a complaint, now and then."""
        draw = self._draw
        chance = draw.random()
        if chance < 0.003:
            how = {"mailfrom": base["msg_from"], "ip_address": recipient.mx_prefix + "25"}
            yield self._tell(at + 30, "list_unsubscribe", base, how)
        elif chance < 0.006:
            how = {
                "mailfrom": base["msg_from"],
                "target_link_name": "unsubscribe",
                "target_link_url": f"https://{account.domain}/unsubscribe/{draw.getrandbits(96):024x}",
                "delv_method": "esmtp",
                "ip_address": recipient.ip_address,
                "user_agent": self._people[recipient.bits % len(self._people)][0],
            }
            yield self._tell(at + 30, "link_unsubscribe", base, how)
        elif chance < 0.007:
            how = {"fbtype": "abuse", "report_to": f"abuse@{account.domain}", "report_by": f"staff@{recipient.domain}"}
            yield self._tell(at + 3_600, "spam_complaint", base, how, {"num_retries": "0"})

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
            "msg_from": f"msprvs1={day}{mix(day ^ len(account.domain)) & 0xFFFFFFFF:08x}="
            f"bounces-{self._words.customer_id}-"
            f"{account.subaccount_id}@bounces.{account.domain}",
            "message_id": f"{draw.getrandbits(80):020x}",
            "transmission_id": transmission,
            "template_id": mailing.template_id,
            "template_version": mailing.template_version,
            "subject": subject,
            "rcpt_to": recipient.address,
            "raw_rcpt_to": recipient.raw_address,
            "rcpt_type": "to",
            "rcpt_meta": {key: make_value(kind, recipient, moment, draw, self._words.things) for key, kind in keys},
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

    def _tell(self, at: float, kind: str, *parts: Event) -> Told:
        """One event of the given type, with an id and its time."""
        event: Event = {}
        for part in parts:
            event |= part
        digits = 17 if self._draw.random() < 0.4 else 18
        event |= {"type": kind, "event_id": self.identify(digits), "timestamp": str(int(at))}
        return at, CLASSES.get(kind, "message_event"), event

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

    def _refuse(self, at: float, base: Event, recipient: Recipient, *, policy: bool) -> Told:
        """A message that SparkPost itself refused, on policy or while generating it."""
        if policy:
            why = "550 5.7.1 recipient address was suppressed due to customer policy"
            left = {"subject"}
            more: Event = {"error_code": "550", "remote_addr": "10.90.1.7"}
        else:
            why = "554 5.7.1 [internal] recipient address suppressed due to hard bounce"
            left = {"message_id", "msg_from", "injection_time", "rcpt_type"}
            more = {"error_code": "554", "rcpt_subs": {"first_name": recipient.first_name}}
        kept = {name: value for name, value in base.items() if name not in left}
        reasons = {"bounce_class": "25", "reason": why, "raw_reason": why}
        return self._tell(at, "policy_rejection" if policy else "generation_rejection", kept, more, reasons)

    def identify(self, digits: int) -> str:
        """A decimal id of so many digits."""
        return str(self._draw.randrange(10 ** (digits - 1), 10**digits))


def _count(retries: int, seconds: float) -> Event:
    return {"num_retries": str(retries), "queue_time": str(int(seconds * 1000))}
