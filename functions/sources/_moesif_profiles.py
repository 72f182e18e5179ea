"""What is said of users and companies in Moesif's shape."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from common.activities import ADDRESS, LAST, USER, Identity, Link, Profile
from common.events import Json
from providers import Delivery
from providers._fields import UNSTORABLE
from sources import Item
from sources._fields import LONGEST_ID, check_depth, read_id, read_instant


def build_reader(kind: str, name: str) -> Any:
    """What reads users, or companies."""

    def read(item: Json, position: int, delivery: Delivery) -> Iterator[Item]:
        value = read_id(item, name)
        if value is None:
            raise ValueError(f"it has no {name}")
        time = item.get("modified_time")
        at = delivery.received_at if time is None else read_instant(time)
        identity = Identity(kind, value)
        check_depth(item)
        traits = {key: trait for key, trait in item.items() if key not in (name, "modified_time", "session_token")}
        tokens = item.get("session_token")
        tokens = [tokens] if isinstance(tokens, str) else tokens if isinstance(tokens, list) else []
        if tokens:  # they are added to those that are known
            traits["session_tokens"] = {str(token): True for token in tokens}
        yield Profile(identity, at, traits, position)
        if kind == USER:
            yield from link_address(item.get("metadata"), identity, at, position)

    return read


def link_address(traits: object, user: Identity, at: datetime, position: int) -> Iterator[Link]:
    """That a user has the address that the traits name."""
    address = traits.get("email") if isinstance(traits, dict) else None
    if isinstance(address, str) and "@" in address and len(address) <= LONGEST_ID and not UNSTORABLE.search(address):
        yield Link(Identity(ADDRESS, address.strip().lower()), user, LAST, at, position)
