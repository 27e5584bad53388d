"""JPEG, GIF, WebP and AVIF files."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from testing.evasion.corpus.sample import (
    HEIGHT,
    SIZE,
    WIDTH,
    Sample,
    colours,
    indexed,
    picture,
    saved,
    transparent_picture,
    turned,
)
from testing.evasion.files.gif_file import GifFrame, gif
from testing.evasion.files.icc_profile import SWAPPED_PRIMARIES, WIDE_PRIMARIES, grey_profile, rgb_profile

_AVIF_FILES = Path(__file__).parent / "avif"
"""What Pillow cannot write: more than 8 bits, a grid, turned and mirrored pictures."""

PROFILES = {
    "wide": rgb_profile(2.2, WIDE_PRIMARIES),
    "swapped": rgb_profile(2.2, SWAPPED_PRIMARIES),
    "of power 1": rgb_profile(1.0),
    "of grey": grey_profile(1.0),
    "of grey, of a link": grey_profile(1.0)[:12] + b"link" + grey_profile(1.0)[16:],
    "of grey, of the fifth version": grey_profile(1.0)[:8] + b"\x05" + grey_profile(1.0)[9:],
    "broken": b"no profile",
}


def jpeg_samples() -> Iterator[Sample]:
    """Yield JPEG files."""
    for subsampling in ("4:4:4", "4:2:2", "4:2:0"):
        for progressive in (False, True):
            data = saved(picture(), "JPEG", quality=92, subsampling=subsampling, progressive=progressive)
            yield Sample(f"{subsampling}{' progressive' if progressive else ''}", data)
    yield Sample("grey", saved(picture().convert("L"), "JPEG", quality=92))
    yield Sample("RGB", saved(picture(), "JPEG", quality=92, keep_rgb=True, subsampling=0))
    yield Sample("with restart markers", saved(picture(), "JPEG", quality=92, restart_marker_rows=1))
    cmyk = saved(picture().convert("CMYK"), "JPEG", quality=92, subsampling=0)
    at = cmyk.index(b"Adobe") + 11
    for name, transform in {"CMYK": 0, "YCCK": 2, "of an unknown transform": 7}.items():
        yield Sample(name, cmyk[:at] + bytes([transform]) + cmyk[at + 1 :])
    yield Sample("CMYK without Adobe's marker", cmyk[: at - 15] + cmyk[at + 1 :])
    marker = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00"
    plain = saved(picture(), "JPEG", quality=92, subsampling=0)
    for transform in range(3):
        adobe = plain[:2] + marker + bytes([transform]) + plain[2:]
        yield Sample(f"transform {transform} before JFIF", adobe)
        yield Sample(f"transform {transform} instead of JFIF", plain[:2] + marker + bytes([transform]) + plain[20:])
    yield Sample("without JFIF", plain[:2] + plain[20:])
    for number in range(9):
        yield Sample(f"EXIF orientation {number}", saved(picture(), "JPEG", quality=92, exif=turned(number)))
    for name, profile in PROFILES.items():
        yield Sample(f"profile {name}", saved(picture(), "JPEG", quality=92, icc_profile=profile))
        yield Sample(f"grey, profile {name}", saved(picture().convert("L"), "JPEG", quality=92, icc_profile=profile))


# Of a frame's description: without offset, its size, flags.
_LOCAL_PALETTE = b"," + bytes(4) + WIDTH.to_bytes(2, "little") + HEIGHT.to_bytes(2, "little") + b"\x87"
_NO_PALETTE = _LOCAL_PALETTE[:-1] + b"\0"


def gif_samples() -> Iterator[Sample]:
    """Yield GIF files."""
    indices, palette = indexed()
    yield Sample("still", gif(SIZE, [GifFrame(indices, palette)]))
    yield Sample("interlaced", gif(SIZE, [GifFrame(indices, palette, interlaced=True)]))
    yield Sample("smaller than its canvas", gif((60, 50), [GifFrame(indices, palette, offset=(5, 4))], background=7))
    yield Sample("larger than its canvas", gif((30, 30), [GifFrame(indices, palette)]))
    yield Sample("partly outside its canvas", gif(SIZE, [GifFrame(indices, palette, offset=(20, 10))]))
    yield Sample("on a canvas of no size", gif((0, 0), [GifFrame(indices, palette)]))
    common = int(np.bincount(indices.reshape(-1)).argmax())
    other = bytes(np.roll(np.frombuffer(palette, np.uint8).reshape(-1, 3), 1, axis=1).reshape(-1))
    for disposal in range(8):
        for transparent in (None, common):
            for offset in ((0, 0), (8, 10)):
                part = indices[: HEIGHT - 16, : WIDTH - 12]
                frames = [
                    GifFrame(indices, palette),
                    GifFrame(part, other, disposal=disposal, transparent=transparent, offset=offset),
                    GifFrame(part[:12, :12], palette, offset=(30, 20), transparent=transparent),
                ]
                name = f"disposal {disposal} at {offset}{' with a transparent colour' if transparent else ''}"
                yield Sample(name, gif(SIZE, frames))
    first_clears = [
        GifFrame(indices, palette, disposal=2, transparent=common),
        GifFrame(indices[:9, :9], other, transparent=common, offset=(4, 4)),
    ]
    for background in (0, 7):
        yield Sample(
            f"first frame cleared, background {background}",
            gif(SIZE, first_clears, background=background, global_palette=palette),
        )
    plain = gif(SIZE, [GifFrame(indices, b"")])
    yield Sample("without a palette", plain.replace(_LOCAL_PALETTE, _NO_PALETTE))
    frame = gif(SIZE, [GifFrame(indices, palette)], loops=None)[13:-1]
    for name, junk in {"a zero": b"\0", "a letter": b"x", "a control of five bytes": b"!\xf9\5\0\0\0\0\0\0"}.items():
        yield Sample(f"{name} between frames", gif(SIZE, [GifFrame(indices, palette)])[:-1] + junk + frame * 6 + b";")
    for loops in (None, 0, 1, 5):
        yield Sample(f"loops {loops}", gif(SIZE, [GifFrame(indices, palette), GifFrame(indices, other)], loops=loops))


def webp_samples() -> Iterator[Sample]:
    """Yield WebP files."""
    for name, image in {"opaque": picture(), "transparent": transparent_picture()}.items():
        yield Sample(f"{name} lossy", saved(image, "WEBP", quality=90))
        yield Sample(f"{name} lossless", saved(image, "WEBP", lossless=True))
        second = Image.fromarray(np.ascontiguousarray(np.roll(np.asarray(image), 7, axis=1)))
        for loop in (0, 1):
            moving = saved(
                image, "WEBP", lossless=True, save_all=True, append_images=[second], duration=[100, 300], loop=loop
            )
            yield Sample(f"{name} animation, loop {loop}", moving)
    yield Sample("of one pixel", saved(picture((1, 1)), "WEBP", lossless=True))
    denied = bytearray(saved(transparent_picture(), "WEBP", lossless=True))
    denied[denied.index(b"VP8L") + 12] &= ~0x10
    yield Sample("transparent lossless, opacity denied", bytes(denied))
    part = transparent_picture().copy()
    part.paste((0, 0, 0, 0), (0, 0, WIDTH, HEIGHT // 2))
    yield Sample("animation of a part", saved(part, "WEBP", save_all=True, append_images=[transparent_picture()]))
    for number in range(1, 9):
        yield Sample(f"EXIF orientation {number}", saved(picture(), "WEBP", quality=90, exif=turned(number)))
    for name, profile in PROFILES.items():
        yield Sample(f"profile {name}", saved(picture(), "WEBP", quality=90, icc_profile=profile))


def avif_samples() -> Iterator[Sample]:
    """Yield AVIF files."""
    for subsampling in ("4:4:4", "4:2:2", "4:2:0", "4:0:0"):
        for narrow in (False, True):
            value = "limited" if narrow else "full"
            yield Sample(
                f"{subsampling} {value} range",
                saved(picture(), "AVIF", quality=90, subsampling=subsampling, range=value),
            )
    yield Sample("transparent", saved(transparent_picture(), "AVIF", quality=90))
    yield Sample(
        "transparent, premultiplied", saved(transparent_picture(), "AVIF", quality=90, alpha_premultiplied=True)
    )
    second = Image.fromarray(np.roll(colours(), 7, axis=1))
    yield Sample(
        "animation", saved(picture(), "AVIF", quality=90, save_all=True, append_images=[second], duration=[100, 300])
    )
    moving = saved(picture(), "AVIF", quality=90, save_all=True, append_images=[second])
    yield Sample("animation, its brand behind another", moving.replace(b"ftypavis", b"ftypavif"))
    for number in range(1, 9):
        yield Sample(f"EXIF orientation {number}", saved(picture(), "AVIF", quality=90, exif=turned(number)))
    for name, profile in PROFILES.items():
        yield Sample(f"profile {name}", saved(picture(), "AVIF", quality=90, icc_profile=profile))
    plain = saved(picture(), "AVIF", quality=90, subsampling="4:4:4")
    at = plain.index(b"colrnclx") + 8
    for primaries, transfer, matrix in (
        (1, 13, 6), (1, 8, 6), (12, 13, 6), (9, 13, 6), (1, 4, 6), (1, 5, 6), (9, 16, 9), (9, 18, 9), (1, 13, 0),
        (1, 13, 1), (1, 13, 9), (1, 13, 8), (2, 2, 2), (1, 1, 1), (1, 200, 6), (200, 13, 6), (1, 13, 5), (1, 13, 4),
    ):  # fmt: skip
        numbers = b"".join(each.to_bytes(2) for each in (primaries, transfer, matrix))
        yield Sample(f"nclx {primaries}/{transfer}/{matrix}", plain[:at] + numbers + plain[at + 6 :])
    yield Sample("nclx of narrow range", plain[: at + 6] + bytes([plain[at + 6] ^ 0x80]) + plain[at + 7 :])
    for path in sorted(_AVIF_FILES.glob("*.avif")):
        yield Sample(f"file {path.stem}", path.read_bytes())
