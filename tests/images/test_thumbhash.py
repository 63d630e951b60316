"""ThumbHash: decoded and compared with the picture, its proportions and alpha, and where it is reported."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import nullcontext
from multiprocessing import Pipe
from pathlib import Path
from random import Random

import numpy as np
import pytest
from PIL import Image

from mediagate import MediaGate, Source, VariantSpec
from mediagate.errors import ConfigError
from mediagate.images import wire as imagewire
from mediagate.images.json_shapes import Malformed
from mediagate.images.render import render
from mediagate.images.thumbhash import thumbhash_of
from tests.support.mounted import client_of
from tests.support.placeholders import Floats, thumbhash_shown

PLAIN = Source(variants={"xs": VariantSpec(width=64)}, original="delete")
SOURCE = PLAIN.model_copy(update={"placeholders": ("blurhash", "thumbhash")})


def saved(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def shown_of(picture: Image.Image) -> Floats:
    hashed = render(saved(picture), SOURCE, (0.5, 0.5), None).thumbhash
    assert hashed is not None
    return thumbhash_shown(hashed)


@pytest.mark.parametrize(
    "name", ["photos/photo_2725x2225.jpg", "formats/hopper.png", "formats/fox.avif", "oriented/portrait_1.jpg"]
)
def test_thumbhash_of_photos_decodes_close_to_them(data: Path, name: str) -> None:
    picture = Image.open(data / name).convert("RGB")
    shown = shown_of(picture)
    height, width, _ = shown.shape
    assert width / height == pytest.approx(picture.width / picture.height, rel=0.1)
    assert (shown[..., 3] == 255).all()
    small = np.asarray(picture.resize((width, height), Image.Resampling.BOX), dtype=float)
    assert np.abs(shown[..., :3].mean(axis=(0, 1)) - small.mean(axis=(0, 1))).max() <= 8
    # A hash of waves has no edges, so its error is compared with that of the average colour alone.
    plain = np.abs(small - small.mean(axis=(0, 1))).mean()
    assert np.abs(shown[..., :3] - small).mean() <= 0.85 * plain
    assert np.corrcoef(shown[..., :3].ravel(), small.ravel())[0, 1] >= 0.6


@pytest.mark.parametrize(
    ("size", "ratio"),
    [((1, 1), 1), ((300, 100), 7 / 2), ((100, 300), 2 / 7), ((1, 500), 1 / 7), ((1200, 92), 7), ((700, 600), 7 / 6)],
    ids=str,
)
def test_thumbhash_of_one_colour_decodes_flat_and_in_proportion(size: tuple[int, int], ratio: float) -> None:
    random = Random(repr(size))
    for _ in range(5):
        colour = [random.randrange(256) for _ in "RGB"]
        shown = shown_of(Image.new("RGB", size, tuple(colour)))
        assert shown.shape[1] / shown.shape[0] == pytest.approx(ratio, rel=0.15)
        assert np.ptp(shown.reshape(-1, 4), axis=0).max() == 0
        # Brightness and two colour differences have six bits each.
        assert np.abs(shown[0, 0, :3] - colour).max() <= 12


def test_thumbhash_keeps_alpha() -> None:
    picture = Image.new("RGBA", (160, 120), (0, 0, 0, 0))
    picture.paste((220, 120, 40, 255), (80, 0, 160, 120))
    shown = shown_of(picture)
    height, width, _ = shown.shape
    assert width / height == pytest.approx(5 / 4, rel=0.05)
    clear, seen = shown[:, : width // 3], shown[:, -(width // 3) :]
    assert clear[..., 3].mean() < 40
    assert seen[..., 3].mean() > 215
    assert np.abs(seen[..., :3] - (220, 120, 40)).mean() < 12
    assert shown_of(Image.new("RGBA", (30, 40), (0, 0, 0, 0)))[..., 3].max() == 0


def test_thumbhash_of_refuses_bytes_that_do_not_match_the_size() -> None:
    for size in ((8, 7), (7, 8), (8, 9)):
        with pytest.raises(ValueError, match="not make an RGBA picture"):
            thumbhash_of(*size, bytes(8 * 8 * 4), (8, 8))


@pytest.mark.anyio
async def test_thumbhash_is_reported_only_if_the_source_asks_for_it(
    make_gate: Callable[..., MediaGate], photo: bytes
) -> None:
    gate = make_gate(sources={"avatar": SOURCE, "post": Source()}, memory=False)
    async with client_of(gate) as client:
        for source_type in gate.sources:
            job = await gate.upload(photo, source_type=source_type, source_id="user-1")
            done = await gate.wait(job.job_id, timeout_s=60)
            assert done.media is not None
            status = (await client.get(f"/status/{job.job_id}")).json()["media"]
            media = (await client.get(f"/media/{done.media.id}")).json()
            assert status["blurhash"] == media["blurhash"] == done.media.blurhash
            if source_type == "avatar":
                assert done.media.thumbhash is not None
                assert status["thumbhash"] == media["thumbhash"] == done.media.thumbhash
                assert thumbhash_shown(media["thumbhash"]).shape[2] == 4
            else:
                assert done.media.thumbhash is None
                assert "thumbhash" not in status
                assert "thumbhash" not in media


@pytest.mark.parametrize("placeholders", [("thumbhash",), (), ("blurhash", "lqip")], ids=str)
def test_source_refuses_other_placeholders(placeholders: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match=r"Source\.placeholders"):
        Source.model_validate({"placeholders": placeholders})


def test_wire_refuses_a_missing_or_unrequested_thumbhash() -> None:
    data, ours, theirs = saved(Image.new("RGB", (80, 60), "red")), *Pipe()
    for asked, answered in ((SOURCE, SOURCE), (SOURCE, PLAIN), (PLAIN, SOURCE), (PLAIN, PLAIN)):
        imagewire.send(theirs, render(data, answered, (0.5, 0.5), None))
        refused = pytest.raises(Malformed, match="ThumbHash") if asked is not answered else nullcontext()
        with refused:
            rendered = imagewire.receive_rendered(ours, asked, memory_bytes=1 << 20, previews=False)
            assert (rendered.thumbhash is None) == (asked is PLAIN)
