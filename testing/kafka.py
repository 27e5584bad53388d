"""Real Apache Kafka for tests: one broker in a container at a fixed port, so that it can be bounced."""

import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

IMAGE = "apache/kafka:4.3.1"

# A server of tests lives for seconds or minutes, so Java's optimising compiler and its parallel collector take more
# processor time than they save: without them a start and the same work take half of it.
LIGHT_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
LIGHT = {
    "KAFKA_JVM_PERFORMANCE_OPTS": LIGHT_JAVA,
    # One partition each of the internal topics: the first group and the first transaction wait for all of them.
    "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "1",
    "KAFKA_TRANSACTION_STATE_LOG_NUM_PARTITIONS": "1",
}


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class KafkaBroker:
    """One broker, and what may happen to it."""

    def __init__(self, container: "DockerContainer", port: int) -> None:
        self._container = container
        self.bootstrap_servers = f"localhost:{port}"

    def kill(self) -> None:
        """End the broker as a power cut would; its log stays."""
        self._docker("kill")

    def start(self) -> None:
        """Start it again with its log, at the same port."""
        self._docker("start")

    def stop(self) -> None:
        """End it in good order."""
        self._docker("stop")

    def logs(self) -> str:
        """Return what it has logged so far, over all its starts."""
        return self._docker("logs")

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing answers."""
        self._docker("pause")

    def unpause(self) -> None:
        """Let it go on."""
        self._docker("unpause")

    def forget_group(self, group: str) -> None:
        """Delete the offsets of a group without members, as their expiry does."""
        tool = "/opt/kafka/bin/kafka-consumer-groups.sh"
        self._docker("exec", tool, "--bootstrap-server", self.bootstrap_servers, "--delete", "--group", group)

    def overwrite(self, topic: str, partition: int, position: int, data: bytes) -> None:
        """Write over bytes of a partition's first segment on the broker's disk."""
        escaped = "".join(f"\\{byte:03o}" for byte in data)
        segment = f"$(find / -path '*/{topic}-{partition}/00000000000000000000.log' 2>/dev/null)"
        command = f"printf '{escaped}' | dd of={segment} bs=1 seek={position} conv=notrunc"
        self._docker("exec", "sh", "-c", command)

    def _docker(self, command: str, *arguments: str) -> str:
        name = self._container.get_wrapped_container().name
        whole = ["docker", command, name, *arguments]
        return subprocess.run(whole, check=True, capture_output=True, text=True).stdout


@contextmanager
def running_kafka(**environment: str) -> Iterator[KafkaBroker]:
    """Start a broker, with further variables of its environment, and remove it afterwards."""
    port = free_port()
    with kafka_container(port, environment) as container:
        yield KafkaBroker(container, port)


def kafka_container(port: int, further: Mapping[str, str]) -> "DockerContainer":
    """Return one node at localhost:port, the same port inside the container and out.

    The broker also connects to the address that it advertises, to verify transactions: with another port inside,
    transactional sends would fail for ever. A random port would change at a restart, too.
    """
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - most tests need no container
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy  # noqa: PLC0415 - as above

    environment = LIGHT | {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENERS": f"PLAINTEXT://:{port},CONTROLLER://:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://localhost:{port}",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        # A single node cannot hold the three replicas that the internal topics ask for by default.
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        # Sessions may be shorter than the usual 6 s: a group goes on sooner without a process that was killed.
        "KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS": "1000",
        # Tests must not depend on topics that appear by themselves.
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
        # A busy machine must not make the controller take its only broker for dead: a transaction that is under way
        # then may stay open for ever, and no reader of committed records gets past it.
        "KAFKA_BROKER_SESSION_TIMEOUT_MS": "60000",
    }
    container = DockerContainer(IMAGE).with_envs(**environment | dict(further)).with_bind_ports(port, port)
    return container.waiting_for(LogMessageWaitStrategy("Kafka Server started").with_startup_timeout(90))
