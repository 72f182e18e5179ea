"""The local stack: everything that template.yaml declares, on 127.0.0.1, without Docker and without an AWS account."""

import sys
from pathlib import Path

# The demonstration and the samples know the providers; what runs as a function is started with paths of its own.
sys.path.append(str(Path(__file__).parent.parent / "functions"))
