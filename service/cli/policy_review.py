"""Checks policy files: each alone, its prompt, and all together."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from service.cli.policy_text import estimated_tokens, first_pass_text
from service.core.errors import FatalError
from service.inference.coverage import fixed_categories
from service.inference.onnx.catalogue import load_catalogue
from service.inference.vision.prompt import prompter
from service.policy.loader import repeated_names, repeated_tenants
from service.policy.policy import Policy
from service.policy.policy_file import check_policy
from service.policy.taxonomy import NAMES
from service.settings.engine import EngineSettings


@dataclass(frozen=True, slots=True)
class Review:
    """The result of checking one file."""

    path: Path
    policy: Policy | None = None
    """Of a file with problems, what is right of it, if that is a policy."""
    summary: str | None = None
    """For people; None where there are problems."""
    problems: tuple[str, ...] = ()
    """Each with its place, as editors and terminals link it."""


def review(path: Path, *, with_prompt: bool = True) -> Review:
    """Check one file, and that its prompt can be made; without the prompt there is no summary."""
    checked = check_policy(path)
    problems = [_placed(problem) for problem in checked.problems]
    policy = checked.found or checked.salvaged
    if policy is None or not with_prompt:
        return Review(path, policy, problems=tuple(problems))
    try:
        system = prompter(policy.instructions).system
    except FatalError as error:
        problems.append(f"{path}: {error}")
    return Review(path, policy, None if problems else _summary(policy, system), tuple(problems))


def together(reviews: Iterable[Review]) -> list[str]:
    """Return the problems that keep these policies from being served together."""
    policies = [each.policy for each in reviews if each.policy is not None]
    return [*repeated_names(policies), *repeated_tenants(policies)]


def not_looked_for(reviews: Iterable[Review], engine: EngineSettings) -> Iterator[str]:
    """Yield a warning for each policy with categories that the engine of the settings does not cover."""
    covered = fixed_categories(engine)
    for each in reviews:
        missing = (
            [name for name in each.policy.categories if name not in covered]
            if each.policy and covered is not None
            else []
        )
        if missing:
            yield (
                f"{each.path}: the engine of these settings (engine.kind: {engine.kind}) does not look for "
                f"{', '.join(missing)}; verdicts list {'it' if len(missing) == 1 else 'them'} as not covered"
            )


def first_pass_problems(reviews: Iterable[Review], engine: EngineSettings) -> Iterator[str]:
    """Yield a warning for each policy whose first pass cannot work with the engines of the settings."""
    first = engine.first_pass
    covered = load_catalogue(first.onnx.classifiers).covers if first.kind == "onnx" else None
    for each in reviews:
        rule = each.policy.instructions.first_pass if each.policy else None
        if each.policy is None or rule is None:
            continue
        if rule.engine == "same":
            if engine.kind == "onnx":
                yield (
                    f"{each.path}: its first pass has no effect with the engine of these settings (engine.kind: onnx), "
                    "which sees every image at the same size: give the settings of a vision-language model by --config"
                )
            continue
        missing = [name for name in each.policy.categories if covered is not None and name not in covered]
        if first.kind == "none":
            yield f"{each.path}: its first pass asks for the smaller engine, and engine.first_pass.kind is none"
        elif missing:
            yield (
                f"{each.path}: the engine of engine.first_pass (onnx) does not look for {', '.join(missing)}, so the "
                "first pass would clear no image, and the service refuses the policy"
            )


def _placed(problem: FatalError) -> str:
    return "{path}:{line}: {detail}".format_map(problem.facts)


def _summary(policy: Policy, system: str) -> str:
    own = len(policy.names) - len(NAMES)
    asked = f"{len(policy.categories)} categories ({own} of its own)"
    summary = (
        f"{policy.name}, version {policy.version}: {asked}, about {estimated_tokens(system)} tokens before each image"
    )
    first_pass = first_pass_text(policy)
    return summary if first_pass is None else f"{summary}; {first_pass}"
