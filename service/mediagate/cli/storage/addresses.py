"""The addresses of storages: a gate as ``module:attribute``, a folder, or a URL whose scheme a plugin knows."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from importlib.metadata import entry_points
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mediagate.cli.loading import load_gate
from mediagate.config import Source
from mediagate.errors import ConfigError, Unavailable
from mediagate.jobs import recognize_files
from mediagate.parts import Parts
from mediagate.records import PrismaRecords
from mediagate.storage import FilesystemStorage, KeyPrefixes, PrivateSources, Storage, unobserved

log = logging.getLogger("mediagate")

SCHEMES = "mediagate.storages"
"""The group of entry points for schemes: ``open_address(address, sources)`` provides a storage to a block. It gets
``key_prefixes`` as well if the settings of the gate have others than the default."""
FILE = "file"


@asynccontextmanager
async def open_storages(
    source: str, target: str, *, policy: str, mark_source: bool
) -> AsyncIterator[tuple[Storage, Storage]]:
    """Provide the storages at two addresses to the block.

    The sources of the gate ``policy`` decide which files at an address that is not a gate are private, and the settings
    of the gate that takes part, or else of ``policy``, which key prefixes they have. With ``mark_source``, the database
    of a gate that is the source increments its generation, as at a start: a copy of that database made before is then
    older than the copy of the files. Raises ``ConfigError``.
    """
    source_gate, target_gate = (load_gate(address) if _is_gate(address) else None for address in (source, target))
    if source_gate is not None and source_gate is target_gate:
        raise ConfigError("source and destination are the same gate")
    async with AsyncExitStack() as stack:
        gate = source_gate or target_gate or load_gate(policy)
        prefixes = gate.settings.key_prefixes
        if source_gate is None:
            origin = await _open(stack, source, {}, prefixes, create=False)
        else:
            parts = await stack.enter_async_context(source_gate.assembled())
            if mark_source:
                await _mark_source(parts)
            origin = unobserved(parts.storage)
        if target_gate is None:
            yield origin, await _open(stack, target, gate.sources, prefixes, public_url=gate.settings.public_url)
        else:
            parts = await stack.enter_async_context(target_gate.assembled())
            yield origin, unobserved(parts.storage)


def policy_gate(source: str, target: str, gate: str | None) -> str:
    """Return the address of the gate whose sources apply: the destination or the source, or else ``gate``.

    Raises ``ConfigError`` if there is none: with the sources of another gate, private files would become public.
    """
    for address in (target, source):
        if _is_gate(address):
            return address
    if not gate:
        raise ConfigError(
            "neither address is a gate: name your gate with --gate or MEDIAGATE_GATE; its sources say which files are "
            "private"
        )
    return gate


def _is_gate(address: str) -> bool:
    return ":" in address and "/" not in address


async def _open(
    stack: AsyncExitStack,
    address: str,
    sources: Mapping[str, Source],
    key_prefixes: KeyPrefixes,
    *,
    public_url: str | None = None,
    create: bool = True,
) -> Storage:
    scheme, separator, _ = address.partition("://")
    if separator and scheme != FILE:
        known = entry_points(group=SCHEMES)
        if scheme not in known.names:
            schemes = ", ".join(f"{name}://" for name in sorted({FILE, *known.names}))
            raise ConfigError(
                f"unknown scheme {scheme!r}: use one of {schemes}, a folder, or a gate as module:attribute"
            )
        # A scheme that knows no prefixes is opened as before, unless they are needed.
        more = {} if key_prefixes == KeyPrefixes() else {"key_prefixes": key_prefixes}
        storage: Storage = await stack.enter_async_context(known[scheme].load()(address, sources, **more))
        return storage
    return FilesystemStorage(
        _folder(address) if separator else Path(address),
        public_url=public_url,
        private_sources=PrivateSources(sources),
        create=create,
        key_prefixes=key_prefixes,
    )


def _folder(address: str) -> Path:
    with suppress(ValueError):
        parts = urlsplit(address)
        if not parts.netloc and parts.path.startswith("/"):
            return Path(unquote(parts.path))
    raise ConfigError("file://: use three slashes and an absolute path, such as file:///srv/media/files")


async def _mark_source(parts: Parts) -> None:
    """Mark the files of a gate as a start of it does; raises ``ConfigError`` for files of another database."""
    records = parts.records
    if isinstance(records, PrismaRecords):
        records.migrates = False  # the service that uses the database may be an earlier release
    try:
        await records.open()
        try:
            await recognize_files(parts)
        finally:
            await records.close()
    except Unavailable as exc:
        log.warning("could not check that the files belong to the gate's database: %s", exc)
