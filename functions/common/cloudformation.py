"""Answers of a custom resource.

Source: "Custom resource response objects" in the CloudFormation User Guide: a PUT of JSON, with an empty content type,
to the presigned S3 URL that came with the event.
"""

import json
import urllib.request
from collections.abc import Mapping
from typing import Any

SUCCESS = "SUCCESS"
FAILED = "FAILED"
LONGEST_REASON = 1000  # characters; the whole answer may have 4 KB
TIMEOUT_SECONDS = 10


def answer_cloudformation(
    event: Mapping[str, Any], status: str, *, reason: str = "", data: Mapping[str, str] | None = None
) -> None:
    """Tells CloudFormation what became of its event. Raises `OSError` where it can't be told."""
    body = {
        "Status": status,
        "Reason": reason[:LONGEST_REASON],
        "PhysicalResourceId": event.get("PhysicalResourceId") or event["LogicalResourceId"],
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
        "Data": data or {},
    }
    request = urllib.request.Request(
        event["ResponseURL"], data=json.dumps(body).encode(), method="PUT", headers={"content-type": ""}
    )
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):
        pass
