"""What a caller without `pii:read` sees of somebody in a mail or a message to the team: that there is something."""

from typing import Any, Final

from common.events import Json

HIDDEN: Final = "***"


def hide_draft(draft: Json) -> Json:
    """A draft of a mail without her address and traits, her company's, and texts of her events."""
    user, company = draft["user"], draft["company"]
    return {
        **draft,
        "user": {
            **user,
            "id": hide_address(user["id"]),
            "address": hide_address(user["address"] or "") or None,
            "traits": _hide(user["traits"]),
        },
        "company": company and {"id": hide_address(company["id"]), "traits": _hide(company["traits"])},
        "aggregates": {
            name: HIDDEN if isinstance(value, str) else value for name, value in draft["aggregates"].items()
        },
    }


def hide_digest(body: Json) -> Json:
    """A digest without the fields that were asked for, and without addresses: by which somebody goes, or it does."""
    notification = body["notification"]
    channel = {
        name: {**settings, "to": [hide_address(to) for to in settings["to"]]} if "to" in settings else settings
        for name, settings in notification["channel"].items()
    }
    return {
        **body,
        "notification": {**notification, "channel": channel},
        **{
            part: [{**entry, "id": hide_address(entry["id"]), "fields": _hide(entry["fields"])} for entry in body[part]]
            for part in ("added", "removed")
        },
    }


def hide_address(text: str) -> str:
    """A name; of an address only where it begins, and the domain."""
    local, at, domain = text.rpartition("@")
    return f"{local[:1]}{HIDDEN}@{domain}" if at else text


def _hide(value: Any) -> Any:
    """The names of what is there, without any value."""
    if isinstance(value, dict):
        return {hide_address(name): _hide(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_hide(each) for each in value]
    return None if value is None else HIDDEN
