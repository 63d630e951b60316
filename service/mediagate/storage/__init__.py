"""Bytes by key: the protocol of storages, and the two storages that come with the core."""

from mediagate.storage.filesystem import FilesystemStorage
from mediagate.storage.key_syntax import check_key, check_prefix, is_key, is_public, is_served
from mediagate.storage.mark import MARK_KEY, Mark, read_mark, write_mark
from mediagate.storage.memory import MemoryStorage
from mediagate.storage.observation import observed, unobserved
from mediagate.storage.prefixes import check_prefixes
from mediagate.storage.private_sources import PrivateSources
from mediagate.storage.protocol import ObjectInfo, PresignedGet, PresignedPut, Storage
from mediagate.storage.streams import streaming
from mediagate.storage.urls import FOR_EVER, FOR_EVER_S, FileUrls, url_secrets
from mediagate.values import CONTENT_TYPES, KeyPrefixes, segment

__all__ = [
    "CONTENT_TYPES",
    "FOR_EVER",
    "FOR_EVER_S",
    "MARK_KEY",
    "FileUrls",
    "FilesystemStorage",
    "KeyPrefixes",
    "Mark",
    "MemoryStorage",
    "ObjectInfo",
    "PresignedGet",
    "PresignedPut",
    "PrivateSources",
    "Storage",
    "check_key",
    "check_prefix",
    "check_prefixes",
    "is_key",
    "is_public",
    "is_served",
    "observed",
    "read_mark",
    "segment",
    "streaming",
    "unobserved",
    "url_secrets",
    "write_mark",
]
