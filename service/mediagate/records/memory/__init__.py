"""Records in memory: for tests, and as a readable reference without a database."""

from mediagate.records.memory.records import MemoryRecords

__all__ = ["MemoryRecords"]
