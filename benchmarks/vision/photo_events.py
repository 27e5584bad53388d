"""Events as platforms have them: photographs of a megapixel, on which is what the tiny model knows."""

import base64
import io
from functools import cache

import numpy as np
import orjson
from PIL import Image

from service.pixels import RgbPixels
from tests.models.scenes import draw, random_scene

# Of what the tiny model was trained with; a photograph shows the same, enlarged.
SCENE_SIZE = (256, 192)
PHOTOGRAPH_SIZE = (1280, 960)
SCENES = 16
JPEG_QUALITY = 85


def photo_event(number: int) -> bytes:
    """Return an upload event with a photograph inside that is like no other."""
    # What follows a JPEG's end changes its hash, and so its name in every cache.
    data = _encoded(number % SCENES) + b"%08d" % number
    image = {"inline": base64.b64encode(data).decode(), "media_type": "image/jpeg"}
    return orjson.dumps({"image_id": str(number), "image": image})


@cache
def _encoded(number: int) -> bytes:
    file = io.BytesIO()
    photograph = Image.fromarray(_harmless(number)).resize(PHOTOGRAPH_SIZE, Image.Resampling.BICUBIC)
    photograph.save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()


def _harmless(number: int) -> RgbPixels:
    """Return a scene that needs one token; what is suspicious would be asked about again, by the service alone."""
    return draw(random_scene(np.random.default_rng(number), harmful=0, size=SCENE_SIZE))
