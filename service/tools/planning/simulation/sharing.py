"""Who reads which partition: as evenly as possible, and as much as possible where it was before."""

from collections.abc import Mapping, Sequence

Shares = dict[int, list[int]]
"""Partitions by member."""


def share_out(partitions: int, members: Sequence[int], before: Mapping[int, Sequence[int]]) -> Shares:
    """Return the shares of a sticky assignment; empty when the group has no members."""
    if not members:
        return {}
    least, larger = divmod(partitions, len(members))
    # Those who had most may keep one more than the others.
    by_size = sorted(members, key=lambda member: -len(before.get(member, ())))
    sizes = {member: least + (place < larger) for place, member in enumerate(by_size)}
    shares = {member: list(before.get(member, ()))[: sizes[member]] for member in members}
    kept = {partition for share in shares.values() for partition in share}
    free = iter([partition for partition in range(partitions) if partition not in kept])
    for member in members:
        shares[member].extend(next(free) for _ in range(sizes[member] - len(shares[member])))
    return shares
