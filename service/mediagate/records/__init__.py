"""Jobs and media rows: the protocol, the Prisma implementation, and an in-memory one for tests."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mediagate.records.allowance import Allowance
from mediagate.records.batches import Batches
from mediagate.records.locks import Lock, hold
from mediagate.records.lookup import get_job, get_state
from mediagate.records.memory import MemoryRecords
from mediagate.records.outputs import Outputs
from mediagate.records.protocol import Identity, Records
from mediagate.records.rejudgements import Rejudgements
from mediagate.records.reservation import Reservation
from mediagate.records.settlement import Settlement

if TYPE_CHECKING:
    from mediagate.records.database import Database
    from mediagate.records.engine import describe_engine
    from mediagate.records.migration import migrate
    from mediagate.records.prisma import PrismaRecords

_LATER = {
    "Database": "database",
    "PrismaRecords": "prisma",
    "describe_engine": "engine",
    "migrate": "migration",
}
"""Loaded lazily: the generated client takes a third of the time of ``import mediagate``."""

__all__ = [
    "Allowance",
    "Batches",
    "Database",
    "Identity",
    "Lock",
    "MemoryRecords",
    "Outputs",
    "PrismaRecords",
    "Records",
    "Rejudgements",
    "Reservation",
    "Settlement",
    "describe_engine",
    "get_job",
    "get_state",
    "hold",
    "migrate",
]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
