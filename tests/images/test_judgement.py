"""Verdicts and animations: judged pictures, early ends, and published frames."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from PIL import GifImagePlugin, Image, ImageChops, ImageStat, WebPImagePlugin

from mediagate import Moderator, Rendered, Source, VariantSpec
from mediagate.errors import AnimationRefused, ImageTooLarge, ModerationFailed
from mediagate.images.pixels import encode
from mediagate.images.render import render
from mediagate.values import RenderedFile
from tests.support import poison
from tests.support.poison import Poison, Reds

DATA = Path(__file__).parents[1] / "data"
LIGHT_RED = Source(reject={"colourful": 0.5}, review={"light": 0.9})
RED, GREY, WHITE, BLACK = (255, 0, 0), (120, 120, 120), (255, 255, 255), (0, 0, 0)


def judged(image: Image.Image | bytes, source: Source = LIGHT_RED, moderator: Moderator | None = None) -> Rendered:
    data = image if isinstance(image, bytes) else saved([image], "PNG")
    return render(data, source, (0.5, 0.5), moderator or Reds())


def saved(frames: list[Image.Image], image_format: str, **options: object) -> bytes:
    file = io.BytesIO()
    if len(frames) > 1:
        options |= {"save_all": True, "append_images": frames[1:]}
    frames[0].save(file, image_format, **options)
    return file.getvalue()


def plain(colour: tuple[int, ...], size: tuple[int, int] = (90, 60)) -> Image.Image:
    return Image.new("RGB" if len(colour) == 3 else "RGBA", size, colour)


def test_allowed_picture_has_a_verdict_and_files() -> None:
    result = judged(plain(GREY))
    assert (result.verdict.decision, result.verdict.flags, result.verdict.model) == ("allow", (), "reds")
    assert result.verdict.scores["red"] == 0
    assert result.verdict.scores["light"] == pytest.approx(0.47, abs=0.01)
    assert len(result.variants) == 5
    assert result.original is not None
    assert (result.dominant_color, result.aspect_ratio, result.has_alpha) == ("#787878", "3:2", False)


@pytest.mark.parametrize(
    ("colour", "decision", "flag"), [(RED, "reject", "colourful"), (WHITE, "review", "light")], ids=str
)
def test_rejected_or_reviewed_picture_has_no_files(colour: tuple[int, int, int], decision: str, flag: str) -> None:
    result = judged(plain(colour))
    assert (result.verdict.decision, result.verdict.flags) == (decision, (flag,))
    assert result.verdict.confidence == pytest.approx(1)
    assert (result.variants, result.original, result.blurhash) == ((), None, "")
    assert result.info.width == 90
    assert not {"encode", "original", "blurhash"} & set(result.timings_ms)


def test_transparent_picture_is_judged_on_all_backgrounds() -> None:
    result = judged(plain((*RED, 153)))
    assert result.verdict.decision == "reject", "on white it is pink"
    assert result.model_runs == 4
    assert judged(plain((*BLACK, 0))).verdict.decision == "review", "nothing on white is light"
    assert judged(plain((*WHITE, 255))).verdict.flags == ("light",)


def test_large_picture_is_judged_whole_and_as_its_published_crop() -> None:
    picture = plain(GREY, (5000, 2000))
    picture.paste(RED, (0, 0, 2600, 2000))
    thumbnail = {"xs": VariantSpec(width=8, height=8, fit="cover")}
    thumbnails = Source(reject={"red": 1.0}, variants=thumbnail, original="delete")
    whole = render(saved([picture], "PNG"), thumbnails, (1.0, 0.5), Reds())
    assert whole.verdict.scores["red"] == pytest.approx(0.52, abs=0.05)
    assert (whole.verdict.decision, whole.model_runs) == ("allow", 3)
    crop = render(saved([picture], "PNG"), thumbnails, (0.0, 0.5), Reds())
    assert (crop.verdict.decision, crop.verdict.scores["red"], crop.model_runs) == ("reject", 1.0, 3)


def test_picture_that_takes_too_long_to_judge_is_refused() -> None:
    picture = plain(GREY, (1920, 1920))
    picture.paste(RED, (0, 0, 5, 5))
    picture.paste(BLACK, (1900, 0, 1920, 20))
    with pytest.raises(ImageTooLarge, match="judging the picture takes 7 runs"):
        render(saved([picture], "PNG"), LIGHT_RED, (0.5, 0.5), Reds(), time_s=1e-9)


def out_of_memory() -> None:
    raise MemoryError


def wrong_score() -> None:
    raise ModerationFailed("no score for 'red'")


@pytest.mark.parametrize(
    ("deed", "error", "told"),
    [
        (poison.fail, ModerationFailed, "^the moderator failed with ValueError; see the log$"),
        (wrong_score, ModerationFailed, "no score for 'red'"),
        (out_of_memory, MemoryError, "^$"),
    ],
)
def test_moderator_failure_fails_the_render(deed: Callable[[], None], error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        judged(plain(GREY), moderator=Poison(deed, width=90))


def frames_of(file: RenderedFile | None) -> list[tuple[Image.Image, int]]:
    """Return the frames of a file, each with its duration in milliseconds."""
    assert file is not None
    image = Image.open(io.BytesIO(file.data))
    frames = []
    for number in range(getattr(image, "n_frames", 1)):
        image.seek(number)
        image.load()
        frames.append((image.convert("RGBA"), int(image.info.get("duration", 0))))
    return frames


def timeline(frames: list[tuple[Image.Image, int]]) -> list[Image.Image]:
    """Return the frame shown at each hundredth of a second, because encoders join equal frames."""
    return [frame for frame, duration_ms in frames for _ in range(duration_ms // 10)]


def on_white(frame: Image.Image) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", frame.size, "white"), frame).convert("RGB")


EACH = {name: VariantSpec(width=200, format=name, quality=90) for name in ("webp", "avif", "png", "jpeg")}
KEEP = Source(variants=EACH, animation="keep")


@pytest.mark.parametrize(("name", "plays"), [("rotating-squares.gif", 0), ("animated-loop-3.webp", 3)])
def test_kept_animation_plays_in_every_animated_format(name: str, plays: int) -> None:
    path = DATA / "formats" / name
    result = render(path.read_bytes(), KEEP, (0.5, 0.5), None)
    with Image.open(path) as opened:
        assert isinstance(opened, (GifImagePlugin.GifImageFile, WebPImagePlugin.WebPImageFile))
        frames = opened.n_frames
    assert result.info.frames == frames
    source = frames_of(RenderedFile("", "", 0, 0, path.read_bytes()))
    seen = timeline(source)
    assert len({frame.tobytes() for frame in seen}) > 5
    for file in (*result.variants, result.original):
        assert file is not None
        ours = frames_of(file)
        if file.format == "jpeg":
            assert len(ours) == 1
            continue
        shown = timeline(ours)
        assert len(shown) == len(seen)
        for at in range(0, len(seen), 5):
            right = on_white(seen[at]).resize(shown[at].size, Image.Resampling.LANCZOS)
            off = ImageStat.Stat(ImageChops.difference(on_white(shown[at]), right)).mean
            assert max(off) < 4, f"{file.name} at {at * 10} ms"
        with Image.open(io.BytesIO(file.data)) as opened:
            if file.format != "avif":
                assert opened.info["loop"] == plays
    assert [file.width for file in result.variants] == [min(200, result.info.width)] * 4


@pytest.mark.parametrize(("stored", "plays"), [(None, 1), (0, 0), (1, 2), (4, 5)])
def test_gif_repeats_are_converted_to_webp_plays(stored: int | None, plays: int) -> None:
    frames = [plain(GREY), plain(BLACK)]
    data = saved(frames, "GIF", duration=[120, 340], **({} if stored is None else {"loop": stored}))
    source = Source(variants={"w": VariantSpec(width=50)}, animation="keep")
    result = render(data, source, (0.5, 0.5), None)
    with Image.open(io.BytesIO(result.variants[0].data)) as webp:
        assert webp.info["loop"] == plays
    assert [duration_ms for _, duration_ms in frames_of(result.variants[0])] == [120, 340]
    assert result.original is not None
    with Image.open(io.BytesIO(result.original.data)) as original:
        assert (original.format, original.info["loop"]) == ("WEBP", plays)


def test_apng_default_image_is_judged_only_if_it_is_published() -> None:
    frames = [plain(RED), plain(GREY), plain(BLACK)]
    data = saved(frames, "PNG", default_image=True, duration=[200, 300], loop=2)
    kept = judged(data, LIGHT_RED.model_copy(update={"animation": "keep"}))
    assert kept.verdict.decision == "allow", "the still is not published, and not judged"
    assert [(frame.getpixel((0, 0)), ms) for frame, ms in frames_of(kept.original)] == [
        ((*GREY, 255), 200),
        ((*BLACK, 255), 300),
    ]
    assert judged(data).verdict.decision == "reject", "as a still picture it is what is published"


def test_animation_is_published_as_its_first_frame_by_default() -> None:
    path = DATA / "formats" / "rotating-squares.gif"
    result = render(path.read_bytes(), Source(variants=EACH), (0.5, 0.5), None)
    assert result.info.frames == 1
    (first, _), *_ = frames_of(RenderedFile("", "", 0, 0, path.read_bytes()))
    for file in (*result.variants, result.original):
        ((frame, _),) = frames_of(file)
        assert max(ImageStat.Stat(ImageChops.difference(on_white(frame), on_white(first))).mean) < 4


def test_animation_reject_refuses_animations_and_accepts_stills() -> None:
    for name in ("rotating-squares.gif", "animated-loop-3.webp"):
        with pytest.raises(AnimationRefused, match="send a still picture"):
            render((DATA / "formats" / name).read_bytes(), Source(animation="reject"), (0.5, 0.5), None)
    still = render((DATA / "formats" / "hopper.gif").read_bytes(), Source(animation="reject"), (0.5, 0.5), None)
    assert still.original is not None


def test_kept_animation_is_rejected_for_any_frame() -> None:
    frames = [plain(GREY)] * 3 + [plain(RED)] + [plain(GREY)]
    for image_format in ("GIF", "WEBP", "PNG", "AVIF"):
        data = saved([*frames[:2], plain(BLACK), *frames[3:]], image_format, duration=100)
        kept = judged(data, LIGHT_RED.model_copy(update={"animation": "keep"}))
        assert (kept.verdict.decision, kept.verdict.flags) == ("reject", ("colourful",))
        assert not kept.variants
        first = judged(data)
        assert first.verdict.decision == "allow"
        assert len(frames_of(first.original)) == 1


def test_animation_limits_apply_to_kept_animations_only() -> None:
    data = (DATA / "formats" / "rotating-squares.gif").read_bytes()
    for source, told in (
        (Source(animation="keep", max_frames=29), "30 frames; up to 29"),
        (Source(animation="keep", max_animation_pixels=191_999), "192,000 pixels; up to 191,999"),
        (Source(animation="keep", max_pixels=6_399), "80 x 80 pixels; up to 6,399"),
    ):
        with pytest.raises(ImageTooLarge, match=told):
            render(data, source, (0.5, 0.5), None)
    assert render(data, Source(max_frames=1, max_animation_pixels=1), (0.5, 0.5), None).variants
    within = Source(animation="keep", max_frames=30, max_animation_pixels=192_000, max_pixels=6_400)
    assert render(data, within, (0.5, 0.5), None).info.frames == 30


def test_render_on_two_threads_makes_the_same_files() -> None:
    data = (DATA / "photos" / "photo_2725x2225.jpg").read_bytes()
    one = render(data, Source(), (0.5, 0.5), None, threads=1)
    two = render(data, Source(), (0.5, 0.5), None, threads=2)
    assert one.variants == two.variants
    assert one.original == two.original


@pytest.mark.parametrize("image_format", ["webp", "avif"])
def test_encoding_effort_is_reduced_if_time_is_short(image_format: Literal["webp", "avif"]) -> None:
    noise = io.BytesIO()
    Image.merge("RGB", [Image.effect_noise((320, 240), 90) for _ in "RGB"]).save(noise, "PNG")

    def files(effort: int, time_s: float | None) -> list[bytes]:
        variants = {str(width): {"width": width, "format": image_format} for width in (320, 160)}
        source = Source.model_validate({"variants": variants, "original": "delete", "effort": effort})
        return [file.data for file in render(noise.getvalue(), source, (0.5, 0.5), None, time_s=time_s).variants]

    hurried, usual = files(1, None), files(4, None)
    assert hurried != usual
    assert files(4, 30) == usual
    assert files(4, 0.05) == files(6, 0.05) == hurried
    assert files(0, 0.05) == files(0, None)


class Shared(Image.Image):
    """A picture that encoders must not write to, because another thread may save it too."""

    def __setattr__(self, name: str, value: object) -> None:
        assert name not in ("encoderinfo", "encoderconfig", "info"), f"{name} of a shared picture was set"
        super().__setattr__(name, value)


@pytest.mark.parametrize("image_format", ["jpeg", "png", "webp", "avif"])
@pytest.mark.parametrize("count", [1, 3])
def test_encode_leaves_its_frames_unchanged(image_format: Literal["jpeg", "png", "webp", "avif"], count: int) -> None:
    frames = [Image.effect_noise((80, 60), 90).convert("RGB") for _ in range(count)]
    for frame in frames:
        frame.__class__ = Shared
    assert encode(frames, [100] * count, 0, image_format, 80, 4)


def noise(count: int, size: tuple[int, int]) -> list[Image.Image]:
    return [Image.merge("RGB", [Image.effect_noise(size, 90) for _ in "RGB"]) for _ in range(count)]


def test_animation_that_takes_too_long_to_encode_is_refused() -> None:
    data = saved(noise(4, (320, 240)), "WEBP", lossless=True, quality=0, duration=100)
    source = Source(animation="keep")
    assert render(data, source, (0.5, 0.5), None, time_s=60).info.frames == 4
    with pytest.raises(ImageTooLarge, match="takes too long to encode; send a smaller one, or fewer frames"):
        render(data, source, (0.5, 0.5), None, time_s=0.1)
    assert render(data, Source(), (0.5, 0.5), None, time_s=0.1).variants, "one frame costs little"
