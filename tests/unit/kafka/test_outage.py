"""What keeps topics from taking records."""

import pytest

from service.kafka.outage import trouble


def described(*, leader: int = 1, replicas: int = 3, in_sync: int = 3) -> dict[str, object]:
    partition = {
        "partition": 0, "leader": leader, "replicas": list(range(replicas)), "isr": list(range(in_sync)),
    }  # fmt: skip
    return {"topic": "images.verdicts", "error_code": 0, "partitions": [partition]}


def test_a_partition_without_a_leader_is_an_outage() -> None:
    assert trouble(described(leader=-1), 1) == "images.verdicts/0 has no leader"


def test_too_few_replicas_in_sync_are_an_outage_that_names_the_config() -> None:
    assert trouble(described(in_sync=1), 2) == "images.verdicts/0 has 1 replicas in sync, and min.insync.replicas is 2"


@pytest.mark.parametrize(("replicas", "in_sync", "minimum"), [(3, 2, 2), (3, 3, 1), (1, 1, 2)])
def test_a_topic_that_takes_records_is_none(replicas: int, in_sync: int, minimum: int) -> None:
    assert trouble(described(replicas=replicas, in_sync=in_sync), minimum) is None
