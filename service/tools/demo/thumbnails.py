"""Small pictures for the contact sheet, as data URIs: no file beside the page, nothing to load."""

import base64
import io
import warnings
from pathlib import Path

from PIL import Image, ImageOps

# Twice the width at which a card shows them, for sharp screens.
MAX_SIZE = (560, 420)
JPEG_QUALITY = 80


def thumbnail(path: Path) -> str | None:
    """Return the picture as a data URI; None for one that cannot be read, which is no reason to show nothing else."""
    try:
        with warnings.catch_warnings(), Image.open(path) as image:
            # Pillow warns of large pictures; the service has judged this one already.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image.draft("RGB", MAX_SIZE)
            upright = ImageOps.exif_transpose(image).convert("RGB")
            upright.thumbnail(MAX_SIZE)
            buffer = io.BytesIO()
            upright.save(buffer, "JPEG", quality=JPEG_QUALITY, optimize=True)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
