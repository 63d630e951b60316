"""The errors that mediagate raises or answers, each with a stable code, an HTTP status and whether to retry.

MediagateError
├── ConfigError                  the gate cannot start; ``problems`` names every fault at once
├── PluginError                  a plugin was registered, required or closed incorrectly
├── RequestError                 the request is at fault; its sender can correct it
│   ├── BadUpload                400 bad_upload
│   ├── UnknownSource            400 unknown_source
│   ├── InvalidSourceId          400 invalid_source_id
│   ├── InvalidParameter         400 invalid_parameter
│   ├── Unauthorized             401 unauthorized
│   ├── Forbidden                403 forbidden
│   ├── CrossSiteRequest         403 cross_site_request
│   ├── HostNotAllowed           403 host_not_allowed
│   ├── UploadRefused            403 upload_refused (by a ``pre_upload`` hook)
│   ├── UrlExpired               403 url_expired
│   ├── JobNotFound              404 job_not_found
│   ├── BatchNotFound            404 batch_not_found
│   ├── MediaNotFound            404 media_not_found
│   ├── UploadNotFound           404 upload_not_found
│   ├── OwnerNotFound            404 owner_not_found
│   ├── FileNotServed            404 file_not_found
│   ├── RouteNotFound            404 not_found
│   ├── MethodNotAllowed         405 method_not_allowed
│   ├── HeadTimeout              408 head_timeout
│   ├── UploadTimeout            408 upload_timeout
│   ├── JobConflict              409 job_conflict
│   ├── UploadInFlight           409 upload_in_flight
│   ├── UploadNotReceived        409 upload_not_received
│   ├── UploadReceived           409 upload_received
│   ├── MediaDeleted             410 media_deleted
│   ├── UploadExpired            410 upload_expired
│   ├── LengthRequired           411 length_required
│   ├── UploadTooLarge           413 upload_too_large
│   ├── UnsupportedType          415 unsupported_type
│   ├── UnsupportedEncoding      415 unsupported_encoding
│   ├── InvalidCrop              422 invalid_crop
│   ├── PasswordRequired         422 password_required
│   ├── UndecodableImage         422 image_undecodable
│   ├── ImageTooLarge            422 image_too_large
│   ├── AnimationRefused         422 animation_refused
│   ├── UploadMismatch           422 upload_mismatch
│   ├── IdempotencyKeyReused     422 idempotency_key_reused
│   ├── CallbacksUnavailable     422 callbacks_unavailable
│   ├── ConflictingParameters    422 conflicting_parameters
│   ├── InvalidPipeline          422 invalid_pipeline
│   ├── OperationFailed          422 operation_failed
│   ├── RateLimited              429 rate_limited
│   └── HeadTooLarge             431 head_too_large
├── Unavailable                  503: try again later
│   ├── ShuttingDown             503 shutting_down
│   ├── QueueFull                503 queue_full
│   ├── TooManyUploads           503 too_many_uploads
│   ├── TooManyConnections       503 too_many_connections
│   ├── TooManyDownloads         503 too_many_downloads
│   ├── ImageReadersBusy         503 image_readers_busy
│   ├── RecordsUnavailable       503 records_unavailable
│   │   ├── SchemaOutdated       503 schema_outdated
│   │   └── RecordsRefused       503 records_refused
│   ├── ModeratorUnavailable     503 moderator_unavailable
│   └── StorageUnavailable       503 storage_unavailable
├── ObjectNotFound               no object under a storage key
├── ObjectChanged                an object was replaced since it was read
├── ProcessingError              one image could not be processed; only its job ends
│   ├── ImageCrashed             image_crashed
│   ├── ImageTimeout             image_timeout
│   ├── ModerationFailed         moderation_failed
│   ├── ProcessingRefused        processing_refused (by a ``pre_*`` hook)
│   ├── StagedFileLost           staged_file_lost
│   └── PublishedFileLost        published_file_lost
├── ExportFailed                 the archive of an export could not be written
└── WaitTimeout                  ``wait()`` timed out; the job continues
"""

from __future__ import annotations

