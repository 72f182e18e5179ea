"""What a mapping may say: the form of its file, checked with messages that name the place and the way out.

The form is the table `MAPPING` below, made of small checks; docs/generic-provider.md explains it.
"""

import re
from collections.abc import Iterator
from typing import Any

from common.events import BOUNCE_KINDS, EVENT_TYPES, REJECT_REASONS, Json
from providers._mapped_paths import as_list, split_path
from providers._mapping_form import (
    Check,
    is_flag,
    is_header,
    is_path,
    is_paths,
    is_text,
    one_of,
    several,
    show,
    suggest,
    table,
    whole_number,
    words,
)

ENVELOPE, QUERY = "envelope", "query"  # how a path to what is around the item begins
# Their columns → ours. Only the sender's address has another name here.
COLUMNS = {
    name: name
    for name in (
        *(
            "recipient",
            "message_id",
            "transmission_id",
            "metadata",
            "tags",
            "reason",
            "url",
            "ip_address",
            "user_agent",
        ),
        *("campaign", "template", "subject", "ab_test", "ab_test_version", "subaccount", "ip_pool", "sending_ip"),
        *("routing_domain", "mailbox_provider", "mailbox_provider_region"),
    )
} | {"sender": "address"}
DIGESTS = ("sha256", "sha1", "sha384", "sha512")
TIMES = ("seconds", "milliseconds", "iso")
LONGEST_WINDOW = 86_400  # seconds

_PLACEHOLDER = re.compile(r"\{(\w*)\}")


# What of an event's kind a provider's word can say.
ATTRIBUTES: dict[str, Check] = {
    "bounce_kind": one_of(BOUNCE_KINDS),
    "reject_reason": one_of(REJECT_REASONS),
    "machine_open": is_flag,
    "first_open": is_flag,
    "out_of_band": is_flag,
}
_TYPE_ROW = table({"type": one_of(EVENT_TYPES)}, ATTRIBUTES)


def is_type(value: Any, place: str, problems: list[str]) -> None:
    """Null: no event; one of our types; or an object of type and attributes."""
    if type(value) is dict:
        _TYPE_ROW(value, place, problems)
    elif value is not None:
        one_of(EVENT_TYPES)(value, place, problems)


def is_id(value: Any, place: str, problems: list[str]) -> None:
    """Paths, or the header that has the id."""
    (table({"header": is_header}, {}) if type(value) is dict else is_paths)(value, place, problems)


def is_time_format(value: Any, place: str, problems: list[str]) -> None:
    """A known format, or one of strptime's."""
    if type(value) is not str or ("%" not in value and value not in TIMES):
        problems.append(
            f"{place}: {show(value)} is no format; write seconds, milliseconds, iso, or one of strptime's such as "
            "%d/%m/%Y %H:%M:%S"
        )


PROOFS: dict[str, Check] = {
    "shared_secret": table({"how": is_text}, {}),
    "standard_webhooks": table({"how": is_text}, {}),
    "header": table({"how": is_text, "header": is_header}, {"prefix": is_text}),
    "hmac": table(
        {"how": is_text, "header": is_header},
        {
            "digest": one_of(DIGESTS),
            "encoding": one_of(("hex", "base64")),
            "prefix": is_text,
            "signed": is_text,
            "secret": one_of(("text", "hex", "base64")),
            "fields": table({"signature": is_text}, {"timestamp": is_text}),
            "timestamp": table(
                {}, {"header": is_header, "format": one_of(TIMES), "window_seconds": whole_number(1, LONGEST_WINDOW)}
            ),
        },
    ),
}


def is_proof(value: Any, place: str, problems: list[str]) -> None:
    """How the sender proves who it is."""
    how = value.get("how") if type(value) is dict else None
    if type(how) is not str or how not in PROOFS:
        problems.append(f"{place}.how: {show(how)} is not known here; {suggest(how, PROOFS)}")
        return
    found: list[str] = []
    PROOFS[how](value, place, found)
    if how == "hmac" and not found:
        found += _check_hmac(value, place)
    problems += found


