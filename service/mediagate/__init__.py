"""mediagate: a mountable Starlette sub-app that takes image uploads and lets only safe ones through."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mediagate.access import Action, Principal
    from mediagate.app import MediaGate
    from mediagate.calls import PublishedPage, StatusPage
    from mediagate.config import Settings, Source, VariantSpec
    from mediagate.direct_upload import DirectUpload, UploadTarget
    from mediagate.events import Event, EventType
    from mediagate.incoming_upload import IncomingUpload
    from mediagate.media import Job, JobState, JobStatus, Media, Rendered, Stage, Variant, Verdict
    from mediagate.moderation import Moderator, Picture, RemoteModerator
    from mediagate.parts import AUTHORIZE, EVENTS, MODERATOR, QUEUE, RECORDS, REMOTE_MODERATOR, STORAGE, Authorize
    from mediagate.plugins import Key, Plugin, plugin
    from mediagate.queue import Queue
    from mediagate.records import Records
    from mediagate.status import PublishedMedia, Status
    from mediagate.storage import Storage
    from mediagate.usage import Usage, UsageReport

_HOMES = {
    "AUTHORIZE": "mediagate.parts",
    "Action": "mediagate.access",
    "Authorize": "mediagate.parts",
    "DirectUpload": "mediagate.direct_upload",
    "EVENTS": "mediagate.parts",
    "Event": "mediagate.events",
    "EventType": "mediagate.events",
    "IncomingUpload": "mediagate.incoming_upload",
    "Job": "mediagate.media",
    "JobState": "mediagate.media",
    "JobStatus": "mediagate.media",
    "Key": "mediagate.plugins",
    "MODERATOR": "mediagate.parts",
    "Media": "mediagate.media",
    "MediaGate": "mediagate.app",
    "Moderator": "mediagate.moderation",
    "Picture": "mediagate.moderation",
    "Plugin": "mediagate.plugins",
    "Principal": "mediagate.access",
    "PublishedMedia": "mediagate.status",
    "PublishedPage": "mediagate.calls",
    "QUEUE": "mediagate.parts",
    "Queue": "mediagate.queue",
    "RECORDS": "mediagate.parts",
    "REMOTE_MODERATOR": "mediagate.parts",
    "Records": "mediagate.records",
    "RemoteModerator": "mediagate.moderation",
    "Rendered": "mediagate.media",
    "STORAGE": "mediagate.parts",
    "Settings": "mediagate.config",
    "Source": "mediagate.config",
    "Stage": "mediagate.media",
    "Status": "mediagate.status",
    "StatusPage": "mediagate.calls",
    "Storage": "mediagate.storage",
    "UploadTarget": "mediagate.direct_upload",
    "Usage": "mediagate.usage",
    "UsageReport": "mediagate.usage",
    "Variant": "mediagate.media",
    "VariantSpec": "mediagate.config",
    "Verdict": "mediagate.media",
    "plugin": "mediagate.plugins",
}
"""The module of each public name. Loaded on first use: an image process needs none of the web and database parts."""


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
    "DirectUpload",
    "Event",
    "EventType",
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
    "plugin",
]
