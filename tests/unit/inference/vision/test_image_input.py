import numpy as np
import pytest

from service.core.pixels import RgbPixels
from service.inference.vision.image_input import fit, image_key, image_spec, preprocessing


def pixels(height: int, width: int) -> RgbPixels:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def test_a_token_sees_32_by_32_pixels() -> None:
    spec = image_spec(256)
    assert (spec.max_pixels, spec.multiple_of) == (512 * 512, 32)


@pytest.mark.parametrize("size", [(32, 32), (32, 6400), (512, 512), (6400, 32)])
def test_an_image_of_a_usual_shape_stays_as_it_is(size: tuple[int, int]) -> None:
    given = pixels(*size)
    assert fit(given) is given


@pytest.mark.parametrize(("size", "expected"), [((32, 8192), (32, 6400)), ((8192, 32), (6400, 32))])
def test_what_rounding_made_too_long_is_thinned_out_from_end_to_end(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    given = pixels(*size)
    thinned = fit(given)
    assert thinned.shape[:2] == expected
    assert thinned.flags.c_contiguous
    assert np.array_equal(thinned[0, 0], given[0, 0])
    assert np.abs(np.argwhere((given == thinned[-1, -1]).all(axis=2)).max() - max(size)) <= 2


def test_a_key_names_file_size_and_preprocessing() -> None:
    keys = {image_key(file, pixels(*size)) for file in ("f/0", "f/1") for size in [(32, 64), (64, 32)]}
    assert len(keys) == 4
    assert all("/pillow-" in key for key in keys)


def test_the_preprocessing_names_the_decoder_and_how_closely_is_looked() -> None:
    assert preprocessing(256).startswith("pillow-")
    assert "/256x32x32/" in preprocessing(256)
    assert preprocessing(1024) != preprocessing(256)
