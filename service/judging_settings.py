"""The settings of judging by a vision-language model, wherever it runs."""

from typing import Annotated

from pydantic import Field

from service.setting_types import Group, Positive

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class JudgingSettings(Group):
    """How a vision-language model's answers become scores, tags and explanations, whichever engine runs it."""

    min_label_mass: Share = 0.5
    """With less of its answer on the labels, the model would rather have said something else than any of them: the
    image counts as not moderated. Of an answer to a yes-or-no question it decides whether that counts."""
    noticeable_share: Share = 0.01
    """Categories with such a share of the answer get a yes-or-no question of their own once an image is suspicious.
    Models are sure of themselves: what comes second may be as clear to see and get a fiftieth of the answer."""
    max_follow_ups: Positive = 4
    """Such questions an image, for the largest shares, and one for the gravest category whatever its share: each costs
    one token more, and images that show more than four kinds of harm are blocked for the first."""
    max_tag_tokens: Positive = 256
    """Of one image's tags. A schema that can hold less lowers it; an answer that is cut off is kept as far as it goes,
    and marked as incomplete."""
    max_explained: Positive = 4
    """Categories that an image's verdict is explained for, the gravest first."""
    explanation_tokens: Positive = 64
    """For each of them: the 15 words that are asked for take about 25, its name and the quotes 15."""
    max_explanation_chars: Positive = 200
    """Of each explanation; twice what 15 words take."""
