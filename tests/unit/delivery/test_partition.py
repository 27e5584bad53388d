"""A partition is opened where its log and its stored progress say, and opened anew when its log is another one."""

import asyncio

import pytest

from service.core.records import Partition
from service.delivery.offset_guard import StartingPoint
from service.delivery.offsets import Progress
from service.delivery.partition import AssignedPartition, PartitionWorker
from service.kafka.log_bounds import LogBounds
from testing.committing import some_resources
from testing.offset_guards import Logs
from testing.partition_store import PartitionStore, StoreWriter
from testing.waiting import wait_until

PLACE = Partition("images.uploaded", 0)


class Keeping:
    """A worker over a store and a log of the test's choice."""

    def __init__(self, stored: Progress | None, bounds: LogBounds) -> None:
        self.store = PartitionStore()
        self.store.progress = stored
        self.logs = Logs(bounds)
        self.is_member = True
        self.opened: list[tuple[AssignedPartition, StartingPoint]] = []
        self.worker = PartitionWorker(
            PLACE,
            StoreWriter(self.store),
            resources=some_resources(),
            is_member=self._confirm,
            find_start=self.logs.guard("earliest").starting_point,
            on_open=lambda assigned, start: self.opened.append((assigned, start)),
            on_gone=lambda _: None,
        )

    async def _confirm(self) -> bool:
        return self.is_member


async def test_the_first_offset_is_stored_before_anything_is_read() -> None:
    keeping = Keeping(None, LogBounds(3, 9, 9, "this"))
    running = asyncio.create_task(keeping.worker.run())
    await wait_until(lambda: len(keeping.opened) == 1, description="the partition is open")
    assert keeping.store.progress == Progress(3)
    assert keeping.store.commits == [[]]
    keeping.worker.close()
    await running


async def test_an_offset_that_fits_is_not_stored_again() -> None:
    keeping = Keeping(Progress(5, 0b110), LogBounds(3, 9, 9, "this"))
    running = asyncio.create_task(keeping.worker.run())
    await wait_until(lambda: len(keeping.opened) == 1, description="the partition is open")
    assert keeping.opened[0][0].progress.committed.topic_id == "this"
    assert keeping.store.commits == []
    keeping.worker.close()
    await running


async def test_a_partition_whose_log_is_another_one_is_opened_anew_at_its_beginning() -> None:
    keeping = Keeping(Progress(5), LogBounds(0, 9, 9, "this"))
    running = asyncio.create_task(keeping.worker.run())
    await wait_until(lambda: len(keeping.opened) == 1, description="the partition is open")
    keeping.logs.bounds = LogBounds(0, 20, 20, "that")
    keeping.opened[0][0].committer.abandon()
    await wait_until(lambda: len(keeping.opened) == 2, description="the partition is open again")
    _, start = keeping.opened[1]
    assert (start.progress, start.is_other_log) == (Progress(0), True)
    assert keeping.store.progress == Progress(0)
    keeping.worker.close()
    await running


@pytest.mark.parametrize("stored", [None, Progress(30)], ids=["none stored", "another place"])
async def test_who_is_no_member_any_more_stores_no_offset(stored: Progress | None) -> None:
    keeping = Keeping(stored, LogBounds(3, 9, 9))
    keeping.is_member = False
    await keeping.worker.run()
    assert (keeping.opened, keeping.store.commits) == ([], [])
