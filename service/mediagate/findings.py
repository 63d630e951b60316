"""What an examination of a part finds: the lines of ``mediagate doctor``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report: what was looked at, and what is so or, when it is not ``ok``, what to do."""

    part: str
    ok: bool
    text: str


@runtime_checkable
class Examined(Protocol):
    """A storage may have this method besides its protocol's, to tell ``mediagate doctor`` more than ``check`` does."""

    def examine(self) -> AsyncIterator[Finding]:
        """Look at what the part depends on by using it, and yield what was found."""
