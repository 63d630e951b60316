"""Patches of the client that is generated from ``schema.prisma``."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import ClassVar

from mediagate.errors import ConfigError

# The command line of httpx, which is never called here, imports rich: a tenth of the service's start-up time.
_UNUSED = "httpx._main"
_absent = _UNUSED not in sys.modules
if _absent:
    sys.modules[_UNUSED] = ModuleType(_UNUSED)
try:
    from mediagate.records.client import Prisma, _base_client, _builder, models
    from mediagate.records.client.engine import errors
    from mediagate.records.client.engine._query import AsyncQueryEngine
    from mediagate.records.client.errors import (
        DataError,
        ForeignKeyViolationError,
        PrismaError,
        RecordNotFoundError,
        UniqueViolationError,
    )
except ImportError as exc:
    raise ConfigError(
        "the Prisma client is not built: install with `pip install .` or `pip install -e .`, which generates it "
        f"from schema.prisma ({exc})"
    ) from exc
finally:
    if _absent:
        del sys.modules[_UNUSED]

__all__ = [
    "AsyncQueryEngine",
    "DataError",
    "ForeignKeyViolationError",
    "Prisma",
    "PrismaError",
    "RecordNotFoundError",
    "UniqueViolationError",
    "errors",
    "models",
]


def _only_newlines(text: str, prefix: str) -> str:
    return prefix + text.replace("\n", "\n" + prefix)


# The client indents its queries with textwrap, which treats U+2028 in a string as a line end and so inserts blanks into
# values.
vars(_builder)["indent"] = _only_newlines


class _QueryBuilder(_builder.QueryBuilder):
    """Caches the columns of a model: looking them up for each query took a third of the host's time for it."""

    _columns: ClassVar[dict[type, list[str]]] = {}

    def get_default_fields(self, model: type) -> list[str]:
        if model not in self._columns:
            self._columns[model] = super().get_default_fields(model)
        return self._columns[model]


vars(_base_client)["QueryBuilder"] = _QueryBuilder
