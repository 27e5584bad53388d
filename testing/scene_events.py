"""Drawn images as upload events, and what readers of the outcomes have to find."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import orjson
from PIL import Image

from schemas.tags import TagsV1
from schemas.verdict import VerdictV1
from testing.house import inline
from testing.tiny_model.answers import categories, right_tags
from testing.tiny_model.scenes import Scene, draw, random_scene
from testing.tiny_model.shapes import INSTRUCTIONS, schema

# Far from the seeds that the tiny model was trained with.
_FIRST_SEED = 9_000_000
_ATTRIBUTES = tuple(attribute.name for attribute in schema("en").attributes)


@dataclass(frozen=True, slots=True)
class SceneEvent:
    """One drawn image on its way."""

    image_id: str
    scene: Scene
    wants_tags: bool

    def encode(self) -> bytes:
        """Return the event with its image inside, without loss."""
        file = io.BytesIO()
        Image.fromarray(draw(self.scene)).save(file, "PNG")
        tasks = ["moderation", "tags"] if self.wants_tags else ["moderation"]
        return orjson.dumps({"image_id": self.image_id, "image": inline(file.getvalue()), "tasks": tasks})


def scene_events(count: int) -> Sequence[SceneEvent]:
    """Return images with none, one and two harmful shapes in turn; tags are wanted of every fourth."""
    return [
        SceneEvent(
            str(number), random_scene(np.random.default_rng(_FIRST_SEED + number), harmful=number % 3), _tagged(number)
        )
        for number in range(count)
    ]


def wrong_verdicts(events: Sequence[SceneEvent], verdicts: Mapping[str, VerdictV1]) -> list[str]:
    """Return the images whose verdict found or decided otherwise than what is drawn calls for."""
    return [event.image_id for event in events if not _is_right(event.scene, verdicts[event.image_id])]


def right_shares(events: Sequence[SceneEvent], tags: Mapping[str, TagsV1]) -> Mapping[str, float]:
    """Return, by attribute, in what share of the images that wanted tags the values are exactly right."""
    scenes = {event.image_id: event.scene for event in events if event.wants_tags}
    right = {image_id: _reported_rightly(scene, tags[image_id]) for image_id, scene in scenes.items()}
    return {name: sum(name in names for names in right.values()) / len(right) for name in _ATTRIBUTES}


def _tagged(number: int) -> bool:
    return number % 4 == 0


def _is_right(scene: Scene, verdict: VerdictV1) -> bool:
    drawn = set(categories(scene, INSTRUCTIONS))
    found = {reason.category for reason in verdict.reasons if reason.decision == "block"}
    return (verdict.status, verdict.decision, found) == ("moderated", "block" if drawn else "allow", drawn)


def _reported_rightly(scene: Scene, tags: TagsV1) -> set[str]:
    wanted = right_tags(scene, INSTRUCTIONS)
    return {
        name for name in _ATTRIBUTES if {value.value for value in tags.attributes.get(name, ())} == set(wanted[name])
    }
