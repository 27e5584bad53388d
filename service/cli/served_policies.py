"""The policies that the settings name, checked before anything is started."""

from collections.abc import Iterator
from itertools import chain

import typer

from service.cli.exits import ExitCode
from service.cli.options import complain_of
from service.cli.policy_review import review, together
from service.policy.errors import PolicySettingsError
from service.policy.loader import unknown_default
from service.policy.policy_files import policy_paths
from service.settings.load import LoadedSettings
from service.settings.settings import Settings


def check_policies_or_exit(loaded: LoadedSettings) -> None:
    """Show every problem with the policies that the settings name, and exit with the code for wrong settings."""
    problems = [*policy_problems(loaded.settings)]
    if not problems:
        return
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    complain_of(f"{count} with the policies ({_settings_in_words(loaded)}):", problems)
    raise typer.Exit(ExitCode.USAGE)


def policy_problems(settings: Settings) -> Iterator[str]:
    """Yield all that is wrong with the policies, each with its file and line or its setting."""
    is_asked = settings.engine.kind in {"vllm", "openai"}  # the other engines read no prompt
    try:
        reviews = [review(path, with_prompt=is_asked) for path in policy_paths(settings.policy.path)]
    except (PolicySettingsError, OSError) as error:
        yield str(error)
        return
    yield from chain.from_iterable(each.problems for each in reviews)
    yield from (f"policy.path: {detail}" for detail in together(reviews))
    policies = [each.policy for each in reviews if each.policy is not None]
    # A policy that cannot be read may be the default one.
    if len(policies) == len(reviews) and (detail := unknown_default(policies, settings.policy.default)) is not None:
        yield f"policy.default: {detail}"


def _settings_in_words(loaded: LoadedSettings) -> str:
    """Return which settings name the policies, and where they were given."""
    given = (f"{name}, {loaded.sources[name]}" for name in ("policy.path", "policy.default") if name in loaded.sources)
    return "; ".join(given) or "policy.path is not set: those of the package"
