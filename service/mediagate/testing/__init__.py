"""Testing support: a host's gate with replaced parts, and conformance checks for storages and records."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mediagate.testing.isolation import isolated
    from mediagate.testing.judge import Judge
    from mediagate.testing.records import check_records
    from mediagate.testing.storage import check_storage

_HOMES = {
    "Judge": "mediagate.testing.judge",
    "check_records": "mediagate.testing.records",
    "check_storage": "mediagate.testing.storage",
    "isolated": "mediagate.testing.isolation",
}

__all__ = ["Judge", "check_records", "check_storage", "isolated"]


def __getattr__(name: str) -> Any:
    # Imported lazily: image processes load the judge and need no database for that.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
