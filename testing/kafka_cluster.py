"""Kafka nodes with every topic on all of them: what is promised of a cluster is tested on one."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from testing.kafka import IMAGE, LIGHT, KafkaBroker, free_port

# Constant, because all nodes need the same one.
CLUSTER_ID = "4L6g3nShT-eMCtK--X86sw"
START_TIMEOUT_S = 180


@dataclass(frozen=True, slots=True)
class KafkaCluster:
    """The nodes, and the address that clients start from."""

    nodes: tuple[KafkaBroker, ...]

    @property
    def bootstrap_servers(self) -> str:
        """Return the addresses of all nodes."""
        return ",".join(node.bootstrap_servers for node in self.nodes)


@contextmanager
def running_kafka_cluster(nodes: int, **environment: str) -> Iterator[KafkaCluster]:
    """Start that many nodes, with further variables of their environment, and remove them afterwards."""
    with ExitStack() as stack:
        network = stack.enter_context(Network())
        ports = [free_port() for _ in range(nodes)]
        shared = _settings(nodes) | environment
        containers = [
            _node(number, port, shared).with_network(network).with_network_aliases(_name(number))
            for number, port in enumerate(ports, start=1)
        ]
        for container in containers:
            stack.callback(container.stop)
            container.start()  # does not wait: no node is ready before two of them are up
        ready = LogMessageWaitStrategy("Kafka Server started").with_startup_timeout(START_TIMEOUT_S)
        for container in containers:
            ready.wait_until_ready(container)
        yield KafkaCluster(
            tuple(KafkaBroker(container, port) for container, port in zip(containers, ports, strict=True))
        )


def _name(number: int) -> str:
    return f"kafka-{number}"


def _settings(nodes: int) -> dict[str, str]:
    """Return what all nodes have in common."""
    in_sync = str(max(1, nodes - 1))
    return LIGHT | {
        "CLUSTER_ID": CLUSTER_ID,
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": ",".join(f"{each}@{_name(each)}:9093" for each in range(1, nodes + 1)),
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "KAFKA_INTER_BROKER_LISTENER_NAME": "INTERNAL",
        "KAFKA_DEFAULT_REPLICATION_FACTOR": str(nodes),
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": str(nodes),
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": str(nodes),
        "KAFKA_MIN_INSYNC_REPLICAS": in_sync,
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": in_sync,
        # Fewer than the default 50: they are replicated, moved and looked up at each bounce.
        "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "8",
        "KAFKA_TRANSACTION_STATE_LOG_NUM_PARTITIONS": "8",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    }


def _node(number: int, port: int, shared: dict[str, str]) -> DockerContainer:
    """Return a node that clients reach at localhost:port, and the other nodes by its name."""
    own = {
        "KAFKA_NODE_ID": str(number),
        "KAFKA_LISTENERS": f"PLAINTEXT://:{port},INTERNAL://:19092,CONTROLLER://:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://localhost:{port},INTERNAL://{_name(number)}:19092",
    }
    return DockerContainer(IMAGE).with_envs(**shared | own).with_bind_ports(port, port)
