"""The topics of one test of the whole service, and the settings that name them."""

import base64
from uuid import uuid4

from testing.kafka import KafkaBroker
from testing.kafka_cluster import KafkaCluster
from testing.topics import create_topics


class House:
    """The topics of one test and the settings that name them."""

    def __init__(self, broker: KafkaBroker | KafkaCluster, *, name: str = "") -> None:
        name = name or uuid4().hex[:8]
        self.bootstrap_servers = broker.bootstrap_servers
        self.uploads = f"{name}.uploaded"
        self.verdicts = f"{name}.verdicts"
        self.tags = f"{name}.tags"
        self.dead_letters = f"{name}.dead"
        self.settings: dict[str, object] = {
            "kafka": {"bootstrap_servers": self.bootstrap_servers, "group_id": name},
            "topics": {
                "uploads": self.uploads,
                "verdicts": self.verdicts,
                "tags": self.tags,
                "dead_letters": self.dead_letters,
            },
        }

    @property
    def outcomes(self) -> list[str]:
        """Topics that are written."""
        return [self.verdicts, self.tags, self.dead_letters]

    async def build(self, *, partitions: int = 2) -> None:
        """Create the topics."""
        await create_topics(self.bootstrap_servers, [self.uploads, *self.outcomes], partitions=partitions)


def inline(data: bytes) -> dict[str, str]:
    """Return a PNG as an event holds it."""
    return {"inline": base64.b64encode(data).decode(), "media_type": "image/png"}
