"""The parts that `Verdict` and `Tags` share: what was judged, by what, and from which record."""

from pydantic import Field

from schemas.base import Message


class SourceRecordV1(Message):
    """The input record that an outcome answers; the same record always has the same values."""

    topic: str = Field(description="The topic that the upload event was read from.")
    partition: int = Field(ge=0, description="Its partition.")
    offset: int = Field(ge=0, description="Its offset in that partition.")
    event_id: str | None = Field(
        default=None, description="The uploader's CloudEvents id; null for an event that is no CloudEvent."
    )
    event_source: str | None = Field(
        default=None, description="The uploader's CloudEvents source, within which the id is unique; null as above."
    )


class ModelV1(Message):
    """The model whose output was judged."""

    name: str = Field(description="As its publisher names it.")
    revision: str = Field(description="Pins the weights: a commit, a tag, or a checksum.")
    adapter: str | None = Field(default=None, description="The LoRA adapter, if one was used.")
    precision: str | None = Field(
        default=None, description="Of its weights; null where there is no choice.", examples=["fp8"]
    )
    runtime: str | None = Field(
        default=None,
        description="What ran the model: the runtime's release, the card and the kernels. Compare it as a whole: scores"
        " of different ones may differ slightly. Null where it is unknown.",
        examples=[
            "vllm 0.32.0, NVIDIA H100 80GB HBM3, CutlassFp8BlockScaledMMKernel, FLASH_ATTN, float32 head, V2 runner"
        ],
    )


class ImageFactsV1(Message):
    """The image file as it was fetched."""

    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="Of the encoded file.")
    width: int = Field(ge=1, description="Pixels, upright.")
    height: int = Field(ge=1, description="Pixels, upright.")
    bytes: int = Field(ge=1, description="Size of the encoded file.")
    media_type: str = Field(description="By content, whatever the name or the sender said.")
    frames: int = Field(ge=1, description="Frames in the file; 1 for a still image.")
    frames_judged: int = Field(ge=1, description="How many of them the model saw.")
