"""How much is asked in this run, and what was answered."""

import os
import secrets
from collections import Counter

# A long run draws another seed each time, the short one of every `make check` the same.
IS_LONG = "FUZZ_EXAMPLES" in os.environ
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "20"))
SEED = int(os.environ.get("FUZZ_SEED") or (secrets.randbelow(10**9) if IS_LONG else 1))
FIGURES: dict[str, Counter[int]] = {}
"""Statuses of the answers, by operation."""
