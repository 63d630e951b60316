"""The outputs that ``save`` joins: one PDF with the pictures and pages of all inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mediagate.images.operations.output.save import Save
from mediagate.images.operations.recipe import Recipe
from mediagate.images.pdf import CSS_DPI, Sheet, pdf_of
from mediagate.values import OutputFile


def joined_outputs(recipe: Recipe) -> Mapping[str, Save]:
    """Return how a recipe saves the outputs that join all inputs, by name."""
    return {
        name: step.params for name, step in recipe.outputs.items() if isinstance(step.params, Save) and step.params.join
    }


def join(recipe: Recipe, name: str, pages: Sequence[OutputFile]) -> OutputFile:
    """Return one PDF of JPEGs, with the size of its first page; nothing is decoded."""
    sheets = [Sheet(page.data, (page.width, page.height)) for page in pages]
    data = pdf_of(sheets, joined_outputs(recipe)[name].dpi or CSS_DPI)
    return OutputFile(name, "pdf", pages[0].width, pages[0].height, len(pages), data)
