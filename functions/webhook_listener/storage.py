"""Where a webhook's body is kept: the raw bucket, byte for byte, under a name made from its content."""

import hashlib
from datetime import datetime

from common.clock import format_instant
from common.objects import Bucket, cut_metadata
from providers import WebhookRequest

# Bytes of one value as it travels; S3 takes 2 KB of metadata in all.
LONGEST_QUERY = 1000
LONGEST_METADATA = 200


def make_key(provider: str, received_at: datetime, digest: str) -> str:
    """`raw/{provider}/{yyyy}/{mm}/{dd}/{hh}/{digest}`: the same body twice in an hour is one object."""
    return f"raw/{provider}/{received_at:%Y/%m/%d/%H}/{digest[:32]}"


def store(bucket: Bucket, request: WebhookRequest, received_at: datetime, request_id: str, batch_id: str) -> str:
    """Puts the body with what is needed to parse it later; the object's key. Raises `AwsError`."""
    digest = hashlib.sha256(request.body).hexdigest()
    # Some providers say in the query what the body is about: then another query is another object.
    name = hashlib.sha256(f"{request.query}\n{digest}".encode()).hexdigest() if request.query else digest
    key = make_key(request.provider, received_at, name)
    metadata = {
        "provider": request.provider,
        "received-at": format_instant(received_at),
        "request-id": request_id,
        "query": cut_metadata(request.query, LONGEST_QUERY),
        "batch-id": cut_metadata(batch_id, LONGEST_METADATA),
        "content-type": cut_metadata(request.headers.get("content-type", ""), LONGEST_METADATA),
        "content-encoding": cut_metadata(request.headers.get("content-encoding", ""), LONGEST_METADATA),
    }
    present = {name: value for name, value in metadata.items() if value}
    bucket.put_new(key, request.body, present, digest)
    return key
