"""Conversion between direct uploads and database rows."""

from __future__ import annotations

from typing import Any

from mediagate.records.client_patches import models
from mediagate.values import DirectUpload, UploadFields, read_crop


def upload_row(upload: DirectUpload) -> Any:
    """Return the columns of a direct upload."""
    return {
        "id": upload.id,
        "sourceType": upload.ticket.source_type,
        "sourceId": upload.ticket.source_id,
        "contentType": upload.content_type,
        "bytes": upload.bytes,
        "filename": upload.ticket.filename,
        "clientReferenceId": upload.ticket.client_reference_id,
        "callbackUrl": upload.ticket.callback_url,
        "focalX": upload.ticket.focal_x,
        "focalY": upload.ticket.focal_y,
        "crop": None if upload.ticket.crop is None else str(upload.ticket.crop),
        "tokenHash": upload.token_hash,
        "jobId": upload.job_id,
        "ownerId": upload.owner_id,
        "keyId": upload.key_id,
        "createdAt": upload.created_at,
        "expiresAt": upload.expires_at,
    }


def upload_of(row: models.MediagateUpload) -> DirectUpload:
    """Return the direct upload of a row."""
    return DirectUpload(
        id=row.id,
        ticket=UploadFields(
            row.sourceType,
            row.sourceId,
            row.filename,
            row.clientReferenceId,
            row.callbackUrl,
            row.focalX,
            row.focalY,
            read_crop(row.crop),
        ),
        content_type=row.contentType,
        bytes=row.bytes,
        created_at=row.createdAt,
        expires_at=row.expiresAt,
        token_hash=row.tokenHash,
        job_id=row.jobId,
        owner_id=row.ownerId,
        key_id=row.keyId,
    )
