"""What senders attach to a mail by its headers, for providers that give the headers back.

`X-Tag` (a tag each) or `X-Tags` (a JSON array) and `X-Metadata` (a JSON object): the convention of django-anymail.
"""

from collections.abc import Mapping
from typing import Any

from common.events import Json
from providers._fields import decode_inner

NAMES = frozenset({"x-tag", "x-tags", "x-metadata"})


def read_mail_headers(headers: Any, name_key: str = "name") -> tuple[list[str], Json]:
    """Tags and metadata from a list of objects with name and `value`; what is of another form is passed over."""
    tags: list[str] = []
    metadata: Json = {}
    if type(headers) is not list:
        return tags, metadata
    for header in headers:
        if type(header) is not dict:
            continue
        name = header.get(name_key)
        if type(name) is not str or name[:2] not in ("X-", "x-") or name.lower() not in NAMES:
            continue
        text = header.get("value")
        if type(text) is not str:
            continue
        if name.lower() == "x-tag":
            tags.append(text)
            continue
        try:
            value = decode_inner(text)
        except ValueError:
            continue
        if name.lower() == "x-metadata" and type(value) is dict:
            metadata |= value
        elif name.lower() == "x-tags" and type(value) is list:
            tags += [tag for tag in value if type(tag) is str]
    return tags, metadata


def unwrap(values: Mapping[str, Any]) -> Json:
    """Names with a list of values each: a single value stands for itself."""
    return {name: value[0] if type(value) is list and len(value) == 1 else value for name, value in values.items()}
