"""What viewers may show of an image file otherwise than it was judged: the features by their stable names.

Decoders find them, policies decide about them, verdicts and metrics name them. docs/moderation.md has the same table.
"""

from collections.abc import Mapping
from typing import Literal, get_args

Feature = Literal[
    "animation_control",
    "colour_declaration",
    "colour_profile",
    "duplicate_chunk",
    "frame_timing",
    "opacity",
    "orientation",
    "second_image",
    "shape",
    "structure",
    "thumbnail",
    "truncated",
]

FEATURES: tuple[Feature, ...] = get_args(Feature)

MEANINGS: Mapping[Feature, str] = {
    "animation_control": "the number or order of the frames of an animation is contradictory",
    "colour_declaration": "the file declares colours in contradictory ways, or ones that cannot be reproduced",
    "colour_profile": "the colour profile cannot be used, or is too large",
    "duplicate_chunk": "a part that may occur once occurs several times",
    "frame_timing": "the times for which frames are shown are contradictory",
    "opacity": "a picture lies below pixels that are fully transparent",
    "orientation": "the file says in two ways which side is up",
    "second_image": "another picture lies in the same file",
    "shape": "the picture is so long that the engine is given its parts squeezed",
    "structure": "parts of the file contradict one another",
    "thumbnail": "the embedded preview shows another picture",
    "truncated": "the file ends before its picture does",
}
