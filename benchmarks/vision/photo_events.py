"""Events as platforms have them: photographs of a megapixel, on which is what the tiny model knows."""

import base64
import io
from functools import cache

import numpy as np
import orjson
from PIL import Image

from service.core.pixels import RgbPixels
from testing.tiny_model.scenes import draw, random_scene

# Of what the tiny model was trained with; a photograph shows the same, enlarged.
SCENE_SIZE = (256, 192)
PHOTOGRAPH_SIZE = (1280, 960)
SCENES = 16
JPEG_QUALITY = 85
# Of the marks that distinguish photographs of one scene: what JPEG treats as one, so that they survive it.
BLOCK = 8
BITS = 32


def photo_event(number: int) -> bytes:
    """Return an upload event with such a photograph inside."""
    image = {"inline": base64.b64encode(photograph(number)).decode(), "media_type": "image/jpeg"}
    return orjson.dumps({"image_id": str(number), "image": image})


def photograph(number: int) -> bytes:
    """Return a photograph as JPEG that is like no other, in its file and in its pixels."""
    # vLLM's own caches go by the pixels, which its hash of them finds again.
    file = io.BytesIO()
    Image.fromarray(_marked(number)).save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()


def _marked(number: int) -> RgbPixels:
    """Write the number along the upper edge, a small black or white block for each bit."""
    pixels = _scene(number % SCENES).copy()
    for bit in range(BITS):
        pixels[:BLOCK, bit * BLOCK : (bit + 1) * BLOCK] = 255 * (number >> bit & 1)
    return pixels


@cache
def _scene(number: int) -> RgbPixels:
    """Return a scene that needs one token; what is suspicious would be asked about again, by the service alone."""
    scene = random_scene(np.random.default_rng(number), harmful=0, size=SCENE_SIZE)
    return np.asarray(Image.fromarray(draw(scene)).resize(PHOTOGRAPH_SIZE, Image.Resampling.BICUBIC))
