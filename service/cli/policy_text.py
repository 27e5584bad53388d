"""Pure: a policy → the complete prompt of a language model, for people to read."""

from collections.abc import Iterator, Sequence

from service.inference.vision.labels import label_map_hash
from service.inference.vision.prompt import Prompter, prompter
from service.policy.policy import Policy

# Measured over the bundled policy with the vocabulary of Qwen: 4.2 in English; 1.15 of the characters of Chinese.
CHARACTERS_A_TOKEN = 4.2
WIDE_CHARACTERS_A_TOKEN = 1.15
# The scripts of East Asia begin here; what stands before is written with spaces.
_FIRST_WIDE = "\u2e80"


def policy_text(policy: Policy) -> str:
    """Return the prompt of a policy with its questions; raise `FatalError` if it can have none."""
    return "\n".join(_sections(policy, prompter(policy.instructions))) + "\n"


def estimated_tokens(text: str) -> int:
    """Return about how many tokens a text is for Qwen; within a tenth for prompts in English and Chinese."""
    wide = sum(character >= _FIRST_WIDE for character in text)
    return round(wide / WIDE_CHARACTERS_A_TOKEN + (len(text) - wide) / CHARACTERS_A_TOKEN)


def _sections(policy: Policy, prompts: Prompter) -> Iterator[str]:
    yield from _facts(policy, prompts)
    yield _heading("the outcome of each score; no part of the prompt")
    yield from _thresholds(policy)
    yield _heading(
        f"before every image: {len(prompts.system)} characters, about {estimated_tokens(prompts.system)} tokens"
    )
    yield prompts.system
    yield _heading(f"the image: at most {policy.vision_tokens} tokens")
    yield _heading("the first question: one token answers it, and is the score of every category")
    yield prompts.which(None).question
    if prompts.instructions.categories:
        yield _heading("for each category that needs a follow-up question")
        yield prompts.is_it(None, "CATEGORY").question
    yield _heading("for what reaches a threshold for review or block")
    yield prompts.why(None, ["CATEGORY"]).question
    if prompts.instructions.attributes is not None:
        yield _heading("for events that want tags")
        yield prompts.describe(None).question
    yield _heading("a caption stands before the question")
    yield prompts.which("CAPTION").question


def _facts(policy: Policy, prompts: Prompter) -> Iterator[str]:
    instructions = prompts.instructions
    schema = "none" if instructions.attributes is None else instructions.attributes.name
    yield f"policy       {policy.name}, version {policy.version}, hash {policy.hash}"
    yield f"language     {instructions.language}"
    yield f"adapter      {instructions.adapter or 'none'}"
    yield f"tags         {schema}"
    yield f"follow-up    {instructions.follow_up_threshold:g}: below it, one token is all that an image costs"
    yield f"prompt hash  {prompts.hash}"
    yield f"label map    {label_map_hash(prompts.labels)}"
    yield f"labels       {', '.join(f'{label} {category}' for label, category in prompts.labels.items())}"


def _thresholds(policy: Policy) -> Iterator[str]:
    """Yield each category's thresholds, gravest category first."""
    rules = [(name, policy.categories[name]) for name in policy.names if name in policy.categories]
    width = max(len(name) for name, _ in rules)
    for name, rule in rules:
        thresholds = ", ".join(f"{outcome} from {threshold:g}" for outcome, threshold in rule.thresholds())
        yield f"{name:<{width}}  {thresholds or 'no threshold: scored, and never counts'}"
    yield f"{'not judged':<{width}}  {policy.when_not_moderated}"
    ambiguous = ", ".join(f"{feature} {decision}" for feature, decision in policy.ambiguous.items())
    yield f"{'shown otherwise':<{width}}  {ambiguous}"
    if (text := first_pass_text(policy)) is not None:
        yield f"{'first pass':<{width}}  {text}"


def first_pass_text(policy: Policy) -> str | None:
    """Return what a policy's first pass does; None for a policy without one."""
    rule = policy.instructions.first_pass
    if rule is None:
        return None
    engine = "the same engine" if rule.engine == "same" else "the smaller engine (engine.first_pass)"
    looks = f"{engine} looks first, with {rule.vision_tokens} instead of {policy.vision_tokens} vision tokens"
    if rule.vision_tokens == policy.vision_tokens:
        looks = f"{engine} looks first, with {rule.vision_tokens} vision tokens"
    if not any(below for _, below in rule.clear_below):
        return f"{looks}, and clears nothing: both passes judge every image"
    return f"{looks}, and clears images with {_limits(rule.clear_below)}"


def _limits(clear_below: Sequence[tuple[str, float]]) -> str:
    """Return the scores that an image must stay below, categories with the same one together."""
    names: dict[float, list[str]] = {}
    for name, below in clear_below:
        names.setdefault(below, []).append(name)
    return "; ".join(f"{', '.join(each)} below {below:g}" for below, each in sorted(names.items()))


def _heading(text: str) -> str:
    return f"\n--- {text}"
