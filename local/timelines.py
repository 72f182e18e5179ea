"""What the API says of a recipient, as a table for a terminal."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

LONGEST = 60  # characters of what an event has to say
TELLING = ("raw_reason", "reason", "target_link_url", "fbtype", "user_agent", "mailfrom")

Found = Mapping[str, Any]  # JSON of the API


def draw_recipient(found: Found) -> str:
    """The address's standing, then each message with its state and its events, then the events of no message."""
    lines = [found["recipient"], *(f"  {line}" for line in list_standing(found["standing"]))]
    shown = [event for message in found["messages"] for event in message["events"]] + found["other_events"]
    width = max((len(event["type"]) for event in shown), default=0)
    for message in found["messages"]:
        about = next((message[name] for name in ("subject", "campaign", "template") if message[name]), "a message")
        lines += ["", f"{show_time(message['began_at'])}  {about}: {message['state']['description'].upper()}"]
        lines += draw_events(message["events"], width)
    if found["other_events"]:
        lines += ["", "events that name no message", *draw_events(found["other_events"], width)]
    return "\n".join(lines)


def list_standing(standing: Found) -> Iterator[str]:
    """What there is to say of the address, a line each."""
    for name in ("last_delivered", "last_opened", "last_clicked"):
        if standing[name]:
            yield f"{name.replace('_', ' ')} {show_time(standing[name])}"
    if standing["bounces"]:
        yield f"bounces {standing['bounces']}, {standing['hard_bounces']} of them hard"
    cause = standing["suppression"]
    yield f"suppressed since {show_time(cause['timestamp'])}: {cause['description']}" if cause else "not suppressed"


def draw_events(events: Sequence[Found], width: int) -> list[str]:
    """A line for each event: when, what, and what there is to say."""
    return [
        f"  {show_time(event['timestamp'])}  {event['type']:{width}}  {describe_event(event)}".rstrip()
        for event in events
    ]


def show_time(instant: str) -> str:
    """A time to the second."""
    return instant.replace("T", " ")[:19]


def describe_event(event: Found) -> str:
    """The most telling field of an event."""
    text = next((str(event[name]) for name in TELLING if event.get(name)), "")
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
