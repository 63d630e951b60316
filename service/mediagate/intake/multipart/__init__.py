"""Bodies of ``multipart/form-data``: that of an upload, and that of pipelines."""

from mediagate.intake.multipart.pipeline import (
    MAX_REQUEST,
    MOST_FILES,
    ONE,
    FormFile,
    FormLimits,
    FormPipeline,
    receive_pipeline,
)
from mediagate.intake.multipart.upload import FormUpload, receive_upload

__all__ = [
    "MAX_REQUEST",
    "MOST_FILES",
    "ONE",
    "FormFile",
    "FormLimits",
    "FormPipeline",
    "FormUpload",
    "receive_pipeline",
    "receive_upload",
]
