"""The configuration of a gate: settings and sources, from code and from the environment."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mediagate.config.origins import checked_origins, read_origin
from mediagate.config.private_files import keep_database, keep_folder
from mediagate.config.sources import MIB, Language, Source, check_sources
from mediagate.config.variants import VariantSpec

if TYPE_CHECKING:
    from mediagate.config.settings import Settings, native_engine
    from mediagate.config.unknown_settings import unknown_variables

_LATER = {"Settings": "settings", "native_engine": "settings", "unknown_variables": "unknown_settings"}
"""Loaded lazily: image processes need sources alone, and pydantic_settings takes a fifth of their import time."""

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


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
