"""Variants judged by the service's own code and held against what a browser shows of them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from schemas.image_uploaded import ImageByUrlV1, ImageUploadedV1
from schemas.verdict import VerdictV1
from service.app.run import data_plane_alone
from service.core.errors import RejectedError
from service.moderation.requests import RequestModerator
from service.settings.engine import EngineSettings
from service.settings.media import DecodeSettings, MediaSettings
from service.settings.settings import Settings
from testing.browser_pixels import ALIKE, Cells, PixelReader, Shown, ShownFrame, cells
from testing.evasion.files.png_file import RGB, png
from testing.evasion.variants.variant import WIDTH, Variant

Result = Literal["review", "ambiguous", "refused", "shown harmless", "shows nothing", "allowed"]
"""What became of a variant:

- `review`: its scores send it to review, or block it.
- `ambiguous`: it goes to review because viewers may show something else.
- `refused`: no verdict, but an error with a reason.
- `shown harmless`, `shows nothing`: allowed, and the browser shows nothing harmful.
- `allowed`: the browser shows the harmful picture. No variant may end so.
"""

RESULTS: tuple[Result, ...] = get_args(Result)

CLEARLY = 0.2
"""A shown picture is harmful if its score is by so much above the threshold: what is on the edge may fall on either
side."""

SHORTEST_SHARE = 0.25
"""What is shown for a smaller share of its animation, in one frame or several, may be missed:
`media.decode.max_frames` are judged."""

AMBIGUOUS = "image.ambiguous"
_ROUTE = "evasion"


@dataclass(frozen=True, slots=True)
class Judged:
    """One variant with its result."""

    variant: Variant
    result: Result
    detail: str
    """Why it was refused, what is ambiguous, or the score of what is shown."""


class EvasionJudge:
    """Judges files as the service does with default settings, without Kafka."""

    def __init__(self, moderator: RequestModerator) -> None:
        self._moderator = moderator

    async def verdict(self, data: bytes) -> VerdictV1:
        """Return the verdict on a file; raises `RejectedError` if it gets none."""
        event = ImageUploadedV1(image_id="variant", image=ImageByUrlV1(url="cid:variant"))
        outcomes = await self._moderator.judge(event, route=_ROUTE, request_id="variant", attached=data)
        assert outcomes.verdict is not None
        return outcomes.verdict

    async def judged(self, variant: Variant, shown: Shown) -> Judged:
        """Return what became of a variant."""
        try:
            verdict = await self.verdict(variant.data)
        except RejectedError as error:
            return Judged(variant, "refused", error.reason)
        if verdict.decision != "allow":
            return _not_allowed(variant, verdict)
        if shown.is_nothing:
            return Judged(variant, "shows nothing", "")
        pictures = {
            picture.tobytes(): picture for frame in lasting(shown) for picture in (frame.on_white, frame.on_black)
        }
        for picture in pictures.values():
            if detail := await self._harm(variant, picture):
                return Judged(variant, "allowed", detail)
        return Judged(variant, "shown harmless", "")

    async def _harm(self, variant: Variant, picture: Cells) -> str:
        """Say why a shown picture is harmful; nothing if it is not."""
        if variant.by_likeness:
            by = float(np.abs(cells(variant.meant, picture.shape[:2]) - picture).mean())
            return f"shown with a difference of {by:.1f}" if by <= ALIKE else ""
        verdict = await self.verdict(png(picture.astype(np.uint8), bits=8, colour_type=RGB))
        margins = {
            reason.category: (reason.score or 0.0) - (reason.threshold or 0.0)
            for reason in verdict.reasons
            if reason.category and reason.decision != "allow"
        }
        clear = {category: margin for category, margin in margins.items() if margin >= CLEARLY}
        return ", ".join(f"shown, {category} by {margin:.2f} above its threshold" for category, margin in clear.items())


def _not_allowed(variant: Variant, verdict: VerdictV1) -> Judged:
    """Return what became of a variant that is not allowed: its scores count before what is ambiguous."""
    found = [reason for reason in verdict.reasons if reason.decision == verdict.decision and reason.code != AMBIGUOUS]
    detail = " ".join(f"{reason.category or reason.code}" for reason in found or verdict.reasons)
    return Judged(variant, "review" if found else "ambiguous", detail)


def lasting(shown: Shown) -> list[ShownFrame]:
    """Return the frames of what is shown for a good share of the time, and the last of an animation that ends."""
    own = [frame.shown_ms or 0.0 for frame in shown.frames]
    times = [
        sum(each for each, other in zip(own, shown.frames, strict=True) if _alike(frame, other))
        for frame in shown.frames
    ]
    lasting = [
        frame
        for frame, time_ms in zip(shown.frames, times, strict=True)
        if not sum(own) or time_ms >= SHORTEST_SHARE * sum(own)
    ]
    return lasting if shown.repeats or shown.frames[-1] in lasting else [*lasting, shown.frames[-1]]


async def judged_together(
    judge: EvasionJudge, reader: PixelReader, variants: Sequence[Variant], *, at_once: int = 4
) -> list[Judged]:
    """Return what became of variants."""
    places = asyncio.Semaphore(at_once)

    async def judged(variant: Variant, shown: Shown) -> Judged:
        async with places:
            return await judge.judged(variant, shown)

    shown = await reader.show((variant.data for variant in variants), side=WIDTH)
    return list(await asyncio.gather(*map(judged, variants, shown)))


def _alike(one: ShownFrame, other: ShownFrame) -> bool:
    return float(np.abs(one.on_white - other.on_white).mean()) <= ALIKE


@asynccontextmanager
async def evasion_judge() -> AsyncIterator[EvasionJudge]:
    """Start the decoders and the embedded engine."""
    # Slow machines are given time: what is too late would count as refused.
    settings = Settings(
        engine=EngineSettings(timeout_s=600), media=MediaSettings(decode=DecodeSettings(workers=2, timeout_s=120))
    )
    async with data_plane_alone(settings) as plane:
        yield EvasionJudge(RequestModerator(plane.moderator, plane.policies, max_image_bytes=100_000_000))
