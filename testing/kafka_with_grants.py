"""Apache Kafka whose users have exactly the grants of Strimzi's KafkaUsers."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest

from testing.kafka import free_port, kafka_container

PASSWORD = "geheim"  # noqa: S105 - the broker holds test records only

_LOGIN = "org.apache.kafka.common.security.plain.PlainLoginModule required"
# Names of Strimzi and what Kafka's protocol has for them.
_RESOURCES = {"topic": 2, "group": 3, "transactionalId": 5}
_PATTERNS = {"literal": 3, "prefix": 4}
_OPERATIONS = {"Read": 3, "Write": 4, "Describe": 8, "DescribeConfigs": 10}
_ALLOW = 3

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
        asyncio.run(_grant(users, f"localhost:{inner}"))
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


async def _grant(users: Sequence[User], address: str) -> None:
    """Create the grants of users by Kafka's protocol: each of Kafka's own commands would start a Java machine."""
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        for user in users:
            for request in _grants(user):
                ((code, message),) = (await admin._send_request(request)).creation_responses
                assert code == 0, message
    finally:
        await admin.close()


def _grants(user: User) -> Iterator[CreateAclsRequest]:
    principal = f"User:{user['metadata']['name']}"
    for acl in user["spec"]["authorization"]["acls"]:
        resource, pattern = acl["resource"], _PATTERNS[acl["resource"]["patternType"]]
        for operation in acl["operations"]:
            yield CreateAclsRequest(
                _RESOURCES[resource["type"]], resource["name"], pattern, principal, "*", _OPERATIONS[operation], _ALLOW
            )
