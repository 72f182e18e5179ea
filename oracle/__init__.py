"""Says who is in which cohort, since when and until when, from raw facts and definitions alone.

It knows neither SQL nor deadlines and is slow on purpose: what the cohorts' evaluator tells is held against it.
"""

import sys
from pathlib import Path

# The evaluator's definitions import each other as in Lambda, by names below functions/.
sys.path.append(str(Path(__file__).parent.parent / "functions"))
