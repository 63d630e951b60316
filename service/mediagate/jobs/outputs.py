"""The outputs of a pipeline's job: their names, their keys, and those that are joined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from mediagate.values import (
    OUTPUT_EXTENSIONS,
    Job,
    Output,
    OutputFile,
    PipelineInput,
    Produced,
    cut,
    output_key,
    output_prefix,
    safe_names,
)

if TYPE_CHECKING:
    from mediagate.images import Recipe

LONGEST_STEM = 100
"""Bytes of the name of an input in those of its outputs."""


@dataclass(frozen=True, slots=True)
class Made:
    """What the steps made of one picture, or of one page of a document."""

    input: PipelineInput
    page: int | None
    produced: Produced


@dataclass(frozen=True, slots=True)
class _File:
    """One output before it has its place."""

    input: str
    page: int | None
    stem: str
    """Its name for downloads, without the extension."""
    file: OutputFile


def outputs_of(job: Job, recipe: Recipe, made: Sequence[Made]) -> list[tuple[Output, bytes]]:
    """Return the outputs of a job with their bytes; those that are joined come last."""
    folder = output_prefix(job.source_type, job.source_id, job.media_id)
    files = [*_each(recipe, made), *_joined(recipe, made)]
    filenames = safe_names(f"{one.stem}.{OUTPUT_EXTENSIONS[one.file.format]}" for one in files)
    return [
        (
            Output(
                position=position,
                name=one.file.name,
                input=one.input,
                filename=filename,
                key=output_key(folder, position, one.file.name, OUTPUT_EXTENSIONS[one.file.format]),
                format=one.file.format,
                width=one.file.width,
                height=one.file.height,
                frames=one.file.frames,
                bytes=len(one.file.data),
                page=one.page,
            ),
            one.file.data,
        )
        for position, (one, filename) in enumerate(zip(files, filenames, strict=True))
    ]


def _each(recipe: Recipe, made: Sequence[Made]) -> list[_File]:
    """Return the files of each picture and page."""
    from mediagate.images import joined_outputs  # lazily: only gates that run pipelines load the operations

    joined = joined_outputs(recipe)
    found: list[_File] = []
    for one in made:
        stem = _stem(one.input) if one.page is None else f"{_stem(one.input)}-p{one.page}"
        alone = len(one.produced.outputs) == 1
        found += [
            _File(one.input.name, one.page, stem if alone else f"{stem}-{file.name}", file)
            for file in one.produced.outputs
            if file.name not in joined
        ]
    return found


def _joined(recipe: Recipe, made: Sequence[Made]) -> list[_File]:
    """Return one file for each output that joins the pictures and pages of all inputs, named after the first."""
    from mediagate.images import join, joined_outputs

    found = []
    for name in joined_outputs(recipe):
        parts = [(one.input, file) for one in made for file in one.produced.outputs if file.name == name]
        if parts:
            file = join(recipe, name, [part for _, part in parts])
            first = parts[0][0]
            stem = _stem(first) if len(recipe.outputs) == 1 else f"{_stem(first)}-{name}"
            found.append(_File(first.name, None, stem, file))
    return found


def _stem(one: PipelineInput) -> str:
    """Return the name of an input for those of its outputs."""
    return cut(PurePosixPath(one.filename).stem.strip(". "), LONGEST_STEM) or one.name
