"""The words of one imaginary SparkPost customer: senders, campaigns, subjects, metadata keys, recipients' companies.

A vocabulary is made from its number alone. The compression dictionary is trained on TRAINING_VOCABULARIES and every
benchmark uses BENCHMARK_VOCABULARY, so that no measured ratio rests on words which the dictionary learnt.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from bench.clients import build_user_agents
from bench.words import KEYS, NOUNS, OPENERS, SYLLABLES, TAGS, THINGS, TRANSACTIONAL

BENCHMARK_VOCABULARY = 1
TRAINING_VOCABULARIES = (101, 102, 103, 104, 105, 106)


@dataclass(frozen=True, kw_only=True)
class Mailing:
    """A campaign or a transactional template of one account."""

    transactional: bool
    campaign_id: str
    template_id: str
    template_version: str
    subject: str  # a format string where transactional
    tags: tuple[str, ...]
    links: tuple[tuple[str, str], ...]  # (link name, URL without the recipient's token)
    ab_test: tuple[str, str] | None  # (ab_test_id, version)


@dataclass(frozen=True, kw_only=True)
class Account:
    """One subaccount: a brand with a sending domain, IPs and habits of its own."""

    brand: str
    domain: str
    subaccount_id: str
    ip_pool: str
    sending_ips: tuple[str, ...]
    bulk_keys: tuple[tuple[str, str], ...]  # (metadata key, kind of value)
    transactional_keys: tuple[tuple[str, str], ...]
    recipient_tags: bool  # tags tell about the recipient (random) rather than about the send
    bulk: tuple[Mailing, ...]
    transactional: tuple[Mailing, ...]


class Vocabulary:
    """Everything that one customer's traffic draws its words from."""

    def __init__(self, number: int) -> None:
        draw = Random(f"vocabulary {number}")
        self.number = number
        self.customer_id = str(draw.randrange(10_000, 400_000))
        self.company_domains = [
            _coin(draw, 3) + draw.choice((".com", ".com", ".io", ".co.uk", ".de", ".org")) for _ in range(900)
        ]
        self.user_agents = build_user_agents(110 + number % 7 * 4)
        self.tags = draw.sample(TAGS, 9)
        self.things = draw.sample(THINGS, 14)
        self._nouns = draw.sample(NOUNS, 26)
        self.accounts = [self._build_account(draw, i) for i in range(6)]

    def _build_account(self, draw: Random, index: int) -> Account:
        brand = _coin(draw, draw.choice((2, 3))).capitalize()
        domain = brand.lower() + draw.choice((".com", ".io", ".shop", ".co"))
        keys = draw.sample(KEYS, 8)
        kinds = ["number", "choice", "choice", "date", "slug"]
        transactional_kinds = ["number", "reference", "choice", "uuid" if index % 3 == 0 else "locale"]
        sender_net = f"{draw.choice((147, 156, 168, 192))}.{draw.randrange(20, 250)}.{draw.randrange(1, 250)}."
        return Account(
            brand=brand,
            domain=domain,
            subaccount_id=str(0 if index == 0 else draw.randrange(1, 900)),
            ip_pool=draw.choice(("default", "dedicated", "shared", "marketing"))
            + ("" if index < 2 else f"-{brand.lower()}"),
            sending_ips=tuple(sender_net + str(draw.randrange(2, 250)) for _ in range(1 + index % 4)),
            bulk_keys=tuple(zip(keys[:4], ["number", *draw.sample(kinds[1:], draw.choice((2, 3)))], strict=False)),
            transactional_keys=tuple(zip(keys[4:], transactional_kinds, strict=True)),
            recipient_tags=index % 2 == 1,
            bulk=tuple(self._build_bulk(draw, domain) for _ in range(40)),
            transactional=tuple(
                self._build_transactional(draw, domain, kind) for kind in draw.sample(TRANSACTIONAL, 6)
            ),
        )

    def _build_bulk(self, draw: Random, domain: str) -> Mailing:
        words = draw.sample(self._nouns, 2)
        campaign = "-".join([*words, f"2026-{draw.randrange(1, 13):02d}", draw.choice(("", "eu", "us", "v2"))]).strip(
            "-"
        )
        thing, other = draw.sample(self.things, 2)
        links = tuple(
            (
                name,
                (
                    f"https://www.{domain}/{draw.choice(words)}/{draw.choice(self.things)}"
                    f"?utm_source=sparkpost&utm_medium=email&utm_campaign={campaign}"
                ),
            )
            for name in ("hero", "cta", "footer", f"{thing} image", "view in browser")
        )
        return Mailing(
            transactional=False,
            campaign_id=campaign,
            template_id="-".join(words),
            template_version=str(draw.randrange(1, 30)),
            subject=f"{draw.choice(OPENERS)} {thing} and {other}",
            links=links,
            tags=tuple(draw.sample(self.tags, draw.choice((0, 1, 2)))),
            ab_test=(f"{words[0]}-test", str(draw.randrange(1, 3))) if draw.random() < 0.1 else None,
        )

    def _build_transactional(self, draw: Random, domain: str, kind: tuple[str, str]) -> Mailing:
        name, subject = kind
        return Mailing(
            transactional=True,
            campaign_id=name if draw.random() < 0.7 else "",
            template_id=f"{name}-{draw.choice(self._nouns)}",
            template_version=str(draw.randrange(1, 60)),
            subject=subject,
            tags=("transactional",) if draw.random() < 0.5 else (),
            links=(
                ("main", f"https://app.{domain}/{name}/"),
                ("help", f"https://help.{domain}/articles/"),
                ("", f"https://{domain}/"),
            ),
            ab_test=None,
        )


def _coin(draw: Random, syllables: int) -> str:
    return "".join(draw.sample(SYLLABLES, syllables))
