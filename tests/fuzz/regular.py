"""`python -m tests.fuzz.regular`: damaged bodies for the loader's library, under AddressSanitizer and UBSan.

Needs a C compiler of this machine's that has both (gcc, clang); ends with its exit code: 0 where nothing was found.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

from bench.calls import write_calls
from bench.traffic import batches
from providers._sparkpost_regular import FIELDS
from s3_loader.regular import RENDERED_TYPES
from tests.unit.sources.samples import CALL

HERE = Path(__file__).parent
PAYLOADS = HERE.parent / "payloads" / "sparkpost"
FLAGS = ("-std=c11", "-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def main() -> int:
    """Compiles, makes bodies, runs; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.regular", description=__doc__)
    parser.add_argument("--rounds", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as path:
        folder = Path(path)
        lists = {"FIELDS": FIELDS, "TYPES": RENDERED_TYPES, "CLASSES": RENDERED_TYPES.values()}
        header = [f"#define {what} " + ", ".join(f'"{name}"' for name in names) for what, names in lists.items()]
        (folder / "names.h").write_text("\n".join(header) + "\n", encoding="utf-8")
        bodies = [path.read_bytes() for path in PAYLOADS.glob("*.json")]
        bodies += (body for size in (1, 4) for body in batches(600 * size, seed=given.seed, batch_size=size))
        calls = [body for size in (1, 4) for body in write_calls(given.seed, 600 * size, size)]
        calls += [json.dumps(CALL).encode(), json.dumps([CALL, CALL], indent=1).encode()]
        return _run(folder, "regular", bodies, given) or _run(folder, "calls", calls, given)


def _run(folder: Path, name: str, bodies: list[bytes], given: argparse.Namespace) -> int:
    (folder / "bodies").write_bytes(b"".join(len(body).to_bytes(4, "little") + body for body in bodies))
    program = folder / name
    compiler = os.environ.get("CC", "cc")
    subprocess.run([compiler, *FLAGS, f"-I{folder}", "-o", program, HERE / f"{name}.c"], check=True)
    print(f"{name}: seed {given.seed}, {given.rounds:,} rounds over {len(bodies):,} bodies", flush=True)
    return subprocess.run([program, str(given.seed), str(given.rounds), folder / "bodies"], check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main())
