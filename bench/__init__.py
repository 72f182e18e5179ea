"""Benchmarks, and the traffic that they run on."""

import sys
from pathlib import Path

# The functions' packages are found from their folder, as in Lambda.
sys.path.insert(0, str(Path(__file__).parent.parent / "functions"))
