"""A file as browsers read it: what the decoder is given, and what it is not shown."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PreparedFile:
    """A file whose parts were read before its pixels, so that the decoder sees what a browser sees."""

    data: bytes
    """What is decoded: the file itself, or the same picture without parts that decoders read differently."""
    profile: bytes | None = None
    """ICC profile of all colour declarations together, empty if the colours are sRGB; None if the decoder finds the
    profile that browsers use."""
    durations_ms: tuple[int, ...] = ()
    """How long each frame of an animation is shown; empty for a still picture."""
    orientation: int | None = None
    """EXIF's orientation as browsers read it, 1 to 8; None if the decoder reads it as browsers do."""
    transparent_colour: tuple[int, int, int] | None = None
    """The one colour of 16 bits a sample that is transparent, if the decoder is not to find it out."""
    rows_shown: int | None = None
    """Rows of a completed picture that have pixels, below which browsers show nothing; None if none was completed."""
    denies_opacity: bool = False
    """Its headers say that it is opaque, so that viewers may mix it with what lies behind it in different ways."""
    ambiguous: frozenset[str] = frozenset()
    """Features of the file that viewers may show differently, by their names in `service.core.ambiguity`."""
