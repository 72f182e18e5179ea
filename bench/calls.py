"""Generated API calls in the shape of Moesif's client libraries: an imaginary API with its customers, from a number.

As with mails' traffic, the dictionary learns from other APIs than the one that is measured.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from bench.traffic import START
from bench.words import NOUNS, SYLLABLES, THINGS

DAYS = 14
LANGUAGES = ("python", "node", "go", "java", "ruby", "php")
METHODS = ("GET", "GET", "GET", "GET", "POST", "POST", "PUT", "DELETE")
STATUSES = (200,) * 80 + (201,) * 8 + (204,) * 3 + (400, 401, 403, 404, 404, 409, 422, 429, 500)
REGIONS = ("eu-west-1", "us-east-1", "us-west-2", "ap-south-1")
PLANS = ("free", "pro", "scale", "enterprise")


class Api:
    """An API and who uses it."""

    def __init__(self, number: int) -> None:
        self.random = random = Random(number)
        self.name = "".join(random.sample(SYLLABLES, 2))
        self.host = f"api.{self.name}.com"
        nouns = random.sample([word.lower().replace(" ", "-") for word in (*NOUNS, *THINGS)], 12)
        self.routes = [(random.choice(METHODS), noun, random.random() < 0.6) for noun in nouns for _ in range(3)]
        self.agents = [
            f"{self.name}-{language}/{major}.{random.randrange(20)}.{random.randrange(9)}"
            for language in LANGUAGES
            for major in (1, 2)
        ]
        self.companies = [f"{''.join(random.sample(SYLLABLES, 3))}-{random.randrange(1000)}" for _ in range(400)]
        self.keys = random.sample(("region", "plan", "cluster", "tenant", "release", "feature", "endpoint"), 3)

    def make_call(self, time: datetime) -> dict[str, Any]:
        """A call at a time; few customers make most of them."""
        random = self.random
        method, noun, single = random.choice(self.routes)
        customer = min(int(random.paretovariate(0.8)), len(self.companies)) - 1
        user = f"{self.companies[customer]}:{min(int(random.paretovariate(1.0)), 40)}"
        status = random.choice(STATUSES)
        path = f"/v1/{noun}" + (f"/{random.randrange(10**7)}" if single else "")
        query = f"?page={random.randrange(1, 30)}&limit=50" if not single and method == "GET" else ""
        took = timedelta(milliseconds=int(random.lognormvariate(3.8, 0.7)))
        values = {"region": REGIONS[customer % 4], "plan": PLANS[customer % 3]}
        body: dict[str, Any] = {}
        if status >= 400:
            body["body"] = {"error": {"code": f"{noun}_{status}", "message": f"The {noun} could not be used."}}
        return {
            "request": {
                "time": show(time),
                "uri": f"https://{self.host}{path}{query}",
                "verb": method,
                "headers": {
                    "Host": self.host,
                    "User-Agent": self.agents[(customer * 7 + random.randrange(2)) % len(self.agents)],
                    "Accept": "application/json",
                    "Accept-Encoding": "gzip, deflate",
                    "Connection": "keep-alive",
                    "X-Forwarded-Proto": "https",
                },
                "ip_address": f"203.0.{customer % 256}.{random.randrange(4)}",
                "api_version": "2026-10-01",
            },
            "response": {
                "time": show(time + took),
                "status": status,
                "headers": {
                    "Content-Type": "application/json; charset=utf-8",
                    "Content-Length": str(random.randrange(40, 9000)),
                    "Cache-Control": "no-store",
                },
                **body,
            },
            "user_id": user,
            "company_id": self.companies[customer],
            "transaction_id": str(UUID(int=random.getrandbits(128), version=4)),
            "direction": "Incoming",
            "metadata": {key: values.get(key, f"{key}-{customer % 9}") for key in self.keys},
        }


def show(time: datetime) -> str:
    """As JavaScript does."""
    return time.isoformat(timespec="milliseconds")[:23] + "Z"


def write_calls(number: int, calls: int, size: int, days: float = DAYS) -> Iterator[bytes]:
    """Bodies of so many calls each, in the order of time."""
    api, step = Api(number), timedelta(days=days) / calls
    for first in range(0, calls, size):
        times = [START + step * position for position in range(first, min(first + size, calls))]
        yield json.dumps([api.make_call(time) for time in times], separators=(",", ":")).encode()
