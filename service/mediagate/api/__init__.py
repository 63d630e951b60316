"""What an open gate can be asked from Python, and the parts that it works with."""

from mediagate.api.calls import Calls, PublishedPage, StatusPage
from mediagate.api.runtime import Runtime, assemble, jobs_at_once, start

__all__ = ["Calls", "PublishedPage", "Runtime", "StatusPage", "assemble", "jobs_at_once", "start"]
