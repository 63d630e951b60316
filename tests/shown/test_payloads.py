"""Payloads: no byte of an upload but its pixels reaches a published file."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator

import pytest

from mediagate.values import RenderedFile
from tests.support.samples.payloads import WORD, samples
from tests.support.samples.sample import Sample
from tests.support.showing.engine import Outcome, process


@pytest.fixture(scope="module")
def published() -> list[tuple[Sample, Outcome]]:
    return [(sample, process(sample.data)) for sample in samples()]


def test_published_files_contain_no_payload(published: list[tuple[Sample, Outcome]]) -> None:
    assert not [name for name, data in _files(published) if WORD in data]


def test_published_files_are_not_zip_archives(published: list[tuple[Sample, Outcome]]) -> None:
    assert not [name for name, data in _files(published) if zipfile.is_zipfile(io.BytesIO(data))]


def test_valid_uploads_with_payloads_are_published(published: list[tuple[Sample, Outcome]]) -> None:
    refused = {sample.name: outcome.status for sample, outcome in published if outcome.status != "COMPLETE"}
    assert not {name: status for name, status in refused.items() if name in _valid(published)}


def test_published_originals_have_one_size_whatever_the_payload(published: list[tuple[Sample, Outcome]]) -> None:
    sizes = {(file.width, file.height) for _, outcome in published for file in _whole(outcome)}
    assert len(sizes) == 1


def _files(published: list[tuple[Sample, Outcome]]) -> Iterator[tuple[str, bytes]]:
    for sample, outcome in published:
        for file in outcome.rendered.files if outcome.rendered else ():
            yield f"{sample.name}: {file.name}.{file.format}", file.data


def _valid(published: list[tuple[Sample, Outcome]]) -> set[str]:
    return {sample.name for sample, _ in published if sample.valid}


def _whole(outcome: Outcome) -> list[RenderedFile]:
    return [outcome.rendered.original] if outcome.rendered and outcome.rendered.original else []
