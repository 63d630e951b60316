"""The work of ``mediagate storage copy``, reported line by line."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from mediagate.cli.storage.addresses import open_storages, policy_gate
from mediagate.cli.storage.progress import Progress, amount
from mediagate.errors import MediagateError
from mediagate.observe import cause_of
from mediagate.storage import Storage
from mediagate.transfer import (
    Copier,
    Inventory,
    Outcome,
    Result,
    check_apart,
    check_content,
    check_deletion,
    claim,
    read_marks,
)


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the command."""

    verify: bool
    delete: bool
    dry_run: bool
    concurrency: int


async def copy_files(source: str, target: str, options: Options, *, policy: str | None) -> bool:
    """Copy all files between two addresses and print what happened; returns whether the destination has them all.

    Raises ``ConfigError`` if the addresses cannot be used, ``StorageUnavailable`` if a storage cannot be listed.
    """
    progress, gate = Progress(), policy_gate(source, target, policy)
    async with open_storages(source, target, policy=gate, mark_source=not options.dry_run) as storages:
        progress.print(f"private files: as the sources of {gate} say", err=True)
        async with progress.shown():
            with Inventory() as inventory:
                return await _copy(*storages, inventory, options, progress)


async def _copy(source: Storage, target: Storage, inventory: Inventory, options: Options, progress: Progress) -> bool:
    marks = await read_marks(source, target)
    if not options.dry_run:
        await check_apart(source, target)
    async for count in inventory.fill("source", source):
        progress.found = count
    listed = progress.found
    async for count in inventory.fill("target", target):
        progress.found = listed + count
    check_content(marks, inventory)
    if options.delete:
        check_deletion(marks, inventory)
    if marks.used and not options.dry_run:
        progress.print(
            "warning: a gate has used the destination since the files were copied; pictures that it deleted come back "
            "without a record, and its janitor finds them",
            err=True,
        )
    if not options.dry_run:
        await claim(target, marks)
    progress.begin(*inventory.totals())
    note = partial(_note, progress=progress, dry_run=options.dry_run)
    copier = Copier(source, target, note, verify=options.verify, dry_run=options.dry_run)
    await copier.copy(inventory, concurrency=options.concurrency)
    if options.delete and not copier.gave_up:
        await copier.delete(inventory)
    return _sum_up(copier, inventory, options, progress)


def _note(outcome: Outcome, *, progress: Progress, dry_run: bool) -> None:
    progress.add(outcome.size)
    match outcome:
        case Outcome(key, _, Result.FAILED, error) if error is not None:
            code = error.code if isinstance(error, MediagateError) else MediagateError.code
            progress.print(f"failed {key}: {code}: {cause_of(error)}", err=True)
        case Outcome(key, _, Result.COPIED) if dry_run:
            progress.print(f"would copy {key}")
        case Outcome(key, _, Result.DELETED) if dry_run:
            progress.print(f"would delete {key}")


def _sum_up(copier: Copier, inventory: Inventory, options: Options, progress: Progress) -> bool:
    counts, would = copier.counts, "would copy" if options.dry_run else "copied"
    parts = [f"{would} {_files(counts[Result.COPIED], copier.bytes[Result.COPIED])}"]
    parts += [f"{counts[Result.SAME]:,} were there already"]
    if counts[Result.GONE]:
        parts += [f"{counts[Result.GONE]:,} were deleted from the source meanwhile"]
    if options.delete:
        parts += [f"{'would delete' if options.dry_run else 'deleted'} {counts[Result.DELETED]:,}"]
    progress.print("; ".join(parts))
    extra = sum(1 for _ in inventory.extra()) if not options.delete else 0
    if extra:
        progress.print(f"the destination has {extra:,} more that the source lacks; --delete removes them")
    if copier.gave_up:
        progress.print(
            f"incomplete: stopped after {counts[Result.FAILED]:,} files failed, the last of them in a row; run the "
            "command again once the cause is fixed",
            err=True,
        )
        return False
    if counts[Result.FAILED]:
        progress.print(f"incomplete: {counts[Result.FAILED]:,} failed; run the command again", err=True)
        return False
    files, size = inventory.totals()
    held = _files(files - counts[Result.GONE], size - copier.bytes[Result.GONE])
    if options.dry_run and counts[Result.COPIED]:
        return True
    if options.verify:
        progress.print(f"verified: the destination has all {held} of the source, byte for byte")
    else:
        progress.print(f"complete: the destination has all {held} of the source; --verify compares their bytes")
    return True


def _files(count: int, size: int) -> str:
    return f"{count:,} file{'' if count == 1 else 's'} ({amount(size)})"
