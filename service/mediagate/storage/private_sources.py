"""Which source types have private files."""

from __future__ import annotations

from collections.abc import Container, Mapping

from mediagate.config import Source


class PrivateSources(Container[str]):
    """The source types whose files are private: those of private sources, and all that are not among ``sources``.

    A source that is no longer configured may have been private.
    """

    def __init__(self, sources: Mapping[str, Source]) -> None:
        self._public = frozenset(name for name, source in sources.items() if source.visibility != "private")

    def __contains__(self, source_type: object) -> bool:
        return source_type not in self._public
