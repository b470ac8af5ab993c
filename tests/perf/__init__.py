"""Benchmarks: ``python -m tests.perf`` prints one JSON line for each number."""
