"""The Python API of an open gate, and the assembly of its parts."""

from mediagate.api.batches import BatchItem
from mediagate.api.calls import Calls
from mediagate.api.defaults import assemble
from mediagate.api.jobs import StatusPage
from mediagate.api.media import PublishedPage
from mediagate.api.runtime import open_runtime
from mediagate.api.trial import Trial, open_trial

__all__ = ["BatchItem", "Calls", "PublishedPage", "StatusPage", "Trial", "assemble", "open_runtime", "open_trial"]
