"""Measures dev servers for the README: `python -m benchmarks --help`."""
