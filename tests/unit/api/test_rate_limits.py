"""How many requests and images a caller may send, and how often an address may fail."""

import pytest
from starlette.datastructures import Headers

from service.api.callers.access import Access, Caller
from service.api.callers.access_errors import RateLimitedError, TooManyFailuresError, UnknownKeyError
from service.api.callers.api_keys import ApiKeys, NewKey, new_key
from service.api.callers.failures import FailureLimit, network_of
from service.api.callers.rate_limits import MAX_ENTRIES, Limits, RateLimits
from testing.clock import StillClock


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


def limited(
    clock: StillClock,
    *,
    requests_per_s: float | None = None,
    images_per_s: float | None = None,
    burst: int | None = None,
) -> Caller:
    limits = RateLimits(clock).of("k", Limits(requests_per_s, images_per_s, burst))
    return Caller("k", "shop", frozenset(), limits)


def refused(caller: Caller, images: int = 1, *, requests: int = 1) -> RateLimitedError:
    with pytest.raises(RateLimitedError) as caught:
        caller.take(images, requests=requests)
    return caught.value


def test_requests_within_the_burst_pass_and_the_next_is_answered_429_with_when_to_come_back(clock: StillClock) -> None:
    caller = limited(clock, requests_per_s=2, burst=3)
    for _ in range(3):
        caller.take()
    error = refused(caller)
    assert (error.status, error.reason, error.retry_after_s) == (429, "access.rate_limited", 0.5)
    assert "k has reached its limit of 2 requests per second" in str(error)
    clock.now_s += error.retry_after_s
    caller.take()
    refused(caller)


def test_the_headers_are_those_that_openais_clients_read(clock: StillClock) -> None:
    caller = limited(clock, requests_per_s=2, images_per_s=10, burst=20)
    caller.take(images=4)
    assert caller.limits.headers() == {
        "x-ratelimit-limit-requests": "20",
        "x-ratelimit-remaining-requests": "19",
        "x-ratelimit-reset-requests": "500ms",
        "x-ratelimit-limit-images": "20",
        "x-ratelimit-remaining-images": "16",
        "x-ratelimit-reset-images": "400ms",
    }
    caller.take(images=16)
    headers = refused(caller, images=3).headers
    assert (headers["Retry-After"], headers["Retry-After-Ms"]) == ("1", "300")
    assert headers["x-ratelimit-remaining-images"] == "0"


def test_without_a_burst_a_second_of_the_rate_may_come_at_once(clock: StillClock) -> None:
    caller = limited(clock, requests_per_s=2.5, images_per_s=0.5)
    assert caller.limits.headers()["x-ratelimit-limit-requests"] == "3"
    assert caller.limits.headers()["x-ratelimit-limit-images"] == "1"


def test_a_request_with_more_images_than_the_burst_passes_once_and_delays_the_next(clock: StillClock) -> None:
    caller = limited(clock, images_per_s=1, burst=4)
    caller.take(images=16)
    assert refused(caller).retry_after_s == 13
    clock.now_s += 13
    caller.take()


def test_a_refused_request_counts_for_nothing(clock: StillClock) -> None:
    caller = limited(clock, requests_per_s=1, images_per_s=1, burst=2)
    caller.take(images=2)
    for _ in range(5):
        assert "images per second" in str(refused(caller))
    assert caller.limits.headers()["x-ratelimit-remaining-requests"] == "1"
    caller.take(images=0)


def test_images_of_a_batch_count_as_they_come(clock: StillClock) -> None:
    caller = limited(clock, requests_per_s=1, images_per_s=2)
    caller.take(images=0)
    caller.take(requests=0)
    caller.take(requests=0)
    assert "images" in str(refused(caller, requests=0))


def test_fractions_of_tokens_add_up(clock: StillClock) -> None:
    caller = limited(clock, requests_per_s=7, burst=1)
    for _ in range(100):
        caller.take()
        clock.now_s += 1 / 7


def test_a_clock_that_goes_back_takes_nothing_away(clock: StillClock) -> None:
    caller = limited(clock, requests_per_s=1, burst=2)
    caller.take()
    clock.now_s -= 100
    caller.take()


