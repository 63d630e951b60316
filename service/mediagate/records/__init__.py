"""Jobs and media rows: the protocol, the Prisma implementation, and an in-memory one for tests."""

from mediagate.records.allowance import Allowance
from mediagate.records.database import Database
from mediagate.records.locks import Lock, hold
from mediagate.records.lookup import get_job, get_state
from mediagate.records.memory import MemoryRecords
from mediagate.records.migration import migrate
from mediagate.records.node import describe_node
from mediagate.records.prisma import PrismaRecords
from mediagate.records.protocol import Identity, Records
from mediagate.records.reservation import Reservation
from mediagate.records.settlement import Settlement

__all__ = [
    "Allowance",
    "Database",
    "Identity",
    "Lock",
    "MemoryRecords",
    "PrismaRecords",
    "Records",
    "Reservation",
    "Settlement",
    "describe_node",
    "get_job",
    "get_state",
    "hold",
    "migrate",
]
