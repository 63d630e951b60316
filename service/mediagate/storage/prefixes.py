"""The key prefixes of a storage: those that its settings give, compared with those that its files were written with."""

from __future__ import annotations

from mediagate.errors import ConfigError
from mediagate.storage.protocol import Storage
from mediagate.values import KeyPrefixes

DEFAULT = KeyPrefixes()


def prefixes_of(storage: Storage) -> KeyPrefixes:
    """Return the prefixes that a storage uses: its ``key_prefixes``, or those of the keys themselves."""
    used = getattr(storage, "key_prefixes", DEFAULT)
    return used if isinstance(used, KeyPrefixes) else DEFAULT


def check_prefixes(storage: Storage, wanted: KeyPrefixes) -> None:
    """Raise ``ConfigError`` if a storage does not use the prefixes of the settings."""
    if prefixes_of(storage) != wanted:
        names = ", ".join(f"{kind}_prefix" for kind, used in wanted.to_json().items() if used != kind)
        raise ConfigError(
            f"{names or 'the key prefixes'}: this storage uses {_said(prefixes_of(storage))}; leave the settings out, "
            "or pass gate.settings.key_prefixes on to the storage"
        )


def check_written(storage: Storage, written: KeyPrefixes) -> None:
    """Raise ``ConfigError`` if the files of a storage were written with other prefixes than it uses."""
    used = prefixes_of(storage)
    if written != used:
        raise ConfigError(
            f"the files of this storage have the key prefixes {_said(written)}, and the settings say {_said(used)}: "
            "set staging_prefix, media_prefix, originals_prefix and outputs_prefix as before, or move the files first"
        )


def _said(prefixes: KeyPrefixes) -> str:
    return ", ".join(f"{kind}={prefix}" for kind, prefix in prefixes.to_json().items())
