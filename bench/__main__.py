"""`python -m bench` is `bench`."""

from __future__ import annotations

import sys

from bench.cli import main

if __name__ == "__main__":  # spawned workers import this module again
    sys.exit(main())
