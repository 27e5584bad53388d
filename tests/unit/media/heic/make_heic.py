"""Makes the files of this folder: `python make_heic.py`, with pillow-heif, whose encoder is under the GPL."""

from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image

FOLDER = Path(__file__).parent
QUALITY = 90


def picture() -> Image.Image:
    """Return a gradient of 96 × 64 pixels with a red quarter at its upper left."""
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[:, :, 0] = np.linspace(0, 255, 96)
    pixels[:, :, 1] = np.linspace(0, 255, 64)[:, None]
    pixels[:32, :48] = (220, 40, 30)
    return Image.fromarray(pixels)


def main() -> None:
    """Write every file."""
    pillow_heif.register_heif_opener()
    plain = picture()
    plain.save(FOLDER / "plain.heic", quality=QUALITY)
    turned = Image.Exif()
    turned[0x112] = 6
    plain.save(FOLDER / "turned.heic", quality=QUALITY, exif=turned.tobytes())
    faded = plain.convert("RGBA")
    faded.putalpha(Image.linear_gradient("L").resize(plain.size))
    faded.save(FOLDER / "alpha.heic", quality=QUALITY)
    blue = Image.new("RGB", plain.size, (0, 0, 255))
    plain.save(FOLDER / "two.heic", quality=QUALITY, save_all=True, append_images=[blue])
    ten_bits = (np.asarray(plain).astype(np.uint16) * 4).tobytes()
    pillow_heif.from_bytes("RGB;10", plain.size, ten_bits).save(FOLDER / "ten.heic", quality=QUALITY)


if __name__ == "__main__":
    main()
