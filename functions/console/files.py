"""The console's static files. They change with a deployment only, so their addresses hold a hash of all of them."""

import gzip
from base64 import b64encode
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path

from common.responses import Response
from console.requests import ALWAYS, Request

FOLDER = Path(__file__).parent / "static"
VENDOR = "vendor"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
FOR_EVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"
SMALLEST_COMPRESSED = 1_000  # bytes


def list_files() -> Iterator[Path]:
    """What may be served: by their endings, never a page, which is filled in first."""
    yield from sorted(path for path in FOLDER.rglob("*") if path.suffix in TYPES and path.suffix != ".html")


@cache
def read_files() -> dict[str, bytes]:
    """The files by their path below the folder. No path of a request ever reaches the disk."""
    return {path.relative_to(FOLDER).as_posix(): path.read_bytes() for path in list_files()}


@cache
def find_version() -> str:
    """A hash of all files."""
    digest = sha256()
    for name, content in read_files().items():
        digest.update(f"{name} {len(content)} ".encode() + content)
    return digest.hexdigest()[:16]


def read_page(name: str) -> str:
    """A page with the address of the files in it."""
    text = (FOLDER / name).read_text(encoding="utf-8")
    return text.replace("{{static}}", f"/console/static/{find_version()}")


def answer_file(request: Request, version: str, name: str) -> Response | None:
    """A file; None where there is none. The right version may be kept for ever, any other is asked for again."""
    content = read_files().get(name)
    if content is None:
        return None
    tag = f'"{sha256(content).hexdigest()[:24]}"'
    headers = {
        **ALWAYS,
        "content-type": TYPES[name[name.rindex(".") :]],
        "cache-control": FOR_EVER if version == find_version() else ASK_AGAIN,
        "etag": tag,
        "vary": "accept-encoding",
    }
    if tag in request.headers.get("if-none-match", ""):
        return {"statusCode": 304, "headers": headers}
    if len(content) >= SMALLEST_COMPRESSED and "gzip" in request.headers.get("accept-encoding", ""):
        headers["content-encoding"] = "gzip"
        body = b64encode(_compress(name)).decode()
        return {"statusCode": 200, "headers": headers, "body": body, "isBase64Encoded": True}
    return {"statusCode": 200, "headers": headers, "body": content.decode()}


@cache
def _compress(name: str) -> bytes:
    return gzip.compress(read_files()[name], 9, mtime=0)
