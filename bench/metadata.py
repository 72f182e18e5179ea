"""The values that senders attach to their messages as metadata."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

from bench.recipients import Recipient


def make_value(kind: str, recipient: Recipient, moment: float, draw: Random, things: list[str]) -> str:
    """A metadata value of the given kind: of the recipient, of the message, or of this sending alone."""
    match kind:
        case "number":
            return str(recipient.bits >> 20 & 0xFFFFFFF)
        case "choice":
            return things[recipient.bits >> 9 & 7]
        case "date":
            return (datetime(2021, 1, 1, tzinfo=UTC) + timedelta(days=recipient.bits >> 13 & 1023)).strftime("%Y-%m-%d")
        case "slug":
            return f"{things[recipient.bits >> 30 & 7]}-{recipient.bits >> 34 & 63}"
        case "locale":
            return ("en-US", "en-GB", "de-DE", "fr-FR", "es-ES")[recipient.bits >> 40 & 3]
        case "reference":
            return f"R{int(moment) % 10**6:06d}-{draw.randrange(10**5):05d}"
        case _:
            h = f"{draw.getrandbits(128):032x}"
            return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-a{h[17:20]}-{h[20:]}"
