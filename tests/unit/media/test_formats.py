import subprocess
import sys

import pytest
from PIL import Image

from service.media.errors import UnsupportedFormatError
from service.media.formats import sniff
from tests.unit.media.decoding import decode
from tests.unit.media.image_files import encoded, plain

ALLOWED = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "AVIF": "image/avif",
    "BMP": "image/bmp",
}


@pytest.mark.parametrize(("file_format", "media_type"), ALLOWED.items())
def test_every_allowed_format_is_known_by_its_content(file_format: str, media_type: str) -> None:
    data = encoded(plain(), file_format)
    assert sniff(data) == media_type
    image = decode(data)
    assert (image.media_type, image.width, image.height, image.frames_total) == (media_type, 32, 24, 1)


@pytest.mark.parametrize("file_format", ["TIFF", "EPS", "PDF", "ICO", "PPM", "TGA", "JPEG2000", "PCX", "SGI", "DDS"])
def test_every_other_format_that_pillow_reads_is_refused(file_format: str) -> None:
    with pytest.raises(UnsupportedFormatError):
        decode(encoded(plain(), file_format))


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"II*\0\x08\0\0\0", "TIFF"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "video"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "PostScript"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"BMW builds cars", "unknown"),
        (b"just text", "unknown"),
        (b"", "unknown"),
    ],
)
def test_what_is_not_allowed_is_named_where_it_is_known(data: bytes, name: str) -> None:
    with pytest.raises(UnsupportedFormatError, match=name):
        sniff(data)


def test_avif_is_known_by_a_compatible_brand() -> None:
    data = encoded(plain(), "AVIF")
    assert sniff(data[:8] + b"mif1" + data[12:]) == "image/avif"


def test_a_phones_multi_picture_jpeg_is_its_first_picture() -> None:
    data = encoded(plain(), "MPO", save_all=True, append_images=[plain(size=(8, 8))])
    image = decode(data)
    assert (image.media_type, image.width, image.height, image.frames_total) == ("image/jpeg", 32, 24, 1)


def test_only_the_allowed_plugins_are_ever_loaded() -> None:
    """None that starts a program, and no numpy or pydantic: a decoder process starts light. TIFF's reads EXIF."""
    code = "import sys, service.media.decode_worker; print(*sys.modules)"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    plugins = {name for name in output.split() if name.endswith("ImagePlugin")}
    assert plugins == {f"PIL.{name}ImagePlugin" for name in ("Avif", "Bmp", "Gif", "Jpeg", "Png", "Tiff", "WebP")}
    assert {"numpy", "pydantic", "asyncio", "aiohttp", "structlog"}.isdisjoint(output.split())


def test_pillow_registers_a_plugin_that_starts_a_program() -> None:
    """What the allow-list is for: were this no longer so, it would still hold."""
    Image.init()
    assert "EPS" in Image.OPEN
