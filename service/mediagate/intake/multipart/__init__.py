"""Bodies of ``multipart/form-data``: that of an upload, and that of pipelines."""

from mediagate.intake.multipart.pipeline import (
    MAX_REQUEST,
    ONE,
    FormFile,
    FormLimits,
    FormPipeline,
    receive_pipeline,
)
from mediagate.intake.multipart.upload import FormUpload, receive_upload

__all__ = [
    "MAX_REQUEST",
    "ONE",
    "FormFile",
    "FormLimits",
    "FormPipeline",
    "FormUpload",
    "receive_pipeline",
    "receive_upload",
]
