"""A webhook handler as it is usually written: boto3, basic auth from the environment, put_object, 200."""

import base64
import hmac
import os
import uuid
from datetime import UTC, datetime
from typing import Any

import boto3

client = boto3.client("s3")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Stores the body of a webhook."""
    given = event["headers"].get("authorization", "").removeprefix("Basic ")
    wanted = base64.b64encode(os.environ["WEBHOOK_LOGIN"].encode()).decode()
    if not hmac.compare_digest(given.encode(), wanted.encode()):
        return {"statusCode": 401, "body": "{}"}
    body = event["body"]
    content = base64.b64decode(body) if event["isBase64Encoded"] else body.encode()
    key = f"raw/{event['pathParameters']['provider']}/{datetime.now(UTC):%Y/%m/%d/%H}/{uuid.uuid4()}"
    client.put_object(Bucket=os.environ["RAW_BUCKET"], Key=key, Body=content, ContentType="application/json")
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": "{}"}
