"""Outcomes that can be asked for later: the newest ones, within bounds of number and bytes.

They are kept as they were published and read when they are asked for: nearly all never are.
"""

from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import ValidationError

from schemas.tags import TagsV1
from schemas.verdict import VerdictV1
from service.api.models import ErrorDetail, Outcome

Kind = Literal["verdict", "tags", "failure"]
_MODELS: Mapping[Kind, type[VerdictV1 | TagsV1 | ErrorDetail]] = {
    "verdict": VerdictV1,
    "tags": TagsV1,
    "failure": ErrorDetail,
}
_PARTS = 2
"""Of an outcome: its end, and tags."""

_ENTRY_BYTES = 600
"""What CPython takes for an outcome besides its JSON and twice its id and tenant."""
_Place = tuple[str, str]
"""Id of an image, and its tenant: any tenant may use any id, and must not hide another's outcome by it."""


@dataclass(slots=True)
class _Entry:
    number: int
    """Counted over all outcomes."""
    kind: Kind
    raw: bytes


class StoredOutcomes:
    """The newest outcomes by image id and tenant, and the images whose outcomes are expected."""

    def __init__(self, max_outcomes: int, max_bytes: int) -> None:
        """`max_outcomes` 0 keeps nothing."""
        self._max_outcomes = max_outcomes
        self._max_bytes = max_bytes
        self._oldest: deque[_Place] = deque()
        """The place of every entry, the oldest first."""
        self._kept: dict[_Place, list[_Entry]] = {}
        self._expected: OrderedDict[_Place, int] = OrderedDict()
        """The number from which on an outcome is the expected one."""
        self._number = 0
        self.bytes = 0

    def __len__(self) -> int:
        """Return the number of outcomes that are kept."""
        return len(self._oldest)

    @property
    def is_on(self) -> bool:
        """Whether outcomes are kept at all."""
        return self._max_outcomes > 0

    def keep(self, image_id: str, kind: Kind, raw: bytes, *, tenant: str) -> None:
        """Keep an outcome as JSON: a `VerdictV1`, a `TagsV1`, or for a failure an `ErrorDetail`."""
        if not self.is_on:
            return
        self._number += 1
        place, entry = (image_id, tenant), _Entry(self._number, kind, raw)
        self._kept.setdefault(place, []).append(entry)
        self._oldest.append(place)
        self.bytes += _size_bytes(place, entry)
        while len(self._oldest) > self._max_outcomes or self.bytes > self._max_bytes:
            self._drop_oldest()

    def expect(self, image_id: str, tenant: str) -> None:
        """Take note that an outcome of an image will come; earlier ones are not returned any more."""
        self._expected[image_id, tenant] = self._number + 1
        self._expected.move_to_end((image_id, tenant))
        if len(self._expected) > self._max_outcomes:
            self._expected.popitem(last=False)

    def expect_no_more(self, image_id: str, tenant: str) -> None:
        """Take back what `expect` noted: nothing was published."""
        self._expected.pop((image_id, tenant), None)

    def is_expected(self, image_id: str, tenant: str) -> bool:
        """Return whether an outcome was announced that is not there yet."""
        return (image_id, tenant) in self._expected and self.find(image_id, tenant) is None

    def find(self, image_id: str, tenant: str) -> Outcome | None:
        """Return the newest outcome of a tenant's image, or None: verdict or failure, with its tags."""
        since = self._expected.get((image_id, tenant), 0)
        found: dict[str, VerdictV1 | TagsV1 | ErrorDetail] = {}
        for entry in reversed(self._kept.get((image_id, tenant), ())):
            if entry.number < since:
                break
            # A verdict and a failure of the same image are both the end of it: the newer one counts.
            name = "tags" if entry.kind == "tags" else "end"
            if name not in found and (value := _read(entry)) is not None:
                found[name] = value
            if len(found) == _PARTS:
                break
        return _outcome(image_id, found) if found else None

    def _drop_oldest(self) -> None:
        place = self._oldest.popleft()
        entries = self._kept[place]
        self.bytes -= _size_bytes(place, entries.pop(0))
        if not entries:
            del self._kept[place]


def _size_bytes(place: _Place, entry: _Entry) -> int:
    return _ENTRY_BYTES + 2 * sum(map(len, place)) + len(entry.raw)


def _read(entry: _Entry) -> VerdictV1 | TagsV1 | ErrorDetail | None:
    """Return an outcome; None for a message of another version."""
    try:
        return _MODELS[entry.kind].model_validate_json(entry.raw)
    except ValidationError:
        return None


def _outcome(image_id: str, found: dict[str, VerdictV1 | TagsV1 | ErrorDetail]) -> Outcome:
    end, tags = found.get("end"), found.get("tags")
    return Outcome(
        image_id=image_id,
        verdict=end if isinstance(end, VerdictV1) else None,
        tags=tags if isinstance(tags, TagsV1) else None,
        error=end if isinstance(end, ErrorDetail) else None,
    )
