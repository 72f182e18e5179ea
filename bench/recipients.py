"""Recipients of the imaginary customer: who they are is a function of their rank, so no list has to be held."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from bench.places import build_cities
from bench.receivers import CORPORATE, CORPORATE_WEIGHT, RECEIVERS
from bench.vocabulary import Vocabulary
from bench.words import FAMILY_NAMES, GIVEN_NAMES

_MASK = (1 << 64) - 1
CITIES = build_cities()


@dataclass(frozen=True, slots=True)
class Recipient:
    """One mailbox; `bits` are 64 stable random bits for everything else that must not change between her messages."""

    address: str
    raw_address: str
    first_name: str
    domain: str
    provider: str
    region: str
    mx_prefix: str
    bounces: tuple[tuple[str, str, str], ...]
    delays: tuple[tuple[str, str, str], ...]
    geo: dict[str, object]
    ip_address: str
    bits: int


def mix(value: int) -> int:
    """64 well-mixed bits of an integer (splitmix64's finaliser)."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


class Recipients:
    """The mailing list, addressed by rank; rank 0 gets the most mail."""

    def __init__(self, vocabulary: Vocabulary, population: int) -> None:
        self.population = population
        self._domains = vocabulary.company_domains
        self._salt = mix(vocabulary.number) << 1
        self._receivers = [r for r in RECEIVERS for _ in range(r.weight)]
        self.build = lru_cache(maxsize=20_000)(self._build)

    def _build(self, rank: int) -> Recipient:
        bits = mix(rank ^ self._salt)
        more = mix(bits)
        given, family = GIVEN_NAMES[bits % len(GIVEN_NAMES)], FAMILY_NAMES[(bits >> 8) % len(FAMILY_NAMES)]
        number = (more >> 3) % 9_000
        style = (bits >> 20) % 10
        company = (bits >> 24) % 100 < CORPORATE_WEIGHT
        if company:
            # a third of the companies' people work at the largest twentieth of the companies
            span = len(self._domains) // 20 if more % 3 == 0 else len(self._domains)
            domain = self._domains[(bits >> 40) % span]
            provider, mx_prefix, bounces, delays = CORPORATE[mix(hash_text(domain)) % len(CORPORATE)]
            region = "Global" if provider else ""
            local = f"{given}.{family}" if style < 6 else f"{given[0]}{family}{number % 10 or ''}"
        else:
            receiver = self._receivers[(bits >> 40) % len(self._receivers)]
            domain = receiver.domains[(bits >> 48) % len(receiver.domains)]
            provider, mx_prefix, region = receiver.name, receiver.mx_prefix, receiver.region
            bounces, delays = receiver.bounces, receiver.delays
            local = (
                f"{given}.{family}{number}"
                if style < 4
                else f"{given[0]}{family}{number % 100}"
                if style < 6
                else f"{given}{number}"
                if style < 8
                else f"{family}_{given}{number % 1000}"
            )
        raw = f"{local}@{domain}"
        if style == 9:
            raw = f"{given.capitalize()}.{family.capitalize()}{number % 100}@{domain}"
        return Recipient(
            address=raw.lower(),
            raw_address=raw,
            first_name=given.capitalize(),
            domain=domain,
            provider=provider,
            region=region,
            mx_prefix=mx_prefix,
            bounces=bounces,
            delays=delays,
            geo=CITIES[(more >> 20) % len(CITIES)],
            ip_address=f"{(more >> 32) % 180 + 20}.{(more >> 40) & 255}.{(more >> 48) & 255}.{(more >> 56) & 255}",
            bits=more,
        )


def hash_text(text: str) -> int:
    """A number for a text which, unlike hash(), is the same in every process."""
    return int.from_bytes(text.encode()[:8].ljust(8), "big")
