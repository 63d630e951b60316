"""Observability: observers for metrics and traces, and log lines."""

from mediagate.observe.logs import (
    JSONFormatter,
    LogFormat,
    WithoutQuery,
    about,
    cause_of,
    configure_logs,
    configured_format,
)
from mediagate.observe.observer import DeliveryEnd, ImageProcessEnd, Observer, Observers, Step, StorageCall

__all__ = [
    "DeliveryEnd",
    "ImageProcessEnd",
    "JSONFormatter",
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
