"""`python -m local`: the local stack's command line."""

import sys

from local.cli import main

if __name__ == "__main__":
    sys.exit(main())
