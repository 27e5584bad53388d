import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from service.core.pixels import RgbPixels
from service.inference.onnx.catalogue import Preprocessing, Triple
from service.inference.onnx.preprocessing import prepare

ALIGNED = Preprocessing(side=5, resampling="bilinear_aligned")

sizes = st.integers(1, 40)


def noise(height: int, width: int) -> RgbPixels:
    return np.random.default_rng(height * 100 + width).integers(0, 256, (height, width, 3), np.uint8)


def read_between(pixels: RgbPixels, y: float, x: float) -> NDArray[np.float64]:
    """Read a point between pixels as the textbook has it."""
    top, left = int(y), int(x)
    bottom, right = min(top + 1, len(pixels) - 1), min(left + 1, len(pixels[0]) - 1)
    down, across = y - top, x - left
    value: NDArray[np.float64] = (
        pixels[top, left] * (1 - down) * (1 - across)
        + pixels[top, right] * (1 - down) * across
        + pixels[bottom, left] * down * (1 - across)
        + pixels[bottom, right] * down * across
    ) / 255
    return value


@given(sizes, sizes)
def test_aligned_resizing_reads_each_point_off_its_four_neighbours(height: int, width: int) -> None:
    pixels = noise(height, width)
    expected = [
        [read_between(pixels, row * (height - 1) / 4, column * (width - 1) / 4) for column in range(5)]
        for row in range(5)
    ]
    np.testing.assert_allclose(prepare(pixels, ALIGNED)[0], expected, atol=1e-6)


def test_aligned_resizing_to_the_same_size_changes_nothing() -> None:
    pixels = noise(5, 5)
    np.testing.assert_allclose(prepare(pixels, ALIGNED)[0] * 255, pixels, atol=1e-4)


@given(sizes, sizes, st.sampled_from(("bilinear_aligned", "bilinear", "bicubic")), st.sampled_from((None, 0.5, 1.0)))
def test_every_shape_becomes_the_square(height: int, width: int, resampling: str, centre: float | None) -> None:
    how = Preprocessing.model_validate({"side": 7, "resampling": resampling, "centre": centre})
    batch = prepare(noise(height, width), how)
    assert batch.shape == (1, 7, 7, 3)
    assert batch.dtype == np.float32
    assert batch.min() >= 0.0
    assert batch.max() <= 1.0 + 1e-6


@pytest.mark.parametrize(("height", "width"), [(8, 24), (24, 8)])
def test_the_centre_is_the_middle_of_the_longer_side(height: int, width: int) -> None:
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[(height - 8) // 2 : (height + 8) // 2, (width - 8) // 2 : (width + 8) // 2] = 255
    assert prepare(pixels, Preprocessing(side=4, resampling="bicubic", centre=1.0)).min() == pytest.approx(1.0)


def test_without_a_centre_the_whole_picture_is_squeezed() -> None:
    pixels = np.zeros((8, 24, 3), np.uint8)
    pixels[:, :12] = 255
    squeezed = prepare(pixels, Preprocessing(side=4, resampling="bilinear"))[0]
    assert squeezed[:, 0].min() > 0.9
    assert squeezed[:, 3].max() < 0.1


def test_values_are_ranged_then_normalised_a_channel() -> None:
    pixels = np.array([[[0, 255, 255]]], np.uint8)
    how = Preprocessing(
        side=1,
        resampling="bilinear",
        range=(-1.0, 1.0),
        mean=Triple(0.0, 0.5, 0.0),
        deviation=Triple(1.0, 0.5, 2.0),
    )
    np.testing.assert_allclose(prepare(pixels, how)[0, 0, 0], [-1.0, 1.0, 0.5], atol=1e-6)


def test_channels_come_first_when_the_model_wants_them_so() -> None:
    pixels = noise(6, 6)
    last = Preprocessing(side=6, resampling="bicubic")
    first = last.model_copy(update={"layout": "nchw"})
    np.testing.assert_array_equal(prepare(pixels, first)[0], prepare(pixels, last)[0].transpose(2, 0, 1))
