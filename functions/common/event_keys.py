"""What makes it the same event again, in 64 bits (63 of a hash): together with the time it is unique.

Where the provider's event id is a number (SparkPost), the key is that number, mixed with the provider's name so that
two providers' numbers don't meet; it need not be stored a second time. Any other id is hashed.
"""

import hashlib
from functools import cache

LARGEST = 2**63 - 1  # of a bigint


def hash_key(content: bytes) -> int:
    """64 bits of BLAKE2b as a signed integer, which is what a bigint holds."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big", signed=True)


@cache
def find_salt(provider: str) -> int:
    """What a provider's numbers are mixed with."""
    return hash_key(provider.encode())


def is_numeric(event_id: str) -> bool:
    """Whether an id is a number as `str` writes it, that fits into a bigint."""
    if not (event_id.isascii() and event_id.isdigit()) or event_id[0] == "0":
        return False
    return len(event_id) < 19 or (len(event_id) == 19 and int(event_id) <= LARGEST)


def make_event_key(provider: str, event_id: str) -> int:
    """The key of an event from its provider and the provider's id."""
    salt = find_salt(provider)
    if is_numeric(event_id):
        return int(event_id) ^ salt
    # Without the salt it is no negative number either: so a shown number belongs to one key.
    return ((hash_key(f"{provider}\0{event_id}".encode("utf-8", "surrogatepass")) ^ salt) & LARGEST) ^ salt


def read_event_id(provider: str, event_key: int) -> str:
    """The numeric id that a key was made from; for the key of another id, a number that stands for it.

    The key of this number is the same key.
    """
    return str(event_key ^ find_salt(provider))
