"""Public checks that an implementation keeps the promises of its protocol."""

from mediagate.testing.records import check_records
from mediagate.testing.storage import check_storage

__all__ = ["check_records", "check_storage"]