def test_a_caller_without_limits_has_no_headers_of_them(clock: StillClock) -> None:
    caller = limited(clock)
    for _ in range(1000):
        caller.take(images=1000)
    assert caller.limits.headers() == {}


def test_limits_outlive_a_request_and_begin_anew_when_they_change(clock: StillClock) -> None:
    limits = RateLimits(clock)
    first = limits.of("a", Limits(1, None, 5))
    assert limits.of("a", Limits(1, None, 5)) is first
    assert limits.of("b", Limits(1, None, 5)) is not first
    assert limits.of("a", Limits(2, None, 5)) is not first


def test_limits_of_endless_callers_take_bounded_memory(clock: StillClock) -> None:
    limits = RateLimits(clock, max_entries=10)
    for number in range(1000):
        limits.of("busy", Limits(1, 1, 1))
        limits.of(f"{number}", Limits(1, 1, 1))
    assert len(limits._callers) == 10
    assert limits._callers.find("busy") is not None


class Guesses:
    """Requests from addresses, with right and wrong keys."""

    def __init__(self, clock: StillClock, *made: NewKey) -> None:
        self.access = Access(lambda: ApiKeys({each.entry.id: each.entry for each in made}), clock=clock)

    async def send(self, text: str, address: str) -> Caller:
        return await self.access.authenticate(Headers({"api-key": text}), address=address)

    async def fail(self, text: str, address: str, *, times: int) -> list[str]:
        """Return the reasons of the answers."""
        reasons = []
        for _ in range(times):
            with pytest.raises((UnknownKeyError, TooManyFailuresError)) as caught:
                await self.send(text, address)
            reasons.append(caught.value.reason)
        return reasons


def wrong(made: NewKey) -> str:
    return f"ms_{made.entry.id}_{'A' * 43}"


async def test_guesses_at_a_key_are_slow(clock: StillClock) -> None:
    made = new_key()
    guesses = Guesses(clock, made)
    assert (
        await guesses.fail(wrong(made), "192.0.2.1", times=12)
        == ["access.key_unknown"] * 10 + ["access.too_many_failures"] * 2
    )
    with pytest.raises(TooManyFailuresError, match=r"send the next one in 6\.0 s") as caught:
        await guesses.send(wrong(made), "192.0.2.1")
    assert (caught.value.status, caught.value.headers["Retry-After"]) == (429, "6")
    clock.now_s += 6
    assert await guesses.fail(wrong(made), "192.0.2.1", times=2) == ["access.key_unknown", "access.too_many_failures"]


async def test_guesses_lock_out_no_right_key_behind_the_same_proxy(clock: StillClock) -> None:
    made, other = new_key(), new_key()
    guesses = Guesses(clock, made, other)
    await guesses.fail(wrong(made), "192.0.2.1", times=20)
    await guesses.fail(new_key().text, "192.0.2.1", times=20)
    assert (await guesses.send(made.text, "192.0.2.1")).key_id == made.entry.id
    assert (await guesses.send(other.text, "192.0.2.1")).key_id == other.entry.id


async def test_keys_that_do_not_exist_are_counted_together(clock: StillClock) -> None:
    guesses = Guesses(clock)
    reasons = [await guesses.fail(new_key().text, "192.0.2.1", times=1) for _ in range(12)]
    assert reasons[9:] == [["access.key_unknown"], ["access.too_many_failures"], ["access.too_many_failures"]]


async def test_right_keys_are_not_counted(clock: StillClock) -> None:
    made = new_key()
    guesses = Guesses(clock, made)
    for _ in range(100):
        await guesses.send(made.text, "192.0.2.1")


def test_failures_of_endless_addresses_take_bounded_memory(clock: StillClock) -> None:
    failures = FailureLimit(clock, max_entries=10)
    for number in range(1000):
        failures.count(f"2001:db8:{number:x}::1")
    assert len(failures._buckets) == 10
    assert MAX_ENTRIES == 10_000


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9%eth0", "2001:db8:1:2::/64"),
        ("", ""),
        ("testclient", "testclient"),
    ],
)
def test_failures_are_counted_by_what_one_customer_has(address: str, network: str) -> None:
    assert network_of(address) == network
