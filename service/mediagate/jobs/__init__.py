"""The life of a job: from its record to its end, and the cleanup after crashes."""

from mediagate.jobs.batch_end import report_batch
from mediagate.jobs.end import resume_finish
from mediagate.jobs.events import job_events
from mediagate.jobs.file_mark import adopt, check_no_files, describe, recognize_files
from mediagate.jobs.janitor import Janitor, what_to_do
from mediagate.jobs.publishing import delete_media, delete_outputs, made_files
from mediagate.jobs.takedown import end_rejudgement
from mediagate.jobs.watch import Watch, check_id, unknown_job
from mediagate.jobs.worker import Worker

__all__ = [
    "Janitor",
    "Watch",
    "Worker",
    "adopt",
    "check_id",
    "check_no_files",
    "delete_media",
    "delete_outputs",
    "describe",
    "end_rejudgement",
    "job_events",
    "made_files",
    "recognize_files",
    "report_batch",
    "resume_finish",
    "unknown_job",
    "what_to_do",
]
