"""Jobs and media rows: the protocol, the Prisma implementation, and one in memory for tests."""

from mediagate.records.allowance import Allowance
from mediagate.records.locks import Lock, hold
from mediagate.records.memory import MemoryRecords
from mediagate.records.migration import migrate
from mediagate.records.node import describe_node
from mediagate.records.prisma import PrismaRecords
from mediagate.records.protocol import Identity, Records
from mediagate.records.queries import adds, ask, read
from mediagate.records.reservation import Reservation
from mediagate.records.settlement import Settlement
from mediagate.records.sql import Database

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
    "adds",
    "ask",
    "describe_node",
    "hold",
    "migrate",
    "read",
]
