"""Bytes by key: the protocol that every storage keeps, and the two that come with the core."""

from mediagate.storage.filesystem import FilesystemStorage
from mediagate.storage.keys import check_key, check_prefix, is_public, segment
from mediagate.storage.memory import MemoryStorage
from mediagate.storage.protocol import ObjectInfo, PresignedPut, Storage

__all__ = [
    "FilesystemStorage",
    "MemoryStorage",
    "ObjectInfo",
    "PresignedPut",
    "Storage",
    "check_key",
    "check_prefix",
    "is_public",
    "segment",
]
