"""Encrypted connections, and every way to sign in: the whole way of a record through publisher, stream and reader."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import psutil
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from service.core.records import OutgoingRecord, SourceRecord
from service.delivery.processor import Processor
from service.delivery.required_topics import named_topics
from service.kafka.connection import KafkaConnection
from service.kafka.errors import CertificatesUnreadableError, KafkaUnreachableError
from service.kafka.publisher import open_publisher
from service.kafka.reader import open_reader
from service.kafka.topics import ensure_topics
from service.settings.delivery import TopicSettings
from service.settings.kafka import KafkaSettings, OAuthSettings
from service.settings.monitoring import MonitoringSettings
from service.settings.settings import Settings
from testing.secured_kafka import (
    CERTIFICATES,
    PASSWORD,
    USER,
    SecuredKafka,
    running_secured_kafka,
    unsigned_token,
)
from testing.stream_worker import ObedientHandler

pytestmark = pytest.mark.docker

AUTHORITY = CERTIFICATES / "ca.pem"


@pytest.fixture(scope="module")
def secured() -> Iterator[SecuredKafka]:
    """One broker for all."""
    with running_secured_kafka() as broker:
        yield broker


@pytest.fixture
async def token_url() -> AsyncIterator[str]:
    """An authorization server that accepts all credentials."""

    async def give(_request: web.Request) -> web.Response:
        return web.json_response({"access_token": unsigned_token(), "expires_in": 300})

    app = web.Application()
    app.router.add_post("/token", give)
    server = TestServer(app)
    await server.start_server()
    yield str(server.make_url("/token"))
    await server.close()


def addresses_connected_to() -> set[str]:
    """Return the ports of brokers that this process has a socket to."""
    return {f"localhost:{each.raddr.port}" for each in psutil.Process().net_connections("tcp") if each.raddr}


async def a_record_goes_all_the_way(kafka: KafkaSettings) -> None:
    name = uuid4().hex[:8]
    topics = TopicSettings(**{field: f"{name}.{field}" for field in TopicSettings.model_fields})
    settings = Settings(
        kafka=kafka.model_copy(update={"group_id": name}), topics=topics, monitoring=MonitoringSettings(port=0)
    )
    await ensure_topics(KafkaConnection(kafka), named_topics(topics), partitions=1)
    processor = Processor(settings, ObedientHandler(topics.verdicts, b"allow"))
    async with (
        open_reader(kafka, {"topics.verdicts": topics.verdicts}, start="end") as reader,
        open_publisher(kafka) as publisher,
        asyncio.timeout(60),
        asyncio.TaskGroup() as group,
    ):
        group.create_task(processor.run(), name="processor")
        await publisher.publish([OutgoingRecord(topics.uploads, b"42", b"{}", ())])
        verdicts: list[SourceRecord] = []
        while not verdicts:
            verdicts = await reader.read(timeout_s=1.0)
        processor.drain()
    assert [(verdict.key, verdict.value) for verdict in verdicts] == [(b"42", b"allow")]
    assert kafka.bootstrap_servers not in addresses_connected_to()


def signed(secured: SecuredKafka, **more: object) -> KafkaSettings:
    return KafkaSettings.model_validate(
        {
            "bootstrap_servers": secured.for_sasl,
            "security_protocol": "SASL_SSL",
            "ssl_cafile": AUTHORITY,
            "sasl_username": USER,
            "sasl_password": PASSWORD,
            **more,
        }
    )


@pytest.mark.parametrize(
    ("mechanism", "compression"), [("PLAIN", "lz4"), ("SCRAM-SHA-512", "zstd"), ("SCRAM-SHA-512", "gzip")]
)
async def test_a_user_with_a_password_gets_in(secured: SecuredKafka, mechanism: str, compression: str) -> None:
    await a_record_goes_all_the_way(signed(secured, sasl_mechanism=mechanism, compression=compression))


async def test_a_service_with_a_token_gets_in(secured: SecuredKafka, token_url: str) -> None:
    oauth = OAuthSettings(token_url=token_url, client_id=USER, client_secret=SecretStr("s"), scope="kafka")
    await a_record_goes_all_the_way(signed(secured, sasl_mechanism="OAUTHBEARER", oauth=oauth))


async def test_a_client_certificate_gets_in(secured: SecuredKafka) -> None:
    kafka = KafkaSettings(
        bootstrap_servers=secured.for_certificates,
        security_protocol="SSL",
        ssl_cafile=AUTHORITY,
        ssl_certfile=CERTIFICATES / "client.pem",
    )
    await a_record_goes_all_the_way(kafka)


async def refused(settings: KafkaSettings) -> str:
    """Return how a start is refused, the reason and the message; it leaves no connection open."""
    with pytest.raises(KafkaUnreachableError) as refusal:
        await ensure_topics(KafkaConnection(settings), {}, partitions=1)
    assert settings.bootstrap_servers.replace("127.0.0.2", "localhost") not in addresses_connected_to()
    return f"{refusal.value.reason}: {refusal.value}"


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
async def test_a_wrong_password_names_the_settings_of_the_password(secured: SecuredKafka, mechanism: str) -> None:
    message = await refused(signed(secured, sasl_mechanism=mechanism, sasl_password=PASSWORD[::-1]))
    assert message.startswith("kafka.authentication_failed: ")
    assert message.endswith("check the settings kafka.sasl_username, kafka.sasl_password and kafka.sasl_mechanism")
    assert PASSWORD[::-1] not in message


async def test_a_mechanism_that_brokers_do_not_offer_is_named_with_those_they_do(secured: SecuredKafka) -> None:
    message = await refused(signed(secured, sasl_mechanism="SCRAM-SHA-256"))
    assert message.startswith("kafka.authentication_failed: ")
    assert (
        "offers the mechanisms PLAIN, SCRAM-SHA-512, OAUTHBEARER, and kafka.sasl_mechanism is SCRAM-SHA-256" in message
    )


async def test_a_token_that_brokers_refuse_names_the_settings_of_the_token(secured: SecuredKafka) -> None:
    async def expired(_request: web.Request) -> web.Response:
        return web.json_response({"access_token": unsigned_token(life_s=-60), "expires_in": 300})

    app = web.Application()
    app.router.add_post("/token", expired)
    async with TestServer(app) as server:
        oauth = OAuthSettings(token_url=str(server.make_url("/token")), client_id=USER, client_secret=SecretStr("s"))
        message = await refused(signed(secured, sasl_mechanism="OAUTHBEARER", oauth=oauth))
    assert message.startswith("kafka.authentication_failed: ")
    assert "kafka.oauth.client_id" in message


async def test_a_broker_of_an_unknown_authority_is_not_trusted(secured: SecuredKafka) -> None:
    message = await refused(signed(secured, ssl_cafile=None))
    assert message.startswith("kafka.certificate_refused: ")
    assert "kafka.ssl_cafile" in message


async def test_a_broker_whose_certificate_has_another_name_is_not_trusted(secured: SecuredKafka) -> None:
    elsewhere = secured.for_sasl.replace("localhost", "127.0.0.2")
    message = await refused(signed(secured, bootstrap_servers=elsewhere))
    assert message.startswith("kafka.certificate_refused: ")
    assert "kafka.bootstrap_servers" in message


async def test_a_listener_that_wants_a_certificate_names_its_setting(secured: SecuredKafka) -> None:
    without = KafkaSettings(bootstrap_servers=secured.for_certificates, security_protocol="SSL", ssl_cafile=AUTHORITY)
    message = await refused(without)
    assert message.startswith("kafka.certificate_refused: ")
    assert "kafka.ssl_certfile" in message


@pytest.mark.parametrize(
    ("listener", "configured", "expected"),
    [
        ("for_sasl", "PLAINTEXT", "SASL_SSL"),
        ("for_sasl", "SASL_PLAINTEXT", "SASL_SSL"),
        ("for_sasl", "SSL", "SASL_SSL"),
        ("for_certificates", "PLAINTEXT", "SSL or SASL_SSL"),
        ("for_anyone", "SSL", "PLAINTEXT"),
        ("for_anyone", "SASL_SSL", "PLAINTEXT"),
        ("for_anyone", "SASL_PLAINTEXT", "PLAINTEXT"),
    ],
)
async def test_a_listener_that_speaks_another_protocol_is_named_with_it(
    secured: SecuredKafka, listener: str, configured: str, expected: str
) -> None:
    address = getattr(secured, listener)
    message = await refused(signed(secured, bootstrap_servers=address, security_protocol=configured))
    assert message.startswith(f"kafka.wrong_protocol: the Kafka listener at {address} speaks {expected}, ")
    assert f"kafka.security_protocol is {configured}" in message


async def test_a_missing_certificate_stops_the_start_and_names_the_settings(secured: SecuredKafka) -> None:
    with pytest.raises(CertificatesUnreadableError, match=r"/nowhere\.pem \(setting kafka\.ssl_cafile\)"):
        await ensure_topics(KafkaConnection(signed(secured, ssl_cafile="/nowhere.pem")), {}, partitions=1)
