import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from service.cli.stderr_tail import stderr_tail
from testing.waiting import wait_until


@contextmanager
def standard_error() -> Iterator[int]:
    """Give the reading end of a pipe that standard error goes to."""
    read, write = os.pipe()
    original = os.dup(2)
    os.dup2(write, 2)
    try:
        yield read
    finally:
        os.dup2(original, 2)
        for descriptor in (read, write, original):
            os.close(descriptor)


async def child_writes(expression: str) -> None:
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", f"import sys; sys.stderr.write({expression})")
    assert await child.wait() == 0


async def test_what_children_write_is_kept_and_goes_on_to_where_it_went_before() -> None:
    with standard_error() as before:
        with stderr_tail() as written:
            await child_writes("'out of memory'")
            await wait_until(lambda: "out of memory" in written(), description="the child's words")
        assert os.read(before, 1000) == b"out of memory"


async def test_only_the_end_is_kept() -> None:
    with standard_error() as before, stderr_tail() as written:
        draining = asyncio.get_running_loop()
        draining.add_reader(before, lambda: os.read(before, 1_000_000))
        await child_writes("'first' + 'x' * 200_000 + 'last'")
        await wait_until(lambda: written().endswith("last"), description="the last words")
        draining.remove_reader(before)
        assert "first" not in written()
