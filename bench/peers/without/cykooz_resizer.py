"""Stands before the installed library on the path, so that mediagate resizes with Pillow."""

raise ImportError("hidden, to measure what Pillow does")
