import json
from hashlib import sha256

import pytest

from tests.console.vendor import LIBRARIES, LIST, NODE, VENDOR

LISTED = json.loads(LIST.read_text())


@pytest.mark.parametrize("entry", LISTED, ids=lambda entry: entry["file"])
def test_file_is_as_listed(entry: dict[str, str]) -> None:
    """Nobody changed a library by hand, and its licence lies beside it."""
    assert sha256((VENDOR / entry["file"]).read_bytes()).hexdigest() == entry["sha256"]
    assert (VENDOR / entry["licence_file"]).stat().st_size > 500


def test_nothing_else_is_there() -> None:
    """Every file is listed, with the version that npm installs."""
    known = {entry[name] for entry in LISTED for name in ("file", "licence_file")}
    assert {path.name for path in VENDOR.iterdir()} == known | {LIST.name}
    assert {entry["file"] for entry in LISTED} == set(LIBRARIES)
    pinned = json.loads((NODE / "package.json").read_text())["dependencies"]
    assert {entry["package"]: entry["version"] for entry in LISTED} == pinned
