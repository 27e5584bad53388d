"""Apache Kafka as a company runs it: encrypted, and every client must authenticate."""

import base64
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from testing.kafka import free_port, kafka_container

CERTIFICATES = Path(__file__).parent / "data" / "kafka_tls"
USER, PASSWORD = "modstream", "geheim"

_MODULES = "org.apache.kafka.common.security"


class SecuredKafka:
    """A broker with a listener for signing in, one for client certificates, and one without encryption."""

    def __init__(self, sasl_port: int, certificate_port: int, plain_port: int) -> None:
        self.for_sasl = f"localhost:{sasl_port}"
        self.for_certificates = f"localhost:{certificate_port}"
        self.for_anyone = f"localhost:{plain_port}"


@contextmanager
def running_secured_kafka() -> Iterator[SecuredKafka]:
    """Start a broker that knows one user, by PLAIN, SCRAM-SHA-512 and unsigned tokens, and one certificate."""
    inner, sasl, certificate = free_port(), free_port(), free_port()
    container = kafka_container(inner, _environment(inner, sasl, certificate))
    container.with_bind_ports(sasl, sasl).with_bind_ports(certificate, certificate)
    container.with_volume_mapping(str(CERTIFICATES), "/certificates")
    with container:
        # Names of SCRAM users live in the cluster, so they are added once it runs.
        _run(
            container.get_wrapped_container().name,
            "/opt/kafka/bin/kafka-configs.sh",
            *("--bootstrap-server", f"localhost:{inner}", "--alter", "--entity-type", "users", "--entity-name", USER),
            *("--add-config", f"SCRAM-SHA-512=[iterations=4096,password={PASSWORD}]"),
        )
        yield SecuredKafka(sasl, certificate, inner)


def unsigned_token(life_s: int = 300) -> str:
    """Return a token that Kafka's validator for development accepts."""
    now_s = int(time.time())
    claims = {"sub": USER, "iat": now_s, "exp": now_s + life_s}
    parts = (orjson.dumps(part) for part in ({"alg": "none"}, claims))
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + "."


def _environment(inner: int, sasl: int, certificate: int) -> dict[str, str]:
    jaas = {
        "PLAIN": f'{_MODULES}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";',
        "SCRAM___SHA___512": f"{_MODULES}.scram.ScramLoginModule required;",
        "OAUTHBEARER": f'{_MODULES}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="kafka";',
    }
    listeners = {f"KAFKA_LISTENER_NAME_SIGNED_{name}_SASL_JAAS_CONFIG": config for name, config in jaas.items()}
    return listeners | {
        "KAFKA_LISTENERS": (f"PLAINTEXT://:{inner},CONTROLLER://:9093,SIGNED://:{sasl},CERTIFIED://:{certificate}"),
        "KAFKA_ADVERTISED_LISTENERS": (
            f"PLAINTEXT://localhost:{inner},SIGNED://localhost:{sasl},CERTIFIED://localhost:{certificate}"
        ),
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": (
            "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SIGNED:SASL_SSL,CERTIFIED:SSL"
        ),
        "KAFKA_LISTENER_NAME_SIGNED_SASL_ENABLED_MECHANISMS": "PLAIN,SCRAM-SHA-512,OAUTHBEARER",
        "KAFKA_LISTENER_NAME_CERTIFIED_SSL_CLIENT_AUTH": "required",
        "KAFKA_SSL_KEYSTORE_TYPE": "PEM",
        "KAFKA_SSL_KEYSTORE_LOCATION": "/certificates/broker.pem",
        "KAFKA_SSL_TRUSTSTORE_TYPE": "PEM",
        "KAFKA_SSL_TRUSTSTORE_LOCATION": "/certificates/ca.pem",
    }


def _run(container: str, *command: str) -> None:
    subprocess.run(["docker", "exec", container, *command], check=True, capture_output=True)
