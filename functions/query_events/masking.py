"""What a caller without `pii:read` sees: results without addresses, metadata, and where a recipient is.

Addresses are masked wherever they stand in a text, the domain kept: `a***@example.com`. It is the text that decides,
not the name of its field: whatever stands before an at sign, percent-encoded or not, is taken for a part of an address.
"""

import re
from collections.abc import Iterable

from common.errors import ApiError
from common.events import Json
from query_events.routing import READ_PII, Caller

MASK = "***"
# Fields whose every value is the recipient's or the sender's own business; names of nested fields are kept.
PRIVATE = frozenset(
    {"rcpt_meta", "metadata", "rcpt_subs", "rcpt_hash", "ip_address", "geo_ip", "device_token", "user_str"}
    | {"sms_dst", "sms_src", "sms_text"}
)
RECIPIENTS = frozenset({"rcpt_to", "raw_rcpt_to", "recipient"})
LINKS = frozenset({"target_link_url", "url"})

_AT = re.compile("(@|%(?:25)*40)")  # as it is, or encoded any number of times
# The last character that is in no address but a quoted one; greedy, so that a long text is read once.
_UP_TO_ADDRESS = re.compile(r'.*[\s<>(),;:"\[\]\\]', re.DOTALL)
_UP_TO_VALUE = re.compile(r".*[/?&]", re.DOTALL)  # within a link
_QUERY = re.compile(r"[?#].*", re.DOTALL)


# Filters that would tell bit by bit what is masked, also of an address within a reason, a subject, a message's id or a
# link. A whole address may be asked for: who asks knows it.
_TELLING = re.compile(
    r"(not\.)?(prefix\.(recipients|from_addresses|reasons|subjects|messages|urls)|reason"
    r"|(prefix\.)?(ip_addresses|metadata\..+))",
    re.DOTALL,
)


def check_filters(names: Iterable[str], caller: Caller) -> None:
    """Refuses filters on what the caller may not see, by their canonical names. Raises `ApiError`."""
    telling = next(filter(_TELLING.fullmatch, names), None)
    if telling and not caller.may(READ_PII):
        name = "metadata" if "metadata." in telling else telling
        raise ApiError(
            403, "Forbidden", f"This key lacks the scope {READ_PII}, which a filter on {name} needs.", "1100"
        )


def mask_result(result: Json) -> Json:
    """The same result, masked; the given one is left as it is."""
    return {mask_text(name): _mask_field(name, value) for name, value in result.items()}


def _mask_field(name: str, value: object) -> object:
    if name in PRIVATE:
        return _hide(value)
    if name in RECIPIENTS and type(value) is str and value and "@" not in value:
        return value[0] + MASK
    if name in LINKS and type(value) is str:
        return mask_link(value)
    return _mask(value)


def _mask(value: object) -> object:
    if type(value) is str:
        return mask_text(value)
    if type(value) is dict:
        return mask_result(value)
    if type(value) is list:
        return [_mask(entry) for entry in value]
    return value


def _hide(value: object) -> object:
    """The names of what is there, without any value."""
    if type(value) is dict:
        return {mask_text(name): _hide(entry) for name, entry in value.items()}
    return None if value is None else MASK


def mask_link(link: str) -> str:
    """A link without what is behind its path: queries say who clicked, often in some code."""
    return mask_text(_QUERY.sub(lambda found: found[0][0] + MASK, link))


def mask_text(text: str) -> str:
    """A text in which each address is masked."""
    if "@" not in text and "40" not in text:
        return text
    *pieces, rest = _AT.split(text)
    masked = [_mask_end(piece) if even % 2 == 0 else piece for even, piece in enumerate(pieces)]
    return "".join(masked) + rest


def _mask_end(text: str) -> str:
    """A text whose end is an address up to its at sign."""
    if text.endswith(('"', ")")):  # a quoted one, or a comment: it may hold anything
        return MASK
    found = _UP_TO_ADDRESS.match(text)
    begin = found.end() if found else 0
    if text[begin:].startswith("//") and (found := _UP_TO_VALUE.match(text, begin)):
        begin = found.end()
    return text[: begin + 1] + MASK
