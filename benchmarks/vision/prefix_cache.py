"""How much of the policy's text the engine finds in its prefix cache, by the engine's own metrics."""

from benchmarks.runner import Comparison, Contender, TimedRun
from benchmarks.vision.model import RunningModel
from service.inference.vision.prompt import prompter
from testing.asking import INSTRUCTIONS

IMAGES = 64
TARGET_RATIO = 0.95


def prefix_cache(running: RunningModel) -> Comparison:
    """Compare the policy's tokens with those of them that are not computed again."""
    asker = prompter(INSTRUCTIONS)
    words = running.runner.run(running.model.prepare(None, list(asker.labels)))
    tokens = _policy_tokens(running, asker.system) * IMAGES

    async def ask() -> None:
        await running.model.read(running.ask(asker.which(None)), words)

    def found() -> TimedRun:
        before = _hits()
        running.side_by_side(ask, IMAGES)
        return TimedRun(units=_hits() - before, seconds=tokens)

    return Comparison(
        f"the policy's {tokens // IMAGES} tokens before {IMAGES} new images",
        (
            Contender("tokens asked about", lambda: TimedRun(tokens, tokens)),
            Contender("of them found in the cache", found),
        ),
        unit="a token",
        target_ratio=TARGET_RATIO,
        rounds=1,
    )


def _policy_tokens(running: RunningModel, system: str) -> int:
    """Count what stands before the image, in the engine's own tokens."""
    text = f"<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n<|vision_start|>"
    return len(running.engine.get_tokenizer().encode(text))


def _hits() -> int:
    from vllm.v1.metrics.reader import get_metrics_snapshot  # noqa: PLC0415 - where vLLM is missing it is not imported

    return sum(metric.value for metric in get_metrics_snapshot() if metric.name == "vllm:prefix_cache_hits")
