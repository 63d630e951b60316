"""Receiving files: bodies and Python sources, streamed into spool files under limits."""

from mediagate.uploads.body import opened_body
from mediagate.uploads.incoming import Incoming, closes_unread
from mediagate.uploads.multipart_body import Upload, display_name, receive_upload
from mediagate.uploads.plain_body import receive_file, receive_json
from mediagate.uploads.spool import Readable, Spooled, spool, sweep_spool

__all__ = [
    "Incoming",
    "Readable",
    "Spooled",
    "Upload",
    "closes_unread",
    "display_name",
    "opened_body",
    "receive_file",
    "receive_json",
    "receive_upload",
    "spool",
    "sweep_spool",
]
