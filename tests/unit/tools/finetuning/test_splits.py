"""Which part of the data a group of near-duplicates gets into."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from service.tools.finetuning.splits import GroupMember, split_groups


def members(count: int, *shown: str, prefix: str = "") -> list[GroupMember]:
    return [GroupMember(f"{prefix}{'-'.join(shown)}{number}", frozenset(shown)) for number in range(count)]


def test_every_category_is_divided_in_the_same_shares() -> None:
    images = [*members(200), *members(100, "weapons"), *members(20, "weapons", "alcohol")]
    splits = split_groups(images, seed=1)
    for shown, expected in (((), (140, 30, 30)), (("weapons",), (70, 15, 15)), (("weapons", "alcohol"), (14, 3, 3))):
        counts = Counter(splits[each.group] for each in images if each.shown == frozenset(shown))
        assert tuple(counts[split] for split in ("train", "validation", "held_out")) == expected


def test_a_group_is_never_divided() -> None:
    images = [GroupMember(f"g{number // 5}", frozenset()) for number in range(100)]
    assert len(split_groups(images, seed=0)) == 20


def test_the_seed_decides_and_the_order_of_the_rows_does_not() -> None:
    images = members(50, "weapons")
    assert split_groups(images, seed=3) == split_groups(images[::-1], seed=3)
    assert split_groups(images, seed=3) != split_groups(images, seed=4)


def test_a_given_split_stays_and_held_out_counts_most() -> None:
    images = [
        GroupMember("a", frozenset(), "train"),
        GroupMember("a", frozenset(), "held_out"),
        GroupMember("b", frozenset(), "validation"),
        GroupMember("b", frozenset()),
        *members(20),
    ]
    splits = split_groups(images, seed=0)
    assert (splits["a"], splits["b"]) == ("held_out", "validation")


def test_others_make_up_for_what_is_given() -> None:
    given_images = [GroupMember(f"given{number}", frozenset(), "train") for number in range(70)]
    splits = split_groups([*given_images, *members(30)], seed=0)
    assert Counter(splits[each.group] for each in members(30)) == {"validation": 15, "held_out": 15}


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["", "a", "b"])), max_size=60))
def test_every_group_gets_a_split(drawn: list[tuple[int, str]]) -> None:
    images = [GroupMember(str(group), frozenset({name} - {""})) for group, name in drawn]
    assert split_groups(images, seed=0).keys() == {each.group for each in images}
