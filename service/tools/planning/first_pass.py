"""What a cheaper first pass is worth: few vision tokens in the same engine, or a smaller model on cards of its own.

An image costs its first pass, and the full pass if the first one does not clear it. Images with tags get no first
pass: they are encoded in full anyway.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from service.tools.planning.models import ModelShape
from service.tools.planning.plan import GpuPlan, plan_gpu, plan_precision
from service.tools.planning.workload import Candidate, FewTokensFirst, Workload

_PERCENT = 100


class FirstPassError(ValueError):
    """A first pass that cannot be: its text says which option is wrong."""


@dataclass(frozen=True, slots=True)
class FirstPass:
    """A first pass that is weighed."""

    cleared: float
    """Share of the images with a first pass that it clears, in [0, 1]."""
    vision_tokens: int | None = None
    """None: as many as the full pass has."""
    model: ModelShape | None = None
    """A smaller model on cards of its own, of the same kind; None: the same engine."""


@dataclass(frozen=True, slots=True)
class FirstPassPlan:
    """A model on a card with a first pass before it; rates are images a second of one card that is kept full."""

    model: ModelShape
    """That answers the first pass."""
    precision: str
    """Of that model."""
    vision_tokens: int
    """Of the first pass."""
    cleared: float
    has_own_cards: bool
    """The first pass runs on cards of its own; rates are then of one card among those of both passes."""
    without_per_s: float
    """If every image got the full pass alone."""
    images_per_s: float
    at_most_per_s: float
    """If the first pass cleared every image that gets one and no image got follow-up questions."""
    worth_from: float | None
    """The share cleared, in whole percent, from which the first pass is a gain; None: it never is."""
    passes: float
    """First questions an image, on average."""
    main_per_s: float
    """Images a second that come in, for one card of the full pass."""
    first_cards: float
    """Cards of the first pass for each card of the full pass; 0 without cards of its own."""

    @property
    def factor(self) -> float:
        """The rate with the first pass over the rate without it."""
        return self.images_per_s / self.without_per_s


def plan_first_pass(plan: GpuPlan, first: FirstPass) -> FirstPassPlan | None:
    """Return what a first pass before a plan's model is worth; None if that model does not fit the card.

    Raises `FirstPassError` for a first pass that is not cheaper, does not fit the card, or clears images that the
    workload gives follow-up questions.
    """
    if plan.take is None:
        return None
    _check(plan, first)
    build = _on_own_cards if first.model else _in_the_same_engine
    return build(plan, first)


def _check(plan: GpuPlan, first: FirstPass) -> None:
    work = plan.work
    tokens = first.vision_tokens or work.vision_tokens
    if first.model is None and tokens >= work.vision_tokens:
        raise FirstPassError(f"--first-pass-tokens {tokens}: give fewer than the {work.vision_tokens} of the full pass")
    if first.model is not None and first.model.parameters >= plan.model.parameters:
        raise FirstPassError(f"--first-pass-model: {first.model.name} is not smaller than {plan.model.name}")
    full_share = 1.0 - first.cleared * (1.0 - work.tags_share)
    if work.stage2_share > full_share + 1e-9:
        raise FirstPassError(
            f"--cleared {first.cleared:g} leaves {full_share:.1%} of the images for the full pass, and --stage2-share"
            f" has {work.stage2_share:.1%} get follow-up questions, which only the full pass asks: lower one of the two"
        )


@dataclass(frozen=True, slots=True)
class _Rates:
    """Images a second by the share that is cleared: of a card among all, and of a card of the full pass."""

    overall: Callable[[Workload, float], float]
    main: Callable[[Workload, float], float]


def _in_the_same_engine(plan: GpuPlan, first: FirstPass) -> FirstPassPlan:
    tokens = first.vision_tokens or plan.work.vision_tokens

    def rate(work: Workload, cleared: float) -> float:
        return _rate(plan, replace(work, first_pass=FewTokensFirst(tokens, cleared)))

    precision = plan.take.precision.name if plan.take else ""
    return _planned(plan, first, _Rates(rate, rate), model=plan.model, precision=precision)


def _on_own_cards(plan: GpuPlan, first: FirstPass) -> FirstPassPlan:
    model = first.model or plan.model
    tokens = first.vision_tokens or plan.work.vision_tokens
    judged = replace(plan.work, vision_tokens=tokens, stage2_share=0.0, tags_share=0.0)
    small = plan_gpu(plan.gpu, model, judged).take
    if small is None:
        raise FirstPassError(f"--first-pass-model: {model.name} does not fit {plan.gpu.name}")
    first_per_s = small.images_per_s

    def main(work: Workload, cleared: float) -> float:
        share = 1.0 - cleared * (1.0 - work.tags_share)
        if not share:
            return math.inf
        passed_on = replace(
            work, stage2_share=min(1.0, work.stage2_share / share), tags_share=min(1.0, work.tags_share / share)
        )
        return _rate(plan, passed_on) / share

    def overall(work: Workload, cleared: float) -> float:
        return 1.0 / ((1.0 - work.tags_share) / first_per_s + 1.0 / main(work, cleared))

    found = _planned(plan, first, _Rates(overall, main), model=model, precision=small.precision.name)
    return replace(
        found,
        has_own_cards=True,
        first_cards=found.main_per_s * (1.0 - plan.work.tags_share) / first_per_s,
    )


def _planned(plan: GpuPlan, first: FirstPass, rates: _Rates, *, model: ModelShape, precision: str) -> FirstPassPlan:
    work, without = plan.work, _rate(plan, plan.work)
    tokens = first.vision_tokens or work.vision_tokens
    shares = (percent / _PERCENT for percent in range(_PERCENT + 1))
    return FirstPassPlan(
        model=model,
        precision=precision,
        vision_tokens=tokens,
        cleared=first.cleared,
        has_own_cards=False,
        without_per_s=without,
        images_per_s=rates.overall(work, first.cleared),
        at_most_per_s=rates.overall(replace(work, stage2_share=0.0), 1.0),
        worth_from=next((share for share in shares if rates.overall(work, share) > without), None),
        passes=replace(work, first_pass=FewTokensFirst(tokens, first.cleared)).passes,
        main_per_s=rates.main(work, first.cleared),
        first_cards=0.0,
    )


def _rate(plan: GpuPlan, work: Workload) -> float:
    """Return the rate of the plan's model in the precision that it takes."""
    if plan.take is None:
        return 0.0
    return plan_precision(Candidate(plan.gpu, plan.model, plan.take.precision, work)).images_per_s
