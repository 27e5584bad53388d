"""What is wrong with files of policies: each alone, as a prompt, and all together."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from service.cli.policy_text import estimated_tokens
from service.errors import FatalError
from service.inference.vision.prompt import prompter
from service.policy.errors import PolicyFileError, PolicySettingsError
from service.policy.loader import policies_by_name, policies_by_tenant
from service.policy.policy import Policy
from service.policy.policy_file import check_policy
from service.policy.taxonomy import NAMES


@dataclass(frozen=True, slots=True)
class Review:
    """What one file came to."""

    path: Path
    policy: Policy | None = None
    summary: str | None = None
    """For people; None where there are problems."""
    problems: tuple[str, ...] = ()
    """Each with its place, as editors and terminals link it."""


def review(path: Path) -> Review:
    """Check one file, and that a prompt can be made of it."""
    policy, problems = (checked := check_policy(path)).found, checked.problems
    if policy is None:
        return Review(path, problems=tuple(_placed(problem) for problem in problems))
    try:
        return Review(path, policy, _summary(policy, prompter(policy.brief).system))
    except FatalError as error:
        return Review(path, policy, problems=(f"{path}: {error}",))


def together(reviews: Iterable[Review]) -> list[str]:
    """Return what keeps policies from being served by one service."""
    policies = [each.policy for each in reviews if each.policy is not None]
    problems = []
    for gather in (policies_by_name, policies_by_tenant):
        try:
            gather(policies)
        except PolicySettingsError as error:
            problems.append(str(error.facts["detail"]))
    return problems


def _placed(problem: PolicyFileError) -> str:
    return "{path}:{line}: {detail}".format_map(problem.facts)


def _summary(policy: Policy, system: str) -> str:
    own = len(policy.names) - len(NAMES)
    asked = f"{len(policy.categories)} categories ({own} of its own)"
    return (
        f"{policy.name}, version {policy.version}: {asked}, about {estimated_tokens(system)} tokens before each image"
    )
