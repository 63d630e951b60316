"""The client that was generated from ``schema.prisma``, used as it is but for what is put right here."""

from __future__ import annotations

import sys

from mediagate.errors import ConfigError

# The command line of httpx, which nobody calls here, imports rich: a tenth of the time in which the service starts.
_UNUSED = "httpx._main"
_absent = _UNUSED not in sys.modules
if _absent:
    sys.modules[_UNUSED] = None  # type: ignore[assignment]  # as the import system has it for "not to be found"
try:
    from mediagate.records.client import Prisma, _builder
    from mediagate.records.client.engine import errors
    from mediagate.records.client.engine._query import AsyncQueryEngine
except ImportError as exc:
    raise ConfigError(
        "the Prisma client is not built: install with `pip install .` or `pip install -e .`, which generates it "
        f"from schema.prisma ({exc})"
    ) from exc
finally:
    if _absent:
        del sys.modules[_UNUSED]

__all__ = ["AsyncQueryEngine", "Prisma", "errors"]


def _only_newlines(text: str, prefix: str) -> str:
    return prefix + text.replace("\n", "\n" + prefix)


# The client indents its queries with textwrap, for which U+2028 in a string ends a line: it puts blanks into values.
vars(_builder)["indent"] = _only_newlines

_find_columns = _builder.QueryBuilder.get_default_fields
_columns: dict[type, list[str]] = {}


def _columns_of(builder: _builder.QueryBuilder, model: type) -> list[str]:
    if model not in _columns:
        _columns[model] = _find_columns(builder, model)
    return _columns[model]


# The client finds out for each query which columns a model has, which took a third of the host's time per query.
setattr(_builder.QueryBuilder, "get_default_fields", _columns_of)  # noqa: B010  # mypy: a method is assigned
