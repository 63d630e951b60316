"""The reception of uploads: from a request's body, or a Python source, to a recorded job."""

from mediagate.intake.backlog import Backlog
from mediagate.intake.batch_reception import BatchReception
from mediagate.intake.batches import MOST_JOBS, BatchOrder
from mediagate.intake.declaration import Declaration
from mediagate.intake.multipart import FormFile, FormLimits
from mediagate.intake.pipelines import SOURCE_ID, OrderInput, PipelineOrder, accept_order
from mediagate.intake.places import Places
from mediagate.intake.prices import check_credits
from mediagate.intake.reception import Reception
from mediagate.intake.spool import Readable, probe_spool, sweep_spool
from mediagate.intake.unknown_names import find_unknown
from mediagate.intake.uploads import Intake

__all__ = [
    "MOST_JOBS",
    "SOURCE_ID",
    "Backlog",
    "BatchOrder",
    "BatchReception",
    "Declaration",
    "FormFile",
    "FormLimits",
    "Intake",
    "OrderInput",
    "PipelineOrder",
    "Places",
    "Readable",
    "Reception",
    "accept_order",
    "check_credits",
    "find_unknown",
    "probe_spool",
    "sweep_spool",
]
