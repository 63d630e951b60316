"""Receiving files: bodies and Python sources, streamed into spool files under limits."""

from mediagate.uploads.body import Patience, opened_body
from mediagate.uploads.incoming import Incoming, closes_unread
from mediagate.uploads.multipart_body import Upload, display_name, receive_upload
from mediagate.uploads.plain_body import receive_file, receive_json
from mediagate.uploads.spool import Readable, Spooled, probe_spool, spool, sweep_spool

__all__ = [
    "Incoming",
    "Patience",
    "Readable",
    "Spooled",
    "Upload",
    "closes_unread",
    "display_name",
    "opened_body",
    "probe_spool",
    "receive_file",
    "receive_json",
    "receive_upload",
    "spool",
    "sweep_spool",
]
