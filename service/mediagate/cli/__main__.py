"""``python -m mediagate.cli`` is the command ``mediagate``."""

from mediagate.cli import main

main()
