"""What a cheaper first pass gains before the tiny model: few tokens of the same engine, or a tinier model.

Both passes run in vLLM on the same cores. What counts is the processor time of all processes, the engines' included: it
is what the passes share, and other work on the machine moves it little. The thresholds are solved as `modstream
thresholds` does, on images that have no part in the timed rounds, and the titles say what they clear and lose. Four in
five of the timed images are plainly harmless: nothing but a background. The others show one or two harmful shapes among
others.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import psutil
import uvloop

from benchmarks.runner import Comparison, Contender, TimedRun, UnavailableError
from benchmarks.vision.model import STALL_S, prepare_for_a_cpu, require_engine, tiny_settings
from service.core.pixels import RgbPixels
from service.inference.engine import Engine, EngineOutput, EngineRequest
from service.inference.first_pass.engine import FirstPassEngine
from service.inference.first_pass.smaller import SmallerEngine
from service.inference.vision.engine import VisionEngine
from service.policy.judged import JudgedFrame, JudgedImage, decide_image
from service.policy.loader import load_policies
from service.policy.policy import Policy
from service.settings.engine import JudgingSettings
from service.settings.settings import PolicySettings
from service.tools.evaluation.thresholds.first_pass import SolvedFirstPass, TwoPasses, solve_first_pass
from testing.shapes_policy import write_shapes_policy
from testing.tiny_model.first_pass import FEW_SIDE, SIDE, TINIER, TWO_SIZES, scene_for_passes
from testing.tiny_model.scenes import draw
from testing.tiny_model.shapes import INSTRUCTIONS

CELL_PIXELS = 32**2
FULL_TOKENS, FEW_TOKENS = SIDE**2 // CELL_PIXELS, FEW_SIDE**2 // CELL_PIXELS
# Of the timed images; the others are harmful.
PLAIN_SHARE = 0.8
TIMED = 120
ROUNDS = 3
UNIT = "images a processor second"
TARGET_RATIO = 1.8
RECALL = 0.99
# Each half proves the recall if none of its harmful images is lost: that takes 299.
HARMFUL_TO_SOLVE, PLAIN_TO_SOLVE = 700, 200
IN_FLIGHT = 32
DEADLINE_S = 600.0
KINDS = {"same": "few tokens first", "smaller": "a tinier model first"}


@dataclass(frozen=True, slots=True)
class Passes:
    """Both engines, started, and the loop that they live on."""

    runner: asyncio.Runner
    engine: FirstPassEngine
    policy: Policy
    """Without a first pass."""
    numbers: Iterator[int] = field(default_factory=count)

    def prepared(self, first_pass: dict[str, object] | None) -> Policy:
        """Return the policy with a first pass, for which both engines are prepared."""
        content = self.policy.model_dump() | {"attributes": self.policy.attributes, "first_pass": first_pass}
        policy = Policy.model_validate(content)
        self.runner.run(self.engine.prepare(policy.instructions))
        return policy

    def judged(self, policy: Policy, images: Sequence[RgbPixels]) -> Sequence[EngineOutput]:
        """Judge images, so many at a time as keep the engines busy."""
        return self.runner.run(self._judged(policy, images))

    async def _judged(self, policy: Policy, images: Sequence[RgbPixels]) -> Sequence[EngineOutput]:
        places = asyncio.Semaphore(IN_FLIGHT)

        async def one(pixels: RgbPixels) -> EngineOutput:
            name = f"image-{next(self.numbers)}"
            request = EngineRequest(
                name, pixels, policy.instructions, image_key=name, deadline_s=time.monotonic() + DEADLINE_S
            )
            async with places:
                return await self.engine.judge(request)

        return await asyncio.gather(*(one(pixels) for pixels in images))


@contextmanager
def comparisons() -> Iterator[Sequence[Comparison]]:
    """Compare the full pass of every image with a first pass before it."""
    require_engine()
    if missing := [folder.name for folder in (TWO_SIZES, TINIER) if not (folder / "model.safetensors").exists()]:
        raise UnavailableError(f"the models {' and '.join(missing)} are not made: run 'make first-pass-models'")
    prepare_for_a_cpu()
    with _started() as passes:
        plain, harmful = _plain(PLAIN_TO_SOLVE, seed=1), _harmful(HARMFUL_TO_SOLVE, seed=2)
        timed = [*_plain(int(PLAIN_SHARE * TIMED), seed=3), *_harmful(TIMED - int(PLAIN_SHARE * TIMED), seed=4)]
        mixed = [timed[place] for place in np.random.default_rng(5).permutation(len(timed))]
        yield (
            _one_question(passes, plain[: len(mixed)]),
            *(_compared(passes, kind, mixed, [*plain, *harmful]) for kind in KINDS),
        )


def _compared(passes: Passes, kind: str, mixed: Sequence[RgbPixels], known: Sequence[RgbPixels]) -> Comparison:
    """Solve the thresholds of a kind of first pass on known images, and compare it on others."""
    alone, both = passes.prepared(None), passes.prepared(_rule(kind, {"default": 0.0, "child_safety": 0.0}))
    found = solve_first_pass(alone, _two_passes(passes, both, known), recall=RECALL)
    if not isinstance(found, SolvedFirstPass):
        raise UnavailableError(f"{KINDS[kind]}: {found.detail}")
    with_first = passes.prepared(_rule(kind, dict(found.clear_below)))
    kept, outputs = found.held_out.recall, passes.judged(with_first, mixed)
    cleared = sum(output.is_cleared for output in outputs) / len(outputs)
    title = (
        f"{KINDS[kind]}, {FEW_TOKENS} of {FULL_TOKENS} vision tokens: clears {cleared:.0%} of {len(mixed)} images, "
        f"loses {1 - kept.value:.2%} ({1 - kept.high:.2%} to {1 - kept.low:.2%}) of {kept.images} held-out ones that "
        "the full pass does not allow"
    )
    _report(title)
    return Comparison(
        title,
        (
            Contender("every image in full", lambda: _timed(passes, alone, mixed)),
            Contender(KINDS[kind], lambda: _timed(passes, with_first, mixed)),
        ),
        target_ratio=TARGET_RATIO,
        unit=UNIT,
        rounds=ROUNDS,
    )


def _one_question(passes: Passes, images: Sequence[RgbPixels]) -> Comparison:
    """Compare what one list question costs in each pass: images that get no other."""
    alone = passes.prepared(None)
    # Thresholds that each of these images is below.
    clears = {"default": 0.49, "child_safety": 0.49}
    return Comparison(
        "one question an image, about a background alone",
        (
            Contender(f"the tiny model, {FULL_TOKENS} tokens", lambda: _timed(passes, alone, images)),
            *(
                Contender(f"{name}, {FEW_TOKENS} tokens", _timer(passes, passes.prepared(_rule(kind, clears)), images))
                for kind, name in (("same", "the tiny model"), ("smaller", "the tinier model"))
            ),
        ),
        unit=UNIT,
        rounds=ROUNDS,
    )


def _timer(passes: Passes, policy: Policy, images: Sequence[RgbPixels]) -> Callable[[], TimedRun]:
    return lambda: _timed(passes, policy, images)


def _timed(passes: Passes, policy: Policy, images: Sequence[RgbPixels]) -> TimedRun:
    wall_s, before_s = time.perf_counter(), _cpu_s()
    passes.judged(policy, images)
    run = TimedRun(len(images), _cpu_s() - before_s)
    _report(f"{len(images)} images in {run.seconds:.1f} s of processor time, {time.perf_counter() - wall_s:.1f} s")
    return run


def _cpu_s() -> float:
    """Return the processor time of this process and all below it, in seconds."""
    own = psutil.Process()
    times = [each.cpu_times() for each in (own, *own.children(recursive=True))]
    return sum(each.user + each.system for each in times)


def _rule(kind: str, clear_below: dict[str, float]) -> dict[str, object]:
    return {"engine": kind, "vision_tokens": FEW_TOKENS, "clear_below": clear_below}


def _two_passes(passes: Passes, policy: Policy, images: Sequence[RgbPixels]) -> Sequence[TwoPasses]:
    outputs = passes.judged(policy, images)
    return [
        TwoPasses(str(number), output.first_pass.scores, _is_allowed(policy, output))
        for number, output in enumerate(outputs)
        if output.first_pass is not None and output.first_pass.scores is not None and output.scores is not None
    ]


def _is_allowed(policy: Policy, output: EngineOutput) -> bool:
    image = JudgedImage((JudgedFrame(output.scores or {}, output.asked),))
    return decide_image(policy, image).result.decision == "allow"


def _plain(images: int, *, seed: int) -> Sequence[RgbPixels]:
    rng = np.random.default_rng(seed)
    return [draw(scene_for_passes(rng, is_plain=True)) for _ in range(images)]


def _harmful(images: int, *, seed: int) -> Sequence[RgbPixels]:
    rng = np.random.default_rng(seed)
    return [draw(scene_for_passes(rng, harmful=int(rng.integers(1, 3)))) for _ in range(images)]


@contextmanager
def _started() -> Iterator[Passes]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, TemporaryDirectory() as folder:
        engine = runner.run(_build())
        try:
            runner.run(engine.start())
            path = write_shapes_policy(Path(folder), replace(INSTRUCTIONS, vision_tokens=FULL_TOKENS))
            policy = load_policies(PolicySettings(path=path, default="shapes")).default
            yield Passes(runner, engine, policy)
        finally:
            runner.run(engine.stop())


async def _build() -> FirstPassEngine:
    def smaller() -> Engine:
        return _vision_engine(TINIER)

    cheap = SmallerEngine(smaller, timeout_s=DEADLINE_S, wait_s=DEADLINE_S, must_start=True)
    return FirstPassEngine(_vision_engine(TWO_SIZES), cheap)


def _vision_engine(folder: Path) -> VisionEngine:
    from service.inference.vllm.model import VllmModel  # noqa: PLC0415 - where vLLM is missing it cannot be imported

    settings = tiny_settings().model_copy(update={"model": str(folder)})
    return VisionEngine(VllmModel(settings, stall_s=STALL_S, on_failure=print), JudgingSettings(), kind="vllm")


def _report(line: str) -> None:
    sys.stderr.write(f"{line}{os.linesep}")
    sys.stderr.flush()
