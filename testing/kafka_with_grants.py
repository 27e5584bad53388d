"""Apache Kafka whose users have exactly the grants of Strimzi's KafkaUsers."""

import shlex
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from testing.kafka import free_port, kafka_container

PASSWORD = "geheim"  # noqa: S105 - the broker holds test records only

_LOGIN = "org.apache.kafka.common.security.plain.PlainLoginModule required"
_FLAGS = {"topic": "--topic", "group": "--group", "transactionalId": "--transactional-id"}
_PATTERNS = {"literal": "literal", "prefix": "prefixed"}

User = dict[str, Any]


class KafkaWithGrants:
    """A broker where users sign in, and an address where everything is allowed."""

    def __init__(self, inner_port: int, signed_port: int) -> None:
        self.unrestricted = f"localhost:{inner_port}"
        self.for_users = f"localhost:{signed_port}"


@contextmanager
def running_kafka_with_grants(users: Sequence[User]) -> Iterator[KafkaWithGrants]:
    """Start a broker that knows some `KafkaUser`s, by password, with their grants and no others."""
    inner, signed = free_port(), free_port()
    container = kafka_container(inner, _environment(inner, signed, [user["metadata"]["name"] for user in users]))
    with container.with_bind_ports(signed, signed):
        commands = [command for user in users for command in _grants(user, f"localhost:{inner}")]
        name = container.get_wrapped_container().name
        # Side by side: each starts a Java machine.
        script = " & ".join(map(shlex.join, commands)) + " & wait"
        subprocess.run(["docker", "exec", name, "bash", "-ec", script], check=True, capture_output=True)
        yield KafkaWithGrants(inner, signed)


def _environment(inner: int, signed: int, users: Sequence[str]) -> dict[str, str]:
    known = " ".join(f'user_{name}="{PASSWORD}"' for name in users)
    return {
        "KAFKA_LISTENERS": f"PLAINTEXT://:{inner},CONTROLLER://:9093,SIGNED://:{signed}",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://localhost:{inner},SIGNED://localhost:{signed}",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SIGNED:SASL_PLAINTEXT",
        "KAFKA_LISTENER_NAME_SIGNED_SASL_ENABLED_MECHANISMS": "PLAIN",
        "KAFKA_LISTENER_NAME_SIGNED_PLAIN_SASL_JAAS_CONFIG": f"{_LOGIN} {known};",
        "KAFKA_AUTHORIZER_CLASS_NAME": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        # The user of connections without authentication: the tests themselves, and the broker.
        "KAFKA_SUPER_USERS": "User:ANONYMOUS",
    }


def _grants(user: User, address: str) -> Iterator[list[str]]:
    """Return Kafka's own commands for a user's grants; those with the same operations are one."""
    alike: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for acl in user["spec"]["authorization"]["acls"]:
        resource = acl["resource"]
        alike[(_PATTERNS[resource["patternType"]], *acl["operations"])] += [_FLAGS[resource["type"]], resource["name"]]
    tool = ["java", "-cp", "/opt/kafka/libs/*", "org.apache.kafka.tools.AclCommand", "--bootstrap-server", address]
    for (pattern, *operations), resources in alike.items():
        principal = ["--add", "--allow-principal", f"User:{user['metadata']['name']}"]
        allowed = [word for operation in operations for word in ("--operation", operation)]
        yield [*tool, *principal, *allowed, "--resource-pattern-type", pattern, *resources]
