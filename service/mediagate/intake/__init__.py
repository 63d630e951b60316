"""From a request's body, or a Python source, to a recorded job."""

from mediagate.intake.acceptance import accept, reserve
from mediagate.intake.admission import Admission
from mediagate.intake.backlog import Backlog
from mediagate.intake.body import Patience, open_body
from mediagate.intake.completion import complete
from mediagate.intake.content import find_open_upload, keep_file, lock_content
from mediagate.intake.declaration import declare, read_declaration
from mediagate.intake.multipart import FormUpload, display_name, receive_upload
from mediagate.intake.places import Places
from mediagate.intake.plain import receive_file, receive_json
from mediagate.intake.request import Incoming, closes_unread
from mediagate.intake.spool import Readable, SpooledFile, probe_spool, receive_source, sweep_spool
from mediagate.intake.unknown_names import find_unknown

__all__ = [
    "Admission",
    "Backlog",
    "FormUpload",
    "Incoming",
    "Patience",
    "Places",
    "Readable",
    "SpooledFile",
    "accept",
    "closes_unread",
    "complete",
    "declare",
    "display_name",
    "find_open_upload",
    "find_unknown",
    "keep_file",
    "lock_content",
    "open_body",
    "probe_spool",
    "read_declaration",
    "receive_file",
    "receive_json",
    "receive_source",
    "receive_upload",
    "reserve",
    "sweep_spool",
]
