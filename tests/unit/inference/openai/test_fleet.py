"""Which server gets a request, and which are out."""

from collections import Counter

import pytest

from service.inference.openai.fleet import Fleet, FleetLimits, Server


def fleet(servers: int = 2, *, max_in_flight: int = 8, eject_after: int = 3) -> Fleet:
    limits = FleetLimits(max_in_flight, eject_after, return_after_s=1.0, max_return_after_s=5.0)
    return Fleet([Server(f"http://gpu-{number}:8000") for number in range(servers)], limits)


def ejected(fleet: Fleet) -> Server:
    server = fleet.servers[0]
    fleet.eject(server)
    return server


def test_a_request_goes_where_the_fewest_are_in_flight() -> None:
    three = fleet(3)
    three.servers[0].in_flight, three.servers[1].in_flight, three.servers[2].in_flight = 2, 1, 3
    assert three.take("image") is three.servers[1]


def test_idle_servers_take_turns() -> None:
    three = fleet(3)
    used: Counter[str] = Counter()
    for number in range(9):
        server = three.take(f"image {number}")
        assert server
        used[server.name] += 1
        three.release(server)
    assert set(used.values()) == {3}


def test_further_questions_about_an_image_go_where_it_was_seen() -> None:
    two = fleet()
    home = two.take("image")
    assert home
    two.take("another")
    home.in_flight = 7
    assert two.take("image") is home


def test_an_image_whose_server_is_full_goes_elsewhere() -> None:
    two = fleet(max_in_flight=1)
    home = two.take("image")
    other = two.take("image")
    assert other is not home
    assert other is not None


def test_only_so_many_images_are_remembered() -> None:
    one = fleet(1, max_in_flight=1)
    for number in range(10_000):
        assert one.take(str(number)) is one.servers[0]
        one.release(one.servers[0])
    assert len(one._home) < 5_000


def test_no_server_takes_more_than_it_may() -> None:
    two = fleet(max_in_flight=2)
    assert [two.take(str(number)) is None for number in range(6)] == [False, False, False, False, True, True]
    assert two.room == 0


def test_a_server_that_was_tried_comes_last() -> None:
    two = fleet()
    first = two.take("image")
    assert first
    second = two.take("image", tried=[first])
    assert second not in (None, first)
    two.eject(two.servers[1])
    assert two.take("image", tried=[two.servers[0]]) is two.servers[0]


def test_failures_in_a_row_eject_a_server() -> None:
    one = fleet(1, eject_after=3)
    assert [one.failed(one.servers[0]) for _ in range(3)] == [False, False, True]


def test_an_answer_between_them_makes_failures_chance() -> None:
    one = fleet(1, eject_after=2)
    server = one.servers[0]
    for _ in range(5):
        assert not one.failed(server)
        one.answered(server)


def test_an_ejected_server_gets_nothing() -> None:
    two = fleet()
    out = ejected(two)
    assert out not in {two.take(str(number)) for number in range(4)}
    assert not two.all_out
    two.eject(two.servers[1])
    assert two.all_out
    assert two.take("image") is None


def test_a_server_returns_on_trial() -> None:
    one = fleet(1)
    server = ejected(one)
    one.readmit(server)
    assert one.room == 1
    one.answered(server)
    assert one.room == 8


def test_one_failure_on_trial_ejects_a_server_again() -> None:
    one = fleet(1, eject_after=3)
    server = ejected(one)
    one.readmit(server)
    assert one.failed(server)


def test_pauses_double_up_to_a_limit_and_begin_anew_after_an_answer() -> None:
    one = fleet(1)
    server = one.servers[0]
    pauses = []
    for _ in range(5):
        one.eject(server)
        pauses.append(one.pause_s(server))
    assert pauses == [1.0, 2.0, 4.0, 5.0, 5.0]
    for _ in range(5000):
        one.eject(server)
    assert one.pause_s(server) == 5.0
    one.readmit(server)
    one.answered(server)
    one.eject(server)
    assert one.pause_s(server) == 1.0


def test_a_late_answer_does_not_bring_an_ejected_server_back() -> None:
    one = fleet(1)
    server = ejected(one)
    one.answered(server)
    assert one.all_out
    one.readmit(server)
    assert one.room == 1


@pytest.mark.parametrize(
    ("url", "name"), [("http://gpu-1:8000", "gpu-1:8000"), ("https://models.internal/qwen", "models.internal")]
)
def test_a_server_is_named_by_its_host(url: str, name: str) -> None:
    assert Server(url).name == name
