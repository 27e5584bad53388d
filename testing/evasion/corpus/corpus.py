"""Every file of the corpus, by its name."""

from collections.abc import Callable, Iterator, Mapping

from testing.evasion.corpus.bmp_samples import bmp_samples
from testing.evasion.corpus.other_samples import avif_samples, gif_samples, jpeg_samples, webp_samples
from testing.evasion.corpus.png_samples import png_samples
from testing.evasion.corpus.sample import Sample

BY_FORMAT: Mapping[str, Callable[[], Iterator[Sample]]] = {
    "PNG": png_samples,
    "JPEG": jpeg_samples,
    "GIF": gif_samples,
    "WebP": webp_samples,
    "AVIF": avif_samples,
    "BMP": bmp_samples,
}


def corpus() -> dict[str, bytes]:
    """Return all files by format and name."""
    files = [(f"{name}: {sample.name}", sample.data) for name, samples in BY_FORMAT.items() for sample in samples()]
    assert len(dict(files)) == len(files), "two files have one name"
    return dict(files)
