import psutil
import pytest

from service.runtime.resource_limits import MemoryLimitError, MemoryNotMeasurableError, memory_limits, own_memory_bytes


def test_memory_above_the_limit_is_told_with_how_much_is_held() -> None:
    held = iter([1000, 1001])
    (limit,) = memory_limits(1000, setting="limit", measure=lambda: next(held))
    assert limit() is None
    error = limit()
    assert isinstance(error, MemoryLimitError)
    assert "hold 1001 bytes of memory; the limit is 1000" in str(error)


def test_a_limit_of_0_is_none() -> None:
    assert memory_limits(0, setting="limit", measure=lambda: pytest.fail("measured")) == []


def test_a_limit_that_cannot_be_kept_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "LINUX", False)
    with pytest.raises(MemoryNotMeasurableError, match=r"engine\.max_memory_bytes"):
        memory_limits(1000, setting="engine.max_memory_bytes")
    assert memory_limits(0, setting="engine.max_memory_bytes") == []


def test_this_process_holds_memory() -> None:
    assert own_memory_bytes() > 10_000_000
