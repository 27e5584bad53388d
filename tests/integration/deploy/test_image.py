"""The image of the embedded engine on Apache Kafka, with no rights at all."""

import json
from pathlib import Path

import orjson
import pytest

from schemas.verdict import VerdictV1
from testing.container import IMAGE, ServiceContainer, docker, service_container
from testing.house import House, inline
from testing.kafka import KafkaBroker, free_port
from testing.topics import committed_reader, publish
from testing.waiting import wait_until

# The first build on a machine installs every package.
pytestmark = [pytest.mark.docker, pytest.mark.timeout(600), pytest.mark.usefixtures("image")]

PHOTOGRAPH = Path(__file__).parents[3] / "testing" / "data" / "photographs" / "coffee.png"


def variables(house: House) -> dict[str, str]:
    """Return a house's settings as a container is given them."""
    topics = {"UPLOADS": house.uploads, "VERDICTS": house.verdicts, "TAGS": house.tags}
    return {
        "MODSTREAM_KAFKA__BOOTSTRAP_SERVERS": house.bootstrap_servers,
        "MODSTREAM_KAFKA__GROUP_ID": house.uploads,
        "MODSTREAM_MONITORING__PORT": str(free_port()),
        "MODSTREAM_TOPICS__DEAD_LETTERS": house.dead_letters,
        **{f"MODSTREAM_TOPICS__{name}": topic for name, topic in topics.items()},
    }


async def test_a_record_becomes_a_verdict_and_a_signal_a_drain(kafka: KafkaBroker) -> None:
    house = House(kafka)
    await house.build()
    event = {"image_id": "42", "image": inline(PHOTOGRAPH.read_bytes())}
    await publish(house.bootstrap_servers, house.uploads, [(b"42", orjson.dumps(event), [])])
    with service_container(variables(house)) as container:
        async with committed_reader(house.bootstrap_servers, house.outcomes) as reader:
            await reader.until(1)
        await wait_until(container.is_healthy, description="the container is healthy")
        may_do_nothing(container)
        assert container.stop() == 0, container.logs()
        assert '"service.draining"' in container.logs()
    (record,) = reader.of(house.verdicts)
    assert VerdictV1.model_validate_json(record.value).decision == "allow"


def may_do_nothing(container: ServiceContainer) -> None:
    assert container.run("id", "-u").stdout.strip() == "10001"
    status = dict(line.split(":\t", 1) for line in container.run("cat", "/proc/self/status").stdout.splitlines())
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert "Read-only file system" in container.run("touch", "/etc/x").stderr
    assert container.run("cat", "/proc/1/comm").stdout.strip() == "tini"


async def test_settings_that_cannot_be_used_end_the_container_with_a_reason() -> None:
    with service_container({"MODSTREAM_KAFKA__GRUP_ID": "x"}) as container:
        await wait_until(lambda: not container.state()["Running"], description="the container has ended")
        assert container.state()["ExitCode"] == 2
        assert "MODSTREAM_KAFKA__GROUP_ID" in container.logs()


def test_the_image_says_what_it_is_and_what_it_is_made_of() -> None:
    config = json.loads(docker("image", "inspect", "--format", "{{json .Config}}", IMAGE))
    labels = {name.removeprefix("org.opencontainers.image."): text for name, text in config["Labels"].items()}
    assert labels["title"] == "modstream"
    assert labels["licenses"] == "Apache-2.0"
    assert (config["User"], config["Healthcheck"]["Test"]) == ("10001:10001", ["CMD", "is-alive"])
    parts = json.loads(docker("run", "--rm", "--entrypoint=cat", IMAGE, "/opt/modstream/share/sbom.cdx.json"))
    names = {component["name"] for component in parts["components"]}
    assert {"aiokafka", "modstream", "onnxruntime", "pillow"} <= names
    assert not names & {"hatchling", "pip", "pytest", "torch", "uv"}
