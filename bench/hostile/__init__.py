"""Attacks that cost their sender little, each beside somebody innocent: ``python -m bench.hostile``."""
