"""Copies of all files of one storage to another: compared, copied, verified."""

from mediagate.transfer.copier import Copier, Outcome, Result
from mediagate.transfer.inventory import Inventory
from mediagate.transfer.ownership import Marks, check_apart, check_content, check_deletion, claim, read_marks

__all__ = [
    "Copier",
    "Inventory",
    "Marks",
    "Outcome",
    "Result",
    "check_apart",
    "check_content",
    "check_deletion",
    "claim",
    "read_marks",
]
