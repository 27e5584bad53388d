"""What the embedded engine finds in a photograph, it finds at the end of a long picture and on its ground as well."""

from collections.abc import AsyncIterator
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from schemas.base import Decision
from service.cli.try_files import PHOTOGRAPHS
from service.inference.onnx.catalogue import load_catalogue
from service.inference.onnx.engine import OnnxEngine
from service.media.image import DecodeLimits, decode_image
from service.policy.judged import JudgedFrame, JudgedImage, decide_image
from service.policy.loader import load_policies
from service.settings.settings import PolicySettings
from testing.asking import engine_request

POLICY = load_policies(PolicySettings()).default
FOUND = ("beer", "rifle-drawing")


@pytest.fixture
async def engine() -> AsyncIterator[OnnxEngine]:
    engine = OnnxEngine(load_catalogue(None), threads=1)
    await engine.start()
    yield engine
    await engine.stop()


def photograph(name: str) -> Image.Image:
    with Image.open(PHOTOGRAPHS / f"{name}.jpg") as image:
        return image.convert("RGB").resize((400, 400))


async def decided(engine: OnnxEngine, picture: Image.Image) -> Decision:
    file = BytesIO()
    picture.save(file, "PNG")
    spec = engine.describe(POLICY.instructions).image_spec
    limits = DecodeLimits(10**8, 4, spec.max_pixels, spec.multiple_of, is_square=spec.is_square)
    image = decode_image(file.getvalue(), limits)
    views = []
    for pixels, (width, height) in zip(image.pixels, image.frame_sizes, strict=True):
        output = await engine.judge(engine_request(np.frombuffer(pixels, np.uint8).reshape(height, width, 3)))
        views.append(JudgedFrame(output.scores or {}))
    hints = engine.describe(POLICY.instructions).hints
    judged = JudgedImage(tuple(views), hints, ambiguous=frozenset(image.ambiguous))
    return decide_image(POLICY, judged.by_frame([view.frame for view in image.views])).result.decision


@pytest.mark.parametrize("name", FOUND)
async def test_it_is_found_in_the_photograph_alone(engine: OnnxEngine, name: str) -> None:
    assert await decided(engine, photograph(name)) == "review"


@pytest.mark.parametrize("name", FOUND)
@pytest.mark.parametrize(("size", "at"), [((1200, 400), (800, 0)), ((1200, 400), (0, 0)), ((400, 1600), (0, 1200))])
async def test_it_is_found_at_the_end_of_a_long_picture(
    engine: OnnxEngine, name: str, size: tuple[int, int], at: tuple[int, int]
) -> None:
    picture = photograph("alps").resize(size)
    picture.paste(photograph(name), at)
    assert await decided(engine, picture) == "review"


async def test_a_harmless_long_picture_is_allowed(engine: OnnxEngine) -> None:
    assert await decided(engine, photograph("alps").resize((1600, 400))) == "allow"


@pytest.mark.parametrize("name", FOUND)
async def test_it_is_found_in_a_picture_beneath_full_transparency(engine: OnnxEngine, name: str) -> None:
    picture = photograph(name)
    picture.putalpha(0)
    assert await decided(engine, picture) == "review"
