"""A record in flight carries its outcomes and its size to the committer."""

from service.core.records import OutgoingRecord, record_size_bytes
from service.delivery.in_flight import InFlightRecord, InFlightResources
from service.delivery.resolution import FinishedRecord, Resolution
from service.delivery.window import Window, WorkSlots
from service.kafka.errors import OutcomesRefusedError
from service.kafka.publisher import record_bytes
from service.settings.delivery import WindowSettings
from testing.memory_stream import record

LARGE = OutgoingRecord("images.verdicts", b"42", b"x" * 20_000, ())
SMALL = OutgoingRecord("images.uploaded.dead", b"42", b"event", ())
EVENT = record(0, key=b"42")


class Submitted(list[FinishedRecord]):
    """A committer that only keeps what it is given."""

    def submit(self, record: FinishedRecord, /) -> None:
        self.append(record)


def in_flight(committer: Submitted) -> InFlightRecord:
    shared = InFlightResources(
        Window(WindowSettings()),
        WorkSlots(1),
        start=lambda _: True,
        smaller=lambda _, __: Resolution((SMALL,), 0, "dead_lettered"),
    )
    return InFlightRecord(EVENT, committer, shared)


def test_a_record_goes_to_its_committer_once_it_has_outcomes() -> None:
    committer = Submitted()
    item = in_flight(committer)
    item.submit()
    assert committer == []
    item.resolve(Resolution((LARGE,), 0))
    item.submit()
    assert committer == [item]
    assert item.resolution.outcomes == (LARGE,)


def test_a_record_counts_its_own_bytes_and_those_of_its_present_outcomes() -> None:
    item = in_flight(Submitted())
    item.resolve(Resolution((LARGE,), 0))
    assert item.published_bytes == record_bytes(LARGE)
    assert item.held_bytes == record_bytes(LARGE) + record_size_bytes(EVENT)
    item.replace_outcomes(OutcomesRefusedError("images.verdicts", [LARGE], size_bytes=20_000, detail="too large"))
    assert item.resolution.outcomes == (SMALL,)
    assert item.held_bytes == record_bytes(SMALL) + record_size_bytes(EVENT)
