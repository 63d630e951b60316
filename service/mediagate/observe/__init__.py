"""What the core tells of itself: observers for metrics and traces, and log lines."""

from mediagate.observe.logs import LogFormat, WithoutQuery, about, cause_of, configure_logs, configured_format
from mediagate.observe.observer import DeliveryEnd, ImageProcessEnd, Observer, Observers, Step, StorageCall

__all__ = [
    "DeliveryEnd",
    "ImageProcessEnd",
    "LogFormat",
    "Observer",
    "Observers",
    "Step",
    "StorageCall",
    "WithoutQuery",
    "about",
    "cause_of",
    "configure_logs",
    "configured_format",
]
