"""Records in memory: for tests, and to read what records must do without a database in the way."""

from mediagate.records.memory.records import MemoryRecords

__all__ = ["MemoryRecords"]
