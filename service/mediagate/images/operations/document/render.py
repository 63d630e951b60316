"""render: the pages of a document as pictures, on each of which the later steps run."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr

from mediagate.images.operations.costs import RATES
from mediagate.images.operations.document.page_numbers import ALL, PageNumbers
from mediagate.images.operations.frames import Frames
from mediagate.images.operations.operation import PDF, Context, Operation, Params

DPI = 150


class Render(Params):
    """Turn the pages of a document into pictures; the later steps run on each page. It is the first step."""

    pages: PageNumbers = Field(ALL, description='"all", "last", or numbers from 1 and ranges such as "1-3,5"')
    dpi: Annotated[int, Field(ge=72, le=600)] = Field(DPI, description="pixels per inch, 72 to 600")
    password: Annotated[SecretStr, Field(min_length=1, max_length=127)] | None = Field(
        None, exclude=True, description="of an encrypted document; it is used when the request arrives, and not stored"
    )


def render(frames: Frames, params: Render, context: Context) -> Frames:
    """Return the page, which was rendered when the document was opened; warns if its resolution was reduced."""
    page = context.page
    if page is not None and page.dpi < params.dpi:
        context.warn(
            "resolution_reduced",
            f"the page has {page.dpi:.3g} pixels per inch instead of {params.dpi}, "
            f"because it would have more than {page.max_pixels:,} pixels",
        )
    return frames


RENDER = Operation("render", "document", Render, render, RATES["render"], takes="document", needs=PDF)
