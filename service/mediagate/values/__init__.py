"""The nouns of mediagate: plain values that every room may use; no input or output, no settings."""

from mediagate.values.caller import Action, Principal, check_owner, owner_and_key, owner_seen_by
from mediagate.values.direct_upload import ANY_TYPE, DECLARABLE, DirectUpload, UploadTarget
from mediagate.values.events import Event, EventsOf, EventType, no_events
from mediagate.values.ids import new_id
from mediagate.values.image import Decision, ImageInfo, Rendered, RenderedFile, Verdict
from mediagate.values.incoming_upload import IncomingUpload
from mediagate.values.job import Job, JobPage, JobState, JobStatus, Stage
from mediagate.values.layout import (
    CONTENT_TYPES,
    EXTENSIONS,
    MEDIA,
    PUBLISHED,
    STAGING,
    media_id_of,
    media_prefixes,
    original_key,
    segment,
    source_type_of,
    staged_id,
    staging_key,
    variant_key,
)
from mediagate.values.media import Media, MediaPage, Variant
from mediagate.values.owner_data import NOUNS_OF_CORE, Erased, Erasure, Export, Exported
from mediagate.values.rejudging import (
    RejudgeAction,
    Rejudgement,
    RejudgementEnd,
    RejudgementStatus,
    Rejudging,
    rejudgement_id,
)
from mediagate.values.status import FileUrl, PublishedMedia, Status, UrlOf, published, status_of
from mediagate.values.times import iso, utcnow
from mediagate.values.upload_fields import UploadFields, display_name, read_fields, read_focal, source_id_text
from mediagate.values.usage import Usage, UsageReport, added

__all__ = [
    "ANY_TYPE",
    "CONTENT_TYPES",
    "DECLARABLE",
    "EXTENSIONS",
    "MEDIA",
    "NOUNS_OF_CORE",
    "PUBLISHED",
    "STAGING",
    "Action",
    "Decision",
    "DirectUpload",
    "Erased",
    "Erasure",
    "Event",
    "EventType",
    "EventsOf",
    "Export",
    "Exported",
    "FileUrl",
    "ImageInfo",
    "IncomingUpload",
    "Job",
    "JobPage",
    "JobState",
    "JobStatus",
    "Media",
    "MediaPage",
    "Principal",
    "PublishedMedia",
    "RejudgeAction",
    "Rejudgement",
    "RejudgementEnd",
    "RejudgementStatus",
    "Rejudging",
    "Rendered",
    "RenderedFile",
    "Stage",
    "Status",
    "UploadFields",
    "UploadTarget",
    "UrlOf",
    "Usage",
    "UsageReport",
    "Variant",
    "Verdict",
    "added",
    "check_owner",
    "display_name",
    "iso",
    "media_id_of",
    "media_prefixes",
    "new_id",
    "no_events",
    "original_key",
    "owner_and_key",
    "owner_seen_by",
    "published",
    "read_fields",
    "read_focal",
    "rejudgement_id",
    "segment",
    "source_id_text",
    "source_type_of",
    "staged_id",
    "staging_key",
    "status_of",
    "utcnow",
    "variant_key",
]
