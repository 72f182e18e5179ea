"""What a receiving server's reply says in numbers."""

import re
from functools import lru_cache

from common.events import BLOCK, BLOCKED, HARD, INVALID, OTHER, SOFT, UNDETERMINED

# The reply code begins the text, or follows a word; the enhanced one (RFC 3463) follows it, or stands alone.
_CODE = re.compile(r"(?<![\d.])([2-5]\d\d)(?=[ \-]|$)")
_ENHANCED = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
LONGEST = 500  # characters in which the codes are looked for
OF_THE_SENDER = frozenset({"5.1.7", "5.1.8"})  # its address is wrong, not the recipient's
FULL = "5.2.2"


def read_smtp(text: object) -> tuple[int | None, str | None]:
    """The reply code and the enhanced status code in the words of a receiving server, each if it is there."""
    return _read_smtp(text) if type(text) is str else (None, None)


@lru_cache(1000)
def _read_smtp(text: str) -> tuple[int | None, str | None]:
    head = text[:LONGEST]
    code = _CODE.search(head)
    enhanced = _ENHANCED.search(head)
    return (None if code is None else int(code[1])), (None if enhanced is None else enhanced[1])


def classify_refusal(smtp_code: int | None, enhanced_status: str | None) -> tuple[str, str]:
    """The kind of a bounce and its reason, where nothing but the reply tells.

    A permanent reply alone may be a block: hard is only what says that the recipient's address is wrong.
    """
    status = enhanced_status or ""
    if (status or str(smtp_code)).startswith("4") or status == FULL:
        return SOFT, OTHER
    if status.startswith("5.1.") and status not in OF_THE_SENDER:
        return HARD, INVALID
    return (BLOCK, BLOCKED) if status.startswith("5.7.") else (UNDETERMINED, OTHER)
