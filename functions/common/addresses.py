"""Addresses of mails, as SES takes them."""

import re
from typing import Final

LONGEST: Final = 320  # characters; RFC 5321, 4.5.3.1
_LOCAL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}\Z")
_DOMAIN = re.compile(r"(?=.{1,253}\Z)([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9-]{2,63}\Z")
# IDNA 2003, which Python has, makes other domains of these than the IDNA 2008 of registries does.
_DEVIATING: Final = frozenset("\u00df\u1e9e\u03c2\u200c\u200d")


class AddressError(ValueError):
    """An address to which no mail can be sent."""


def read_address(text: str) -> str:
    """An address as SES takes it, names of domains in ASCII. Raises `AddressError`, without the address."""
    local, _, domain = text.strip().rpartition("@")
    try:
        is_sound = len(text) <= LONGEST and _DEVIATING.isdisjoint(domain)
        host = domain.encode("idna").decode() if is_sound else ""
    except UnicodeError:
        host = ""
    if not _LOCAL.match(local) or local[0] == "." or local[-1] == "." or ".." in local or not _DOMAIN.match(host):
        raise AddressError("the address can't be mailed: it is malformed, or not ASCII before the @")
    return f"{local}@{host}"
