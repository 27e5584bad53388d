"""The Strimzi examples against the service's own settings."""

from pathlib import Path
from typing import Any

import yaml

from service.delivery.required_topics import named_topics
from service.kafka.topics import journal_topic
from service.settings.settings import Settings
from service.tools.planning.partitions import EVEN

STRIMZI = Path(__file__).parents[2] / "deploy" / "strimzi"


def resources(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((STRIMZI / f"{name}.yaml").read_text(encoding="utf-8")))


def test_every_topic_of_the_service_is_there_with_copies() -> None:
    topics = {topic["metadata"]["name"]: topic["spec"] for topic in resources("kafkatopics")}
    ours = Settings().topics
    assert topics.keys() == {*named_topics(ours).values(), journal_topic(ours)}
    assert {(topic["replicas"], topic["config"]["min.insync.replicas"]) for topic in topics.values()} == {(3, 2)}


def test_the_uploads_topic_takes_what_the_service_may_write() -> None:
    uploads = next(topic for topic in resources("kafkatopics") if topic["metadata"]["name"] == "images.uploaded")
    assert uploads["spec"]["config"]["max.message.bytes"] == Settings().kafka.max_request_bytes


def test_topics_have_as_many_partitions_as_the_capacity_plan_begins_with() -> None:
    journal = journal_topic(Settings().topics)
    topics = {topic["metadata"]["name"]: topic["spec"]["partitions"] for topic in resources("kafkatopics")}
    assert topics.pop(journal) == 1
    chart = yaml.safe_load((STRIMZI.parent / "chart" / "values.yaml").read_text(encoding="utf-8"))
    compose = (STRIMZI.parents[1] / "compose.yaml").read_text(encoding="utf-8")
    assert {*topics.values(), chart["partitions"]} == {EVEN[0]}
    assert f"${{PARTITIONS:-{EVEN[0]}}}" in compose


def test_users_belong_to_the_cluster_of_the_topics() -> None:
    everything = resources("kafkatopics") + resources("kafkausers")
    assert {each["metadata"]["labels"]["strimzi.io/cluster"] for each in everything} == {"kafka"}
    assert {each["apiVersion"] for each in everything} == {"kafka.strimzi.io/v1"}
