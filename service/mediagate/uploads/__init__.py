"""Receiving files: multipart bodies and Python sources, streamed into spool files under limits."""

from mediagate.uploads.incoming import Incoming
from mediagate.uploads.multipart_body import Upload, receive_upload
from mediagate.uploads.spool import Spooled, spool, sweep_spool

__all__ = ["Incoming", "Spooled", "Upload", "receive_upload", "spool", "sweep_spool"]
