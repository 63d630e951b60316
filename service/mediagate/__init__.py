"""mediagate: a mountable Starlette sub-app that accepts image uploads and publishes only the safe ones."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mediagate.api import PublishedPage, StatusPage
    from mediagate.config import Settings, Source, VariantSpec
    from mediagate.gate import MediaGate
    from mediagate.http import FormHints, form_hints
    from mediagate.kernel import Check, HookName, Incoming, Key, Plugin, plugin
    from mediagate.moderation import Moderator, Picture, RemoteModerator
    from mediagate.parts import AUTHORIZE, EVENTS, MODERATOR, QUEUE, RECORDS, REMOTE_MODERATOR, STORAGE, Authorize
    from mediagate.queue import Queue
    from mediagate.records import Records
    from mediagate.storage import Storage
    from mediagate.values import (
        Action,
        DirectUpload,
        Erased,
        Erasure,
        Event,
        EventType,
        Export,
        Exported,
        IncomingUpload,
        Job,
        JobState,
        JobStatus,
        Media,
        Principal,
        PublishedMedia,
        Rendered,
        Stage,
        Status,
        UploadTarget,
        Usage,
        UsageReport,
        Variant,
        Verdict,
        iso,
        owner_seen_by,
    )

_HOMES = {
    "AUTHORIZE": "mediagate.parts",
    "Action": "mediagate.values",
    "Authorize": "mediagate.parts",
    "Check": "mediagate.kernel",
    "DirectUpload": "mediagate.values",
    "EVENTS": "mediagate.parts",
    "Erased": "mediagate.values",
    "Erasure": "mediagate.values",
    "Event": "mediagate.values",
    "EventType": "mediagate.values",
    "Export": "mediagate.values",
    "Exported": "mediagate.values",
    "FormHints": "mediagate.http",
    "HookName": "mediagate.kernel",
    "Incoming": "mediagate.kernel",
    "IncomingUpload": "mediagate.values",
    "Job": "mediagate.values",
    "JobState": "mediagate.values",
    "JobStatus": "mediagate.values",
    "Key": "mediagate.kernel",
    "MODERATOR": "mediagate.parts",
    "Media": "mediagate.values",
    "MediaGate": "mediagate.gate",
    "Moderator": "mediagate.moderation",
    "Picture": "mediagate.moderation",
    "Plugin": "mediagate.kernel",
    "Principal": "mediagate.values",
    "PublishedMedia": "mediagate.values",
    "PublishedPage": "mediagate.api",
    "QUEUE": "mediagate.parts",
    "Queue": "mediagate.queue",
    "RECORDS": "mediagate.parts",
    "REMOTE_MODERATOR": "mediagate.parts",
    "Records": "mediagate.records",
    "RemoteModerator": "mediagate.moderation",
    "Rendered": "mediagate.values",
    "STORAGE": "mediagate.parts",
    "Settings": "mediagate.config",
    "Source": "mediagate.config",
    "Stage": "mediagate.values",
    "Status": "mediagate.values",
    "StatusPage": "mediagate.api",
    "Storage": "mediagate.storage",
    "UploadTarget": "mediagate.values",
    "Usage": "mediagate.values",
    "UsageReport": "mediagate.values",
    "Variant": "mediagate.values",
    "VariantSpec": "mediagate.config",
    "Verdict": "mediagate.values",
    "form_hints": "mediagate.http",
    "iso": "mediagate.values",
    "owner_seen_by": "mediagate.values",
    "plugin": "mediagate.kernel",
}
"""The module of each public name, imported lazily: an image process needs neither the web nor the database parts."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


__all__ = [
    "AUTHORIZE",
    "EVENTS",
    "MODERATOR",
    "QUEUE",
    "RECORDS",
    "REMOTE_MODERATOR",
    "STORAGE",
    "Action",
    "Authorize",
    "Check",
    "DirectUpload",
    "Erased",
    "Erasure",
    "Event",
    "EventType",
    "Export",
    "Exported",
    "FormHints",
    "HookName",
    "Incoming",
    "IncomingUpload",
    "Job",
    "JobState",
    "JobStatus",
    "Key",
    "Media",
    "MediaGate",
    "Moderator",
    "Picture",
    "Plugin",
    "Principal",
    "PublishedMedia",
    "PublishedPage",
    "Queue",
    "Records",
    "RemoteModerator",
    "Rendered",
    "Settings",
    "Source",
    "Stage",
    "Status",
    "StatusPage",
    "Storage",
    "UploadTarget",
    "Usage",
    "UsageReport",
    "Variant",
    "VariantSpec",
    "Verdict",
    "form_hints",
    "iso",
    "owner_seen_by",
    "plugin",
]
