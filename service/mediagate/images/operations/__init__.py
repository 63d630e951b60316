"""Operations of pipelines: from frames to frames, to data, or to a file; and the grammar of their steps."""

from mediagate.images.operations.document.entry import (
    check_pages,
    pages_of,
    password_of,
    rendering,
    size_at_entry,
)
from mediagate.images.operations.estimates import StepEstimate, estimate
from mediagate.images.operations.frames import Credits, Frames
from mediagate.images.operations.grammar import MOST_OUTPUTS, MOST_STEPS, parse
from mediagate.images.operations.operation import (
    Context,
    Cost,
    Engine,
    Extra,
    File,
    Operation,
    Page,
    PageRate,
    Params,
    Rate,
)
from mediagate.images.operations.output.files_made import files_made
from mediagate.images.operations.output.joining import join, joined_outputs
from mediagate.images.operations.output.watermark import watermark_in
from mediagate.images.operations.problems import Item, Place, did_you_mean, item
from mediagate.images.operations.recipe import ORIGINAL, OUTPUT, SAVE, Recipe, Step
from mediagate.images.operations.registry import Operations
from mediagate.images.operations.shipped import STANDARD, standard

__all__ = [
    "MOST_OUTPUTS",
    "MOST_STEPS",
    "ORIGINAL",
    "OUTPUT",
    "SAVE",
    "STANDARD",
    "Context",
    "Cost",
    "Credits",
    "Engine",
    "Extra",
    "File",
    "Frames",
    "Item",
    "Operation",
    "Operations",
    "Page",
    "PageRate",
    "Params",
    "Place",
    "Rate",
    "Recipe",
    "Step",
    "StepEstimate",
    "check_pages",
    "did_you_mean",
    "estimate",
    "files_made",
    "item",
    "join",
    "joined_outputs",
    "pages_of",
    "parse",
    "password_of",
    "rendering",
    "size_at_entry",
    "standard",
    "watermark_in",
]
