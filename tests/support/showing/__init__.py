"""What is shown beside what was judged: the engine watched, its files in Chromium and in Pillow, compared."""
