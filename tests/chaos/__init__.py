"""Kill the real scheduler under load, again and again: ``python -m tests.chaos --rounds N``."""
