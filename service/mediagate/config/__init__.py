"""The configuration of a gate: settings and sources, from code and from the environment."""

from mediagate.config.origins import checked_origins, read_origin
from mediagate.config.private_files import keep_database, keep_folder
from mediagate.config.settings import (
    MIB,
    Language,
    Settings,
    Source,
    check_sources,
    native_engine,
)
from mediagate.config.unknown_settings import unknown_variables
from mediagate.config.variants import VariantSpec

__all__ = [
    "MIB",
    "Language",
    "Settings",
    "Source",
    "VariantSpec",
    "check_sources",
    "checked_origins",
    "keep_database",
    "keep_folder",
    "native_engine",
    "read_origin",
    "unknown_variables",
]
