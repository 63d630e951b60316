"""Which source types have private files."""

from __future__ import annotations

from mediagate import Source
from mediagate.storage import PrivateSources


def test_private_sources_are_those_that_are_private_or_unknown() -> None:
    private = PrivateSources({"avatar": Source(), "document": Source(visibility="private")})
    assert [name in private for name in ("avatar", "document", "post")] == [False, True, True]


def test_private_sources_without_any_source_are_all() -> None:
    assert "avatar" in PrivateSources({})
