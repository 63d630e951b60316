"""render and read_text: pages as pictures, their text, and what a recipe may say about them."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest

from mediagate import Source
from mediagate.errors import ImageTooLarge, InvalidPipeline, OperationFailed, PasswordRequired, UndecodableImage
from mediagate.images.operations import Extra, check_pages, parse, password_of, size_at_entry
from mediagate.values import ImageInfo, Produced
from tests.support.charts import ramp
from tests.support.documents import (
    PASSWORD,
    a_document,
    a_text,
    colours,
    encrypted,
    filled,
    objects_of,
    with_form,
    words,
    written,
)
from tests.support.recipes import OPERATIONS, array, faults, opened, ran

SOURCE = Source(formats=("png", "pdf"), visibility="private", ttl=timedelta(hours=1))
RENDER = {"op": "render", "dpi": 72}


def rendered(data: bytes, page: int = 1, *steps: dict[str, Any], source: Source = SOURCE, **render: Any) -> Produced:
    return ran(data, {**RENDER, **render}, *steps, source=source, page=page)


def corner(produced: Produced) -> tuple[int, ...]:
    image = opened(produced.outputs[0]).convert("RGB")
    pixel = image.getpixel((min(1, image.width - 1), min(1, image.height - 1)))
    assert isinstance(pixel, tuple)
    return pixel


@pytest.mark.parametrize(("page", "colour"), [(1, (255, 0, 0)), (2, (0, 255, 0)), (3, (0, 0, 255))])
def test_render_shows_the_chosen_page(page: int, colour: tuple[int, ...]) -> None:
    produced = rendered(colours(), page)
    assert corner(produced) == colour
    (output,) = produced.outputs
    assert (output.format, output.width, output.height) == ("png", 200, 100)
    assert produced.info == ImageInfo("pdf", 200, 100)


@pytest.mark.parametrize(("dpi", "size"), [(72, (200, 100)), (150, (417, 209)), (600, (1667, 834))])
def test_render_has_the_resolution_that_is_asked_for(dpi: int, size: tuple[int, int]) -> None:
    (output,) = rendered(colours(), dpi=dpi).outputs
    assert (output.width, output.height) == size


def test_render_turns_a_page_as_its_document_says() -> None:
    (output,) = rendered(a_document(filled(1, 0, 0), page=b"/Rotate 90")).outputs
    assert (output.width, output.height) == (100, 200)


def test_render_shows_what_is_cropped_by_the_page_only() -> None:
    drawing = filled(1, 0, 0) + b"0 0 1 rg 50 20 10 10 re f\n"
    (output,) = rendered(a_document(drawing, page=b"/CropBox [50 20 60 30]")).outputs
    assert (output.width, output.height) == (10, 10)
    assert opened(output).convert("RGB").getpixel((5, 5)) == (0, 0, 255)


def test_page_without_drawing_is_white() -> None:
    assert corner(rendered(a_document())) == (255, 255, 255)


def test_render_draws_the_fields_of_a_form() -> None:
    pixels = array(opened(rendered(with_form("Ada")).outputs[0]).convert("L"))
    assert pixels[60, 60] < 20 and pixels[5, 5] > 250


@pytest.mark.parametrize("size", [(14_400, 14_400), (14_400, 0.5), (0.5, 14_400)])
def test_page_with_too_many_pixels_is_rendered_in_fewer_with_a_warning(size: tuple[float, float]) -> None:
    source = SOURCE.model_copy(update={"max_pixels": 10_000})
    produced = rendered(a_document(filled(1, 0, 0, size), size=size), dpi=150, source=source)
    (output,) = produced.outputs
    assert 9_000 < output.width * output.height <= 10_000
    (warning,) = produced.warnings
    assert (warning.step, warning.code) == (0, "resolution_reduced")
    assert corner(produced) == (255, 0, 0)


def test_memory_of_an_image_reduces_a_page_too() -> None:
    data = a_document(filled(1, 0, 0, (3000, 3000)), size=(3000, 3000))
    produced = ran(data, RENDER, {"op": "resize", "width": 9}, source=SOURCE, page=1, memory_bytes=60 << 20)
    assert [warning.code for warning in produced.warnings] == ["resolution_reduced"]


def test_steps_run_on_the_page_and_original_is_the_page() -> None:
    small = {"op": "resize", "width": 20}
    produced = rendered(colours(), 2, small, {"op": "save", "as": "a"}, {"op": "save", "as": "b", "from": "original"})
    assert [(one.width, one.height) for one in produced.outputs] == [(20, 10), (200, 100)]
    assert [end.op for end in produced.steps] == ["render", "resize", "save", "save"]
    assert produced.timings_ms["render"] > 0 and produced.steps[0].ms >= produced.timings_ms["render"]


def test_read_text_gives_the_text_layer() -> None:
    produced = rendered(colours(), 3, {"op": "read_text"})
    (data,) = produced.data
    assert data.value == {"text": "three", "truncated": False}
    assert produced.outputs == (), "a recipe of data alone saves nothing"


def test_read_text_gives_nothing_for_a_page_without_text() -> None:
    assert rendered(a_document(), 1, {"op": "read_text"}).data[0].value == {"text": "", "truncated": False}


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("10\u00a0km", "10\u00a0km"),
        ("1\u202f000", "1\u202f000"),
        ("東京\u3000大阪", "東京\u3000大阪"),
        ("x😀𠀀", "x😀𠀀"),
        ("a\u200db", "a\u200db"),
        ("a\x07\u202e\ue000b", "ab"),
    ],
)
def test_read_text_keeps_spaces_and_letters_of_all_scripts(text: str, given: str) -> None:
    assert rendered(a_text(text), 1, {"op": "read_text"}).data[0].value["text"] == given


def test_read_text_cuts_a_long_text() -> None:
    lines = b"".join(words("x" * 1000, (1, 20 * number)) for number in range(25))
    value = rendered(a_document(lines, size=(14_000, 600)), 1, {"op": "read_text"}).data[0].value
    assert value["truncated"] is True
    assert 19_000 < len(value["text"]) <= 20_000


@pytest.mark.parametrize(
    ("steps", "places"),
    [
        (({"op": "flip"}, {"op": "render"}), {"/steps/1": "misplaced_step"}),
        (({"op": "render"}, {"op": "render"}), {"/steps/1": "misplaced_step"}),
        (({"op": "read_text"},), {"/steps/0": "misplaced_step"}),
        (({"op": "render", "pages": "0"},), {"/steps/0/pages": "invalid_value"}),
        (({"op": "render", "pages": "3-1"},), {"/steps/0/pages": "invalid_value"}),
        (({"op": "render", "pages": "1,,2"},), {"/steps/0/pages": "invalid_value"}),
        (({"op": "render", "dpi": 71},), {"/steps/0/dpi": "out_of_range"}),
        (({"op": "render", "dpi": 601},), {"/steps/0/dpi": "out_of_range"}),
        (({"op": "render"}, {"op": "save", "join": True}), {"/steps/1": "invalid_value"}),
        (({"op": "render"}, {"op": "save", "format": "png", "dpi": 150}), {"/steps/1": "invalid_value"}),
    ],
)
def test_invalid_steps_of_documents_are_refused(steps: tuple[Any, ...], places: dict[str, str]) -> None:
    assert faults(*steps) == places


@pytest.mark.parametrize(
    ("pages", "count", "chosen"),
    [
        ("all", 3, [1, 2, 3]),
        ("last", 3, [3]),
        ("1-3,5", 9, [1, 2, 3, 5]),
        ("5,1-2", 9, [5, 1, 2]),
        ("2-last", 4, [2, 3, 4]),
        ("1-3,2,2", 3, [1, 2, 3]),
    ],
)
def test_pages_are_those_that_are_named(pages: str, count: int, chosen: list[int]) -> None:
    recipe = parse([{"op": "render", "pages": pages}], OPERATIONS)
    assert check_pages(recipe, [ImageInfo("pdf", 200, 100, count)], 50) == [tuple(chosen)]


@pytest.mark.parametrize(
    ("render", "info", "place", "code"),
    [
        ({"pages": "4"}, ImageInfo("pdf", 9, 9, 3), "/steps/0/pages", "out_of_range"),
        ({"pages": "2-9"}, ImageInfo("pdf", 9, 9, 3), "/steps/0/pages", "out_of_range"),
        ({"pages": "5-last"}, ImageInfo("pdf", 9, 9, 3), "/steps/0/pages", "out_of_range"),
        ({"pages": "all"}, ImageInfo("pdf", 9, 9, 10_000), "/steps/0/pages", "too_many_pages"),
        ({}, ImageInfo("png", 9, 9), "/steps/0", "not_a_document"),
    ],
)
def test_pages_that_do_not_fit_the_file_are_refused(
    render: dict[str, Any], info: ImageInfo, place: str, code: str
) -> None:
    with pytest.raises(InvalidPipeline) as refused:
        check_pages(parse([{"op": "render", **render}], OPERATIONS), [info], 50)
    assert [(error["pointer"], error["code"]) for error in refused.value.errors] == [(place, code)]


@pytest.mark.parametrize("count", [3, 1_000_000])
def test_pages_of_a_range_that_ends_before_it_begins_are_refused(count: int) -> None:
    recipe = parse([{"op": "render", "pages": "1,last-2,1"}], OPERATIONS)
    with pytest.raises(InvalidPipeline, match="last-2 names none"):
        check_pages(recipe, [ImageInfo("pdf", 9, 9, count)], 50)


@pytest.mark.parametrize("pages", ["all", ",".join(["1-last"] * 28), ",".join(["1-999999"] * 22)])
def test_pages_beyond_the_limit_are_not_counted(pages: str) -> None:
    claimed, began = ImageInfo("pdf", 9, 9, 1_000_000), time.process_time()
    with pytest.raises(InvalidPipeline, match="more than 50 pages"):
        check_pages(parse([{"op": "render", "pages": pages}], OPERATIONS), [claimed] * 10, 50)
    assert time.process_time() - began < 0.5


def test_pages_of_all_documents_count_together() -> None:
    recipe, info = parse([{"op": "render"}], OPERATIONS), ImageInfo("pdf", 9, 9, 30)
    assert len(check_pages(recipe, [info], 50)) == 1
    with pytest.raises(InvalidPipeline, match="more than 50 pages"):
        check_pages(recipe, [info, info], 50)


def test_document_needs_a_recipe_that_renders_it() -> None:
    with pytest.raises(InvalidPipeline, match="begin with"):
        check_pages(parse([{"op": "flip"}], OPERATIONS), [ImageInfo("pdf", 9, 9, 3)], 50)


def test_picture_enters_a_recipe_that_may_skip_rendering() -> None:
    steps: list[dict[str, Any]] = [{"op": "render", "onError": "skip"}, {"op": "resize", "width": 5}]
    assert check_pages(parse(steps, OPERATIONS), [ImageInfo("png", 9, 9)], 50) == [(None,)]
    produced = ran(ramp(10, 10), *steps, source=SOURCE)
    assert produced.outputs[0].width == 5
    assert [(warning.step, warning.code) for warning in produced.warnings] == [(0, "operation_failed")]


def test_picture_fails_in_a_recipe_that_renders() -> None:
    with pytest.raises(OperationFailed, match="the file is png, not a document") as failed:
        ran(ramp(9, 9), RENDER, source=SOURCE)
    assert failed.value.step == 0


def test_cost_counts_the_pixels_of_the_rendered_page() -> None:
    recipe, info = parse([{"op": "render", "dpi": 144}], OPERATIONS), ImageInfo("pdf", 100, 50, 9)
    assert size_at_entry(recipe, info, 50_000_000) == (200, 100)
    assert size_at_entry(recipe, info, 5_000) == (100, 50)
    assert size_at_entry(recipe, ImageInfo("png", 100, 50), 5_000) == (100, 50)


def test_encrypted_document_opens_with_its_password() -> None:
    data = encrypted(objects_of(filled(0, 0, 1) + words("secret")))
    assert corner(rendered(data, password=PASSWORD)) == (0, 0, 255)
    assert rendered(data, 1, {"op": "read_text"}, password=PASSWORD).data[0].value["text"] == "secret"
    for wrong in (None, "wrong"):
        with pytest.raises(PasswordRequired) as refused:
            rendered(data, password=wrong)
        assert (refused.value.step, refused.value.op, refused.value.retryable) == (0, "render", False)


def test_password_is_in_nothing_that_a_recipe_tells() -> None:
    with_it = parse([{**RENDER, "password": PASSWORD}], OPERATIONS)
    without = parse([RENDER], OPERATIONS)
    assert password_of(with_it) == PASSWORD
    assert PASSWORD not in f"{with_it!r} {with_it} {with_it.to_json()}"
    assert with_it.hash == without.hash and with_it.to_json() == without.to_json()
    assert password_of(parse(with_it.to_json(), OPERATIONS)) is None


@pytest.mark.parametrize("password", ["", "z" * 128, 12345678, ["12345678"], {"a": "12345678"}])
def test_fault_of_a_password_does_not_tell_it(password: object) -> None:
    with pytest.raises(InvalidPipeline) as refused:
        parse([{"op": "render", "password": password}], OPERATIONS)
    (error,) = refused.value.errors
    assert error["pointer"] == "/steps/0/password" and "got" not in error
    assert "12345678" not in str(error) and "zzz" not in str(error)


def test_operation_without_its_library_tells_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Extra, "available", property(lambda self: self.name != "pdf"))
    with pytest.raises(InvalidPipeline) as refused:
        parse([{"op": "render"}, {"op": "read_text"}], OPERATIONS)
    assert [(error["pointer"], error["code"], error["detail"]) for error in refused.value.errors] == [
        (f"/steps/{number}", "operation_unavailable", 'pip install "mediagate[pdf]"') for number in range(2)
    ]


def test_document_is_no_picture_for_a_source_of_pictures() -> None:
    with pytest.raises(UndecodableImage):
        ran(written(objects_of(b""))[:300], RENDER, source=SOURCE, page=1)
    with pytest.raises(OperationFailed, match="read_metadata"):
        rendered(colours(), 1, {"op": "read_metadata"})


def test_later_step_that_needs_too_much_memory_is_refused() -> None:
    data = a_document(filled(1, 0, 0, (3000, 3000)), size=(3000, 3000))
    with pytest.raises(ImageTooLarge) as refused:
        ran(data, RENDER, {"op": "save", "format": "avif"}, source=SOURCE, page=1, memory_bytes=200 << 20)
    assert refused.value.step == 1
