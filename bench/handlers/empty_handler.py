"""The floor: what the runtime itself takes."""

from typing import Any


def handler(_event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answers without doing anything."""
    return {"statusCode": 200, "body": "{}"}
