"""From a request's body, or a Python source, to a recorded job."""

from mediagate.intake.accept import accept, reserved
from mediagate.intake.admission import Admission
from mediagate.intake.backlog import Pace
from mediagate.intake.body import Patience, opened_body
from mediagate.intake.content import awaited, keep_file, sole_sender
from mediagate.intake.direct import complete, declare, read_declaration
from mediagate.intake.multipart import Upload, display_name, receive_upload
from mediagate.intake.places import Places
from mediagate.intake.plain import receive_file, receive_json
from mediagate.intake.request import Incoming, closes_unread
from mediagate.intake.spool import Readable, Spooled, probe_spool, spool, sweep_spool
from mediagate.intake.unknown_names import passed_over

__all__ = [
    "Admission",
    "Incoming",
    "Pace",
    "Patience",
    "Places",
    "Readable",
    "Spooled",
    "Upload",
    "accept",
    "awaited",
    "closes_unread",
    "complete",
    "declare",
    "display_name",
    "keep_file",
    "opened_body",
    "passed_over",
    "probe_spool",
    "read_declaration",
    "receive_file",
    "receive_json",
    "receive_upload",
    "reserved",
    "sole_sender",
    "spool",
    "sweep_spool",
]