from mediagate.errors.base import (
    ConfigError,
    ExportFailed,
    MediagateError,
    ObjectChanged,
    ObjectNotFound,
    PluginError,
    WaitTimeout,
    known_error,
    members,
)
from mediagate.errors.pictures import (
    AnimationRefused,
    ImageTooLarge,
    InvalidCrop,
    PasswordRequired,
    UndecodableImage,
)
from mediagate.errors.pipelines import Faults, InvalidPipeline, OperationFailed
from mediagate.errors.processing import (
    ImageCrashed,
    ImageTimeout,
    ModerationFailed,
    ProcessingError,
    ProcessingRefused,
    PublishedFileLost,
    StagedFileLost,
)
from mediagate.errors.requests import (
    BadUpload,
    BatchNotFound,
    CallbacksUnavailable,
    ConflictingParameters,
    CrossSiteRequest,
    FileNotServed,
    Forbidden,
    HeadTimeout,
    HeadTooLarge,
    HostNotAllowed,
    IdempotencyKeyReused,
    InvalidParameter,
    InvalidSourceId,
    JobConflict,
    JobNotFound,
    LengthRequired,
    MediaDeleted,
    MediaNotFound,
    MethodNotAllowed,
    OwnerNotFound,
    RateLimited,
    RequestError,
    RouteNotFound,
    Unauthorized,
    UnknownSource,
    UnsupportedEncoding,
    UnsupportedType,
    UploadExpired,
    UploadInFlight,
    UploadMismatch,
    UploadNotFound,
    UploadNotReceived,
    UploadReceived,
    UploadRefused,
    UploadTimeout,
    UploadTooLarge,
    UrlExpired,
)
from mediagate.errors.unavailable import (
    ImageReadersBusy,
    ModeratorUnavailable,
    QueueFull,
    RecordsRefused,
    RecordsUnavailable,
    SchemaOutdated,
    ShuttingDown,
    StorageUnavailable,
    TooManyConnections,
    TooManyDownloads,
    TooManyUploads,
    Unavailable,
)

__all__ = [
    "AnimationRefused",
    "BadUpload",
    "BatchNotFound",
    "CallbacksUnavailable",
    "ConfigError",
    "ConflictingParameters",
    "CrossSiteRequest",
    "ExportFailed",
    "Faults",
    "FileNotServed",
    "Forbidden",
    "HeadTimeout",
    "HeadTooLarge",
    "HostNotAllowed",
    "IdempotencyKeyReused",
    "ImageCrashed",
    "ImageReadersBusy",
    "ImageTimeout",
    "ImageTooLarge",
    "InvalidCrop",
    "InvalidParameter",
    "InvalidPipeline",
    "InvalidSourceId",
    "JobConflict",
    "JobNotFound",
    "LengthRequired",
    "MediaDeleted",
    "MediaNotFound",
    "MediagateError",
    "MethodNotAllowed",
    "ModerationFailed",
    "ModeratorUnavailable",
    "ObjectChanged",
    "ObjectNotFound",
    "OperationFailed",
    "OwnerNotFound",
    "PasswordRequired",
    "PluginError",
    "ProcessingError",
    "ProcessingRefused",
    "PublishedFileLost",
    "QueueFull",
    "RateLimited",
    "RecordsRefused",
    "RecordsUnavailable",
    "RequestError",
    "RouteNotFound",
    "SchemaOutdated",
    "ShuttingDown",
    "StagedFileLost",
    "StorageUnavailable",
    "TooManyConnections",
    "TooManyDownloads",
    "TooManyUploads",
    "Unauthorized",
    "Unavailable",
    "UndecodableImage",
    "UnknownSource",
    "UnsupportedEncoding",
    "UnsupportedType",
    "UploadExpired",
    "UploadInFlight",
    "UploadMismatch",
    "UploadNotFound",
    "UploadNotReceived",
    "UploadReceived",
    "UploadRefused",
    "UploadTimeout",
    "UploadTooLarge",
    "UrlExpired",
    "WaitTimeout",
    "known_error",
    "members",
]
