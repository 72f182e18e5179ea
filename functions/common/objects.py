"""The raw bucket: objects with their metadata."""

import hashlib
from collections.abc import Mapping
from itertools import accumulate
from typing import NamedTuple
from urllib.parse import quote, unquote

from common.aws import AwsClient, AwsError, presign

METADATA_PREFIX = "x-amz-meta-"


def encode_metadata(value: str) -> str:
    """A value as it travels: header values are ASCII."""
    return quote(value, safe=" /:;=+,.-_~@()", errors="replace")


def cut_metadata(value: str, longest: int) -> str:
    """The beginning of a value that takes no more than so many bytes as it travels."""
    if len(encode_metadata(value)) <= longest:
        return value
    sizes = accumulate(len(encode_metadata(character)) for character in value)
    return value[: sum(1 for size in sizes if size <= longest)]


class StoredObject(NamedTuple):
    """An object's bytes as they were put, and its metadata (lower-case names)."""

    body: bytes
    metadata: dict[str, str]


class Bucket:
    """Reads and writes whole objects of one bucket."""

    def __init__(self, name: str) -> None:
        self._client = AwsClient("s3", host_prefix=f"{name}.")
        self._name = name

    def _path(self, key: str) -> str:
        path = "/" + quote(key, safe="/-_.~")
        return f"/{quote(self._name)}{path}" if self._client.overridden else path

    def put_new(self, key: str, body: bytes, metadata: Mapping[str, str], digest: str) -> bool:
        """Stores an object; False where one of this key is there already, which stays as it is.

        Metadata travels percent-encoded, since header values are ASCII. `digest` is the body's SHA-256 in hex. Raises
        `AwsError`. S3 answers 412 if the key is taken, 409 while another write of it is under way (tried again).
        """
        headers = {"content-type": "application/octet-stream", "if-none-match": "*"}
        headers |= {METADATA_PREFIX + name: encode_metadata(value) for name, value in metadata.items()}
        answer = self._client.request("PUT", self._path(key), headers, body, digest=digest)
        if answer.status in (200, 412):
            return answer.status == 200
        raise AwsError(answer.status, "", "s3 PutObject")

    def put(self, key: str, body: bytes) -> None:
        """Stores an object in place of what is there. Raises `AwsError`."""
        answer = self._client.request("PUT", self._path(key), {"content-type": "application/json"}, body)
        if answer.status != 200:
            raise AwsError(answer.status, "", "s3 PutObject")

    def presign(self, key: str, seconds: int, file_name: str) -> str:
        """A link under which anybody may fetch an object for so long; browsers save it under the name."""
        origin, path = self._client.origin, self._path(key)
        given = {"response-content-disposition": f'attachment; filename="{file_name}"'}
        host = origin.partition("://")[2]
        return f"{origin}{path}?{presign('s3', self._client.region, host, path, given, seconds, 'UNSIGNED-PAYLOAD')}"

    def get(self, key: str) -> StoredObject:
        """The whole object. Raises `AwsError`, with status 404 where there is none (yet)."""
        answer = self._client.request("GET", self._path(key), {}, digest=hashlib.sha256(b"").hexdigest())
        if answer.status != 200:
            raise AwsError(answer.status, "", "s3 GetObject")
        metadata = {
            name.lower().removeprefix(METADATA_PREFIX): unquote(value)
            for name, value in answer.headers.items()
            if name.lower().startswith(METADATA_PREFIX)
        }
        return StoredObject(answer.body, metadata)
