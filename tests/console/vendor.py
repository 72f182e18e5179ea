"""Copies the libraries of the console's pages from npm's packages into functions/console/static/vendor.

`make vendor` runs it. What is changed on the way is one thing: a browser finds a module by its path, not by its name.
"""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

NODE = Path(__file__).parent / "node"
VENDOR = Path(__file__).parents[2] / "functions" / "console" / "static" / "vendor"
LIST = VENDOR / "vendor.json"


class Library(NamedTuple):
    """A file of a package."""

    package: str
    source: str
    replaced: tuple[str, str] = ("", "")


LIBRARIES = {
    "preact.js": Library("preact", "dist/preact.mjs"),
    "hooks.js": Library("preact", "hooks/dist/hooks.mjs", ('from"preact"', 'from"./preact.js"')),
    "htm.js": Library("htm", "dist/htm.mjs"),
    "uplot.js": Library("uplot", "dist/uPlot.esm.js"),
    "uplot.css": Library("uplot", "dist/uPlot.min.css"),
}


def renew() -> None:
    """Writes the files, their licences and the list."""
    listed: list[dict[str, Any]] = []
    for name, (package, source, (bare, path)) in LIBRARIES.items():
        folder = NODE / "node_modules" / package
        about = json.loads((folder / "package.json").read_text(encoding="utf-8"))
        original = (folder / source).read_bytes()
        changed = original.replace(bare.encode(), path.encode()) if bare else original
        lines = [line for line in changed.splitlines() if not line.startswith(b"//# sourceMappingURL=")]
        content = b"\n".join(lines) + b"\n"
        (VENDOR / name).write_bytes(content)
        licence = f"{package}.LICENSE"
        (VENDOR / licence).write_bytes((folder / "LICENSE").read_bytes())
        listed.append(
            {
                "file": name,
                "package": package,
                "version": about["version"],
                "licence": about["license"],
                "licence_file": licence,
                "source": source,
                "source_sha256": sha256(original).hexdigest(),
                "sha256": sha256(content).hexdigest(),
            }
        )
    LIST.write_text(json.dumps(listed, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    renew()