def _check_hmac(proof: Json, place: str) -> Iterator[str]:
    signed = proof.get("signed", "{body}")
    names = set(_PLACEHOLDER.findall(signed))
    for name in sorted(names - {"body", "timestamp", "url"}):
        yield f"{place}.signed: there is no {{{name}}}; write {{body}}, {{timestamp}} or {{url}}"
    if "body" not in names:
        yield f"{place}.signed: {{body}} is not in it; what is not signed proves nothing"
    given = "timestamp" in proof.get("fields", {}) or "header" in proof.get("timestamp", {})
    if "timestamp" in names and not given:
        yield f"{place}.timestamp: say where the signed time is: the header, or fields.timestamp"
    if given and "timestamp" not in names:
        yield f"{place}.signed: {{timestamp}} is not in it; a time that is not signed proves nothing"


MAPPING = table(
    {
        "proof": is_proof,
        "body": table(
            {"format": one_of(("json", "json_lines", "form"))}, {"items": is_path, "field": is_text, "query": is_flag}
        ),
        "time": table({"at": is_paths, "format": is_time_format}, {"zone": is_text}),
        "type": table({"parts": several(is_path), "words": words(is_type)}, {}),
        "columns": table({}, dict.fromkeys(COLUMNS, is_paths)),
    },
    {
        "about": is_text,
        "methods": several(one_of(("POST", "GET"))),
        "handshake_methods": several(one_of(("GET", "HEAD"))),
        "answers": table({}, dict.fromkeys(("unavailable", "unauthorized"), whole_number(200, 599))),
        "id": is_id,
        "volatile": several(is_path),
        "kind": table(
            {},
            {
                **{name: table({"at": is_paths, "words": words(check)}, {}) for name, check in ATTRIBUTES.items()},
                **dict.fromkeys(("smtp_code", "enhanced_status"), table({"at": is_paths}, {})),
            },
        ),
    },
)


def find_problems(document: Any) -> list[str]:
    """What is wrong with a mapping, each with its place; an empty list where nothing is."""
    problems: list[str] = []
    MAPPING(document, "", problems)
    return problems or list(_check_together(document))


def _check_together(document: Json) -> Iterator[str]:
    """What must fit together, of a mapping whose parts are right."""
    body, time = document["body"], document["time"]
    if "field" in body and body["format"] != "form":
        yield "body.field: only a form has fields; set body.format to form, or take it out"
    if "items" in body and body["format"] == "json_lines":
        yield "body.items: each line is an event already; take it out, or set body.format to json"
    if "%" in time["format"] and "%z" not in time["format"] and "zone" not in time:
        yield "time.zone: the format has no %z; say the zone, as in UTC or Europe/Berlin"
    if "GET" in document.get("methods", ()) and body["format"] != "form":
        yield "methods: a GET brings its query only, which is a form; set body.format to form, or take GET out"
    both = set(document.get("handshake_methods", ())) & set(document.get("methods", ("POST",)))
    if both:
        yield f"handshake_methods: {', '.join(both)} cannot bring events and none; take it out here or of methods"
    around = {ENVELOPE: "items" in body or "field" in body, QUERY: bool(body.get("query"))}
    lists = set()
    for place, path in list_paths(document):
        steps = split_path(path)
        if steps[0] == QUERY and not around[QUERY]:
            yield f"{place}: {path} is in the URL's query; set body.query to true"
        if steps[0] == ENVELOPE and len(steps) > 1 and not around[ENVELOPE]:
            yield f"{place}: {path} is around the events; say in body.items where they are"
        if "[]" in path:
            lists.add(path.partition("[]")[0])
    wanted = {path.partition("[]")[0] for path in as_list(document["columns"].get("recipient", [])) if "[]" in path}
    if lists != wanted or len(lists) > 1:
        yield "columns: [] stands for the recipients: let the recipient's path go through the one list that has it"
    if any("[]" in path for path in (body.get("items", ""), *document.get("volatile", ()))):
        yield "body.items and volatile: [] stands for the recipients of an event; take it out"


def list_paths(document: Json) -> Iterator[tuple[str, str]]:
    """The paths into the item, each with its place in the mapping."""
    sources = {
        "time.at": document["time"]["at"],
        "type.parts": document["type"]["parts"],
        **{f"kind.{name}.at": entry["at"] for name, entry in document.get("kind", {}).items()},
        **{f"columns.{name}": paths for name, paths in document["columns"].items()},
    }
    if type(document.get("id")) is not dict:
        sources["id"] = document.get("id", [])
    for place, paths in sources.items():
        for path in as_list(paths):
            yield place, path
