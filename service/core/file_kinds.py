"""Which of modstream's kinds of file a document looks like: a hint where a command or a setting gets a wrong one.

A kind is recognised by its topmost keys alone. A test compares them with the models that read the files.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FileKind:
    """One kind of YAML or JSON file, and the command or setting that reads it."""

    name: str
    """With its article."""
    marks: tuple[frozenset[str], ...]
    """A file with all keys of one of these sets, and a mapping or list under `holds`, is of this kind."""
    taken_by: str
    """The end of a sentence: the command or the setting that takes such a file."""
    holds: str | None = None
    """The key that other kinds have too, with a text under it."""

    def matches(self, content: object) -> bool:
        """Return whether a document looks like this kind of file."""
        if not isinstance(content, Mapping):
            return False
        keys = {key for key in content if isinstance(key, str)}
        has_group = self.holds is None or isinstance(content.get(self.holds), dict | list)
        return has_group and any(marks <= keys for marks in self.marks)


def _any_of(*keys: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset({key}) for key in keys)


EVENT = FileKind(
    "an upload event",
    (frozenset({"image_id", "image"}), frozenset({"specversion", "type", "source"})),
    "events are records of topics.uploads, and 'modstream send' publishes one for an image",
)
OUTCOME = FileKind(
    "a verdict or tags",
    (frozenset({"image_id", "source"}),),
    "the service publishes these, and 'modstream watch' shows them",
)
POLICY = FileKind(
    "a policy",
    _any_of("categories"),
    "the setting policy.path names policies, and 'modstream policy check FILE' checks them",
)
ATTRIBUTES = FileKind(
    "a file of attributes for tags",
    _any_of("attributes"),
    "a policy beside it names it as 'attributes: FILE', and 'modstream policy check' of that policy checks both",
    holds="attributes",
)
CLASSIFIERS = FileKind(
    "a catalogue of ONNX classifiers", _any_of("classifiers"), "the setting engine.onnx.classifiers names it"
)
CALIBRATION = FileKind(
    "a calibration",
    (frozenset({"fitted_on", "engines"}),),
    "the setting policy.calibration names it, and 'modstream calibrate' writes it",
)
SETTINGS = FileKind(
    "a settings file",
    _any_of(
        "delivery",
        "ordering",
        "kafka",
        "topics",
        "window",
        "commit",
        "retry",
        "dead_letter",
        "media",
        "engine",
        "policy",
        "shadow",
        "telemetry",
        "monitoring",
        "api",
        "shutdown",
    ),
    "the option --config (-c) or the variable MODSTREAM_CONFIG takes it, and 'modstream config -c FILE' checks it",
)

KINDS = (EVENT, OUTCOME, POLICY, ATTRIBUTES, CLASSIFIERS, CALIBRATION, SETTINGS)
"""In the order in which they are recognised: events have a `policy`, too, as settings files have."""


def kind_of(content: object) -> FileKind | None:
    """Return the kind of file that a document looks like; None if it looks like none."""
    return next((kind for kind in KINDS if kind.matches(content)), None)


def other_kind_hint(content: object, expected: FileKind) -> str | None:
    """Return what a file is, and what takes it, if it looks like another kind than is expected."""
    if expected.matches(content) or (kind := kind_of(content)) is None:
        return None
    return f"this looks like {kind.name} and not like {expected.name}: {kind.taken_by}"
