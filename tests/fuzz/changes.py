"""Requests that are a little wrong: what tests of robustness and `make fuzz` send.

Every choice is drawn from the `Random` that is passed in: a seeded one, one of hypothesis's, or one of a mutator's.
"""

import json
import re
from random import Random
from typing import Any

from providers import WebhookRequest

# What nobody expects where a text, a number or an object was.
ODD: list[Any] = [
    *(None, True, False, 0, -1, 1.5, 10**30, -(10**400), 1e308, 2**63, 1795252334, 1795252334000, -62135596801),
    *("", " ", "0", "\0", "\ud800", "\udfffx", "ä" * 700, "📧", "9" * 400, "2026-13-45T99:99:99Z", "1e999", "²"),
    *("2026-11-21T09:30:00+99:99", "0001-01-01T00:00:00+14:00", "nan", "-inf", "<>", "a@b@c", "550 5.1.1 no", "\\"),
    *('["\\u0000", "\\udc00"]', '{"\\ud800": "\\u0000"}', "{" * 5000, "[1e999]", "[" * 3000 + "]" * 3000),
    *([], [None], [[]], [""], [{}], {}, {"": {}}, {"a": None}, [{"a": []}], {"\ud800": "\0"}, ["x"] * 40),
]
# The same in JSON's own words: what `json.dumps` does not write.
TOKENS = [
    *(b"1e999", b"-1E+999", b"NaN", b"-Infinity", b"1" * 5000, b"-" + b"7" * 30, b"0.1" + b"0" * 400 + b"1", b"-0.0"),
    *(b"1e-999", b'"\\ud800"', b'"\\u0000"', b'"\\udc00\\ud800"', b'"\\ud83d\\udce7"', b"[" * 300 + b"]" * 300),
    *(
        b'{"a":' * 2000 + b"1" + b"}" * 2000,
        b"{}",
        b"[]",
        b"null",
        b'""',
        b"tru",
        b"01",
        b'"\t"',
        b"\xff",
        b"\xed\xa0\x80",
    ),
]
PIECES = [b"\xff", b"\0", b"%00", b"%", b'"', b"{", b"[" * 50, b"&=&", b"\r\n", b"+", b"%u0041", b"\xed\xa0\x80"]
HEADERS = [
    *(
        "",
        " ",
        "=",
        "v1=",
        "v1,",
        "v1,AAAA",
        "ts=1;s=2",
        "0" * 64,
        "MEUCIQ==",
        "é",
        "9" * 30,
        "-1",
        "Basic ",
        "Basic !",
    ),
    *(
        "\0",
        "1795253400",
        "²",
        "Basic Og==",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "true",
    ),
]
QUERIES = ["", "%", "a=b&&=", "event=open", "%00=%ed%a0%80", "mandrill_events=%5B%5D"]
SECRETS = ["", "é", "\udc80", "x", "secret"]
METHODS = ["POST", "GET", "HEAD", "PUT", "OPTIONS", "post", ""]
_VALUE = re.compile(rb'(?<=[:\[,])\s*("(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null)(?=\s*[,\]}])')
_NAME = re.compile(rb'"(?:[^"\\]|\\.)*"\s*:')


def change_value(value: Any, chance: Random) -> Any:
    """The value with one thing in it dropped, replaced, doubled or named otherwise."""
    if isinstance(value, dict) and value and chance.random() < 0.85:
        name = chance.choice(list(value))
        kind = chance.random()
        if kind < 0.15:
            return {key: entry for key, entry in value.items() if key != name}
        if kind < 0.2:
            return value | {chance.choice(["", "\ud800", "x" * 300]): value[name]}
        return value | {name: change_value(value[name], chance)}
    if isinstance(value, list) and value and chance.random() < 0.85:
        position = chance.randrange(len(value))
        changed = change_value(value[position], chance)
        return [*value[:position], *[changed] * chance.choice([1, 1, 1, 0, 2]), *value[position + 1 :]]
    return chance.choice(ODD)


def change_bytes(body: bytes, chance: Random) -> bytes:
    """The bytes with some cut out, doubled or replaced."""
    start = chance.randrange(len(body) + 1)
    end = min(len(body), start + chance.randrange(20))
    return body[:start] + chance.choice([b"", body[start:end] * 2, *PIECES]) + body[end:]


def change_token(body: bytes, chance: Random) -> bytes:
    """The JSON with a value written as `json.dumps` would not, or with a name twice."""
    if chance.random() < 0.7:
        found = list(_VALUE.finditer(body))
        if found:
            place = chance.choice(found)
            return body[: place.start(1)] + chance.choice(TOKENS) + body[place.end(1) :]
    found = list(_NAME.finditer(body))
    if not found:
        return change_bytes(body, chance)
    place = chance.choice(found)
    return body[: place.start()] + place[0] + chance.choice(TOKENS[:-5]) + b"," + body[place.start() :]


def change_body(body: bytes, chance: Random) -> bytes:
    """A body that is a little wrong."""
    kind = chance.random()
    if kind < 0.2:
        return change_bytes(body, chance)
    if kind < 0.4:
        return change_token(body, chance)
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return change_bytes(body, chance)
    for _ in range(chance.randint(1, 3)):
        document = change_within(document, chance)
    return json.dumps(document).encode()


def change_within(document: Any, chance: Random) -> Any:
    """As `change_value`; where a text is JSON itself (SNS's Message), mostly within that."""
    if isinstance(document, dict) and chance.random() < 0.8:
        for name, text in document.items():
            if isinstance(text, str) and text.startswith(("{", "[")):
                try:
                    inner = json.loads(text)
                except (ValueError, RecursionError):
                    continue
                return document | {name: json.dumps(change_value(inner, chance))}
    return change_value(document, chance)


def change_request(request: WebhookRequest, chance: Random) -> WebhookRequest:
    """The request with method, headers, query, path or body that are a little wrong."""
    headers = dict(request.headers)
    for name in chance.sample(list(headers), chance.randint(0, len(headers))):
        if chance.random() < 0.4:
            del headers[name]
        else:
            given = headers[name]
            headers[name] = chance.choice([*HEADERS, given[: len(given) // 2], given + given, given[::-1]])
    return request._replace(
        method=chance.choice([*[request.method] * 20, *METHODS]),
        headers=headers,
        body=change_body(request.body, chance) if chance.random() < 0.7 else request.body,
        query=chance.choice([request.query, request.query, *QUERIES, change_query(request.query, chance)]),
        path_secret=chance.choice([*[request.path_secret] * 4, *SECRETS]),
    )


def change_query(query: str, chance: Random) -> str:
    """The query with some of its characters changed."""
    return change_bytes(query.encode("utf-8", "replace"), chance).decode("latin-1")
