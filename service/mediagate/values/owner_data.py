"""The data of one owner: what plugins are asked for, and the results of erasing and exporting it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TABLE = re.compile(r"[a-z][a-z0-9_]{0,63}")
NOUNS_OF_CORE = ("jobs", "media", "direct uploads", "files", "batches")
"""What ``erase`` itself counts."""
TABLES_OF_CORE = ("batches", "export", "jobs", "uploads", "usage")
"""Names in an export that plugins cannot use."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """An owner whose data is being erased, passed to ``pre_erase`` hooks, which delete what their plugin stores."""

    owner: str
    keys: frozenset[str] = frozenset()
    """The ids of the credentials that the owner's jobs on record were uploaded with."""
    removed: dict[str, int] = field(default_factory=dict)
    """Number of removed rows by a plural noun, such as ``"API keys"``; a hook adds its own with ``add``."""

    def add(self, noun: str, number: int) -> None:
        """Count removed rows under a plural noun, in addition to those before.

        Raises ``ValueError`` for a noun of the core: jobs, media, direct uploads, files and batches.
        """
        if noun in NOUNS_OF_CORE:
            raise ValueError(f"noun {noun!r}: the core counts these; use another one")
        self.removed[noun] = self.removed.get(noun, 0) + number


@dataclass(frozen=True, slots=True)
class Erased:
    """What one call of ``erase`` removed; equal to ``Erased()`` if the owner had no data."""

    jobs: int = 0
    media: int = 0
    uploads: int = 0
    """Direct uploads."""
    files: int = 0
    """Files in the storage: variants, originals and quarantined files."""
    others: Mapping[str, int] = field(default_factory=dict)
    """Rows of plugins, such as ``{"API keys": 2}``."""
    complete: bool = True
    """``False`` if data of the owner arrived during the call and is still on record: call ``erase`` again."""
    batches: int = 0


@dataclass(frozen=True, slots=True)
class Export:
    """An owner whose data is being exported, passed to ``pre_export`` hooks, which add what their plugin stores."""

    owner: str
    tables: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)

    def add(self, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add ``{table}.jsonl`` to the archive, with one JSON object per row.

        The rows are held in memory until they are written. Raises ``ValueError`` for a name that is malformed or taken.
        """
        if not TABLE.fullmatch(table) or table in TABLES_OF_CORE or table in self.tables:
            raise ValueError(f"table {table!r}: use a-z, 0-9 and _, and a name that is not taken")
        self.tables[table] = list(rows)


@dataclass(frozen=True, slots=True)
class Exported:
    """The archive that ``export`` wrote, and the numbers of its records and files."""

    path: Path
    jobs: int = 0
    media: int = 0
    uploads: int = 0
    """Direct uploads."""
    files: int = 0
    """Variants and originals."""
    bytes: int = 0
    """Total size of these files."""
    missing: int = 0
    """Files of media on record that the storage does not have."""
    others: Mapping[str, int] = field(default_factory=dict)
    """Rows of plugins by table."""
    batches: int = 0
