import hashlib
import warnings
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from service.core.errors import RejectedError
from service.core.pixels import RgbPixels
from service.media.errors import ImageCorruptError
from tests.unit.media.decoding import decode, picture
from tests.unit.media.image_files import encoded, gradient, plain

FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "AVIF", "BMP"]

# From EXIF's definition: what undoes each way in which a camera may have lain.
UNDONE: dict[int, Callable[[RgbPixels], RgbPixels]] = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.transpose(1, 0, 2),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored[::-1, ::-1].transpose(1, 0, 2),
    8: lambda stored: np.rot90(stored, 1),
}


def with_orientation(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def unmarked_pixels(data: bytes) -> tuple[bytes, ...] | None:
    """Return what is judged without a mark; None for a file that is refused, or marked as truncated."""
    try:
        image = decode(data)
    except RejectedError:
        return None
    return None if "truncated" in image.ambiguous else image.pixels


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "AVIF"])
def test_pictures_stand_upright(file_format: str, orientation: int) -> None:
    stored = gradient((48, 32))
    data = encoded(stored, file_format, exif=with_orientation(orientation), quality=95)
    image, pixels = decode(data), picture(data).astype(int)
    expected = UNDONE[orientation](np.asarray(stored))
    assert pixels.shape == expected.shape == (image.height, image.width, 3)
    assert np.abs(pixels - expected).mean() < 4


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_reduced_picture_stands_upright(orientation: int) -> None:
    stored = gradient((480, 320))
    data = encoded(stored, "JPEG", exif=with_orientation(orientation), quality=95)
    pixels = picture(data, target_pixels=96 * 64, multiple_of=32).astype(int)
    expected = UNDONE[orientation](np.asarray(stored.resize((96, 64))))
    assert pixels.shape == expected.shape
    assert np.abs(pixels - expected).mean() < 4


@pytest.mark.parametrize("exif", [b"Exif\0\0rubbish", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0"])
def test_senseless_exif_leaves_the_picture_as_it_is(exif: bytes) -> None:
    assert decode(encoded(plain(), "JPEG", exif=exif)).width == 32


def test_an_unknown_orientation_leaves_the_picture_as_it_is() -> None:
    assert decode(encoded(plain(), "PNG", exif=with_orientation(99))).width == 32


@pytest.mark.parametrize("file_format", FORMATS)
def test_large_pictures_are_reduced_to_exact_multiples(file_format: str) -> None:
    data = encoded(gradient((900, 600)), file_format)
    image = decode(data, target_pixels=256 * 256, multiple_of=32)
    assert (image.width, image.height) == (900, 600)
    assert image.frame_sizes == ((288, 192),)
    assert len(image.pixels[0]) == 288 * 192 * 3


@pytest.mark.parametrize("size", [(900, 600), (901, 607), (1999, 1333), (640, 480)])
def test_a_jpeg_decoded_reduced_looks_as_one_decoded_in_full(size: tuple[int, int]) -> None:
    noise = Image.effect_noise((size[0] // 8, size[1] // 8), 80).resize(size, Image.Resampling.BICUBIC)
    data = encoded(Image.merge("RGB", (noise, gradient(size).getchannel(0), noise)), "JPEG", quality=92)
    reduced = picture(data, max_pixels=10_000_000, target_pixels=240 * 160).astype(float)
    full = picture(data, max_pixels=10_000_000, target_pixels=10_000_000)
    expected = np.asarray(Image.fromarray(full).resize(reduced.shape[1::-1], Image.Resampling.BICUBIC), float)
    assert np.sqrt(((reduced - expected) ** 2).mean()) < 3


def test_a_tiny_picture_grows_to_one_multiple_only() -> None:
    assert decode(encoded(plain(size=(5, 3)), "PNG"), multiple_of=32).frame_sizes == ((32, 32),)


def test_the_hash_is_that_of_the_file() -> None:
    data = encoded(plain(), "PNG")
    assert decode(data).sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("file_format", [name for name in FORMATS if name != "JPEG"])
def test_a_cut_file_is_corrupt_or_marked_unless_every_pixel_is_there(file_format: str) -> None:
    """Never a picture without a mark that is grey from the cut on; an end mark may be missing."""
    data = encoded(gradient(), file_format)
    whole = decode(data).pixels
    accepted = [length for length in range(len(data)) if unmarked_pixels(data[:length]) not in {None, whole}]
    assert accepted == []
    assert unmarked_pixels(data[: len(data) // 2]) is None


@pytest.mark.parametrize("file_format", FORMATS)
def test_garbage_after_the_end_is_fine(file_format: str) -> None:
    data = encoded(gradient(), file_format)
    assert decode(data + b"\0garbage" * 20).pixels == decode(data).pixels


def test_errors_of_the_decoder_name_their_kind_and_stay_short() -> None:
    with pytest.raises(ImageCorruptError) as caught:
        decode(encoded(plain(), "PNG")[:40])
    assert caught.value.reason == "image.corrupt"
    assert len(str(caught.value)) < 200


def test_pillow_s_settings_are_left_as_they_were() -> None:
    before = Image.MAX_IMAGE_PIXELS
    with pytest.raises(RejectedError):
        decode(b"BM")
    decode(encoded(plain(), "PNG"))
    assert before == Image.MAX_IMAGE_PIXELS


def test_a_size_between_pillow_s_warning_and_its_limit_is_decoded_whatever_the_filters_say() -> None:
    data = encoded(plain(size=(100, 100)), "PNG")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decode(data, max_pixels=10_000).width == 100
