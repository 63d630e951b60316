"""What an open gate can be asked from Python, and the parts that it works with."""

from mediagate.api.calls import Calls
from mediagate.api.defaults import assemble
from mediagate.api.jobs import StatusPage
from mediagate.api.media import PublishedPage
from mediagate.api.runtime import open_runtime

__all__ = ["Calls", "PublishedPage", "StatusPage", "assemble", "open_runtime"]
