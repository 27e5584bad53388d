"""The commands and programs of the pages that users read first run as written, outside the checkout's environment."""

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from schemas.example_files import read_examples
from schemas.registry import VERDICT_V1
from schemas.verdict import VerdictV1
from service.core.records import SourceRecord
from service.events.codec import decode_upload, encode_verdict
from service.settings.kafka import KafkaSettings
from testing.document_blocks import (
    LANGUAGES,
    SYSTEM_PATH,
    Block,
    RunningBlock,
    bare_environment,
    blocks_of,
    exports_of,
    outside_environment,
)
from testing.kafka import KafkaBroker, free_port
from testing.topics import committed_reader, create_topics, publish
from tests.unit.tools.evaluation.archives import archive
from tests.unit.tools.evaluation.outcome_log import OutcomeLog

ROOT = Path(__file__).parents[2]
SOURCE = SourceRecord("images.uploaded", 0, 7, 1_772_366_400_000, b"42", None, ())
NOTICES = "images.uploaded.dead.notices.shop"

needs_docker = pytest.mark.docker


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Copy what git tracks: a clean clone, with what is not committed yet."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.fixture
async def broker(kafka: KafkaBroker) -> AsyncIterator[str]:
    """Return the address of a broker without the topics that the pages name."""
    yield kafka.bootstrap_servers
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    await admin.delete_topics([topic for topic in await admin.list_topics() if topic.startswith("images.")])
    await admin.close()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the folder of the environment that two pages make: what one installs, the other finds installed."""
    return str(tmp_path_factory.mktemp("opt") / "modstream")


def run_page(
    page: str,
    folder: Path,
    environment: Mapping[str, str],
    *,
    follows: Mapping[str, str] | None = None,
    places: Mapping[str, str] | None = None,
    after: Mapping[str, Callable[[], None]] | None = None,
) -> list[Block]:
    """Run the blocks of a page one after the other; return those for which this machine lacks a program.

    A block that holds a key of `follows` runs on: it counts as good once it has printed the key's text.
    Only ports and folders of the machine, the keys of `places`, are changed: several tests run on one machine.
    What a person does after a block that holds a key of `after` is done by its function.
    """
    left_out, exports = [], ""
    with ExitStack() as stack:
        for block in (block for block in blocks_of(ROOT / page) if block.language in LANGUAGES and not block.not_run):
            if block.needs():
                left_out.append(block)
                continue
            text = exports + block.text if block.language == "sh" else block.text
            exports += exports_of(block)
            for place, actual in (places or {}).items():
                text = text.replace(place, actual)
            running = RunningBlock(replace(block, text=text), folder, environment)
            stack.callback(running.stop)
            expected = [shown for key, shown in (follows or {}).items() if key in block.text]
            running.output_until(expected[0] if expected else None, timeout_s=250)
            for key, act in (after or {}).items():
                if key in block.text:
                    act()
    return left_out


def skip_for(left_out: list[Block]) -> None:
    """Report blocks for which a program is missing: kcat and node are clients of users, and nothing of modstream's."""
    if left_out:
        pytest.skip(f"blocks need {', '.join(sorted({str(block.needs()) for block in left_out}))}")


async def publish_outcomes(broker: str) -> str:
    """Publish an aborted outcome and a verdict as the service does; return the verdict's id."""
    verdict = VerdictV1.model_validate(read_examples(VERDICT_V1)["review"])
    outgoing = encode_verdict(verdict, topic="images.verdicts", source=SOURCE)
    producer = AIOKafkaProducer(
        bootstrap_servers=broker, transactional_id="documents", compression_type=KafkaSettings().compression
    )
    await producer.start()
    try:
        await producer.begin_transaction()
        await producer.send_and_wait("images.verdicts", json.dumps({"image_id": "aborted"}).encode())
        await producer.abort_transaction()
        async with producer.transaction():
            await producer.send_and_wait(outgoing.topic, outgoing.value, outgoing.key, headers=list(outgoing.headers))
    finally:
        await producer.stop()
    return dict(outgoing.headers)["ce_id"].decode()


@needs_docker
@pytest.mark.timeout(300)
async def test_uploads_and_verdicts_by_the_pages_for_uploaders_and_consumers(broker: str, tmp_path: Path) -> None:
    await create_topics(broker, ["images.uploaded", "images.verdicts", NOTICES], partitions=1)
    verdict_id = await publish_outcomes(broker)
    notice = [("modstream-reason", b"image.not_found"), ("modstream-message", b"The image is not there")]
    await publish(broker, NOTICES, [(b"42", None, notice)])
    environment = bare_environment(tmp_path / "venv")
    line = f"{verdict_id} 43 review"
    follows = {
        "images.verdicts -X": '"image_id":"43"',
        NOTICES: "42 reason=image.not_found\n  message=The image is not there",
        "AIOKafkaConsumer": line,
        'require("kafkajs")': line,
    }
    left_out = [
        block
        for page in ("docs/uploader.md", "docs/consumer.md")
        for block in run_page(page, tmp_path, environment, follows=follows, places={"localhost:9092": broker})
    ]

    published = 1 if shutil.which("kcat") is None else 3
    async with committed_reader(broker, ["images.uploaded"]) as reader:
        await reader.until(published)
    records = [SourceRecord("t", 0, 0, 0, each.key, each.value, tuple(each.headers)) for each in reader.records]
    uploads = [decode_upload(record) for record in records]
    assert {upload.event.image_id for upload in uploads} == {"42"}
    assert [upload.event.tasks for upload in uploads].count(("moderation", "tags")) == 1
    sources = [upload.envelope.source for upload in uploads if upload.envelope is not None]
    assert sources == ["/shop/uploads"] * (published - published // 3)
    skip_for(left_out)


@needs_docker
@pytest.mark.timeout(600)
def test_the_service_by_the_page_for_operators(broker: str, checkout: Path, installed: str) -> None:
    skip_for([block for block in blocks_of(ROOT / "docs/operate.md") if block.needs()])
    port = free_port()
    environment = outside_environment(MODSTREAM_MONITORING__PORT=str(port))
    follows = {"modstream serve": "partitions.assigned", "modstream watch": "wine.jpg"}
    places = {"/opt/modstream": installed, "localhost:9092": broker, "localhost:9464": f"localhost:{port}"}
    skip_for(run_page("docs/operate.md", checkout, environment, follows=follows, places=places))


@pytest.mark.timeout(600)
def test_requests_by_the_page_for_http(checkout: Path, installed: str) -> None:
    port = free_port()
    places = {"modstream api\n": f"modstream api --port {port}\n", ":8080": f":{port}"}
    places |= {"venv .api": f"venv {installed}", "$PWD/.api": installed}
    path = f"{installed}/bin:{SYSTEM_PATH}"  # of the environment that the page makes
    environment = outside_environment(MODSTREAM_MONITORING__PORT="0", PATH=path)
    skip_for(run_page("docs/http.md", checkout, environment, follows={"modstream api": "api.listening"}, places=places))


@pytest.mark.timeout(600)
def test_decisions_are_measured_by_the_page_about_evaluation(checkout: Path) -> None:
    path = f"{Path(sys.executable).parent}:{SYSTEM_PATH}"
    environment = outside_environment(PATH=path, PYTHONPATH=str(checkout))
    drawn = "evaluate labelling-page"

    def label() -> None:
        """Label as a person would, between the page and the estimate."""
        shown = {"beer.jpg": "alcohol", "wine.jpg": "alcohol", "rifle-drawing.jpg": "weapons"}
        with (checkout / "to-label.csv").open(newline="") as file:
            rows = [*csv.DictReader(file)]
        with (checkout / "labelled.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(row | {"labels": shown.get(row["image_id"], "none")} for row in rows)

    skip_for(run_page("docs/evaluation.md", checkout, environment, after={drawn: label}))
    estimate = json.loads((checkout / "estimate.json").read_text())
    assert (estimate["images"], estimate["labelled"]) == (12, 10)


@pytest.mark.timeout(300)
async def test_what_is_missed_is_estimated_by_the_page_about_audits(checkout: Path) -> None:
    path = f"{Path(sys.executable).parent}:{SYSTEM_PATH}"
    environment = outside_environment(PATH=path, PYTHONPATH=str(checkout))
    log = OutcomeLog(audits=True)
    log.publish_audits(range(1_500), flagged=3)
    await archive(log, checkout / "archive")

    def label() -> None:
        """Find that the audits are right, and that one image without a find shows something."""
        head, *rows = (checkout / "to-label.csv").read_text().splitlines()
        shown = ["weapons"] * 4 + ["none"] * (len(rows) - 4)
        lines = [head, *(row + labels for row, labels in zip(rows, shown, strict=True))]
        (checkout / "labelled.csv").write_text("\n".join(lines))

    skip_for(run_page("docs/audits.md", checkout, environment, after={"--sheet": label}))
    (policy,) = json.loads((checkout / "misses.json").read_text())["policies"]
    assert (policy["audited"], policy["labelled"], policy["overall"]["found"]) == (150, 150, 3)
    assert policy["overall"]["truly_missed"]["value"] == pytest.approx(4 / 150)


@pytest.mark.timeout(600)
def test_a_policy_is_changed_by_the_page_about_that(checkout: Path) -> None:
    path = f"{Path(sys.executable).parent}:{SYSTEM_PATH}"
    skip_for(run_page("docs/policy-changes.md", checkout, outside_environment(PATH=path, PYTHONPATH=str(checkout))))
    assert "changed" in (checkout / "backtest.html").read_text()


@pytest.mark.timeout(600)
def test_an_adapter_is_made_by_the_page_about_that(checkout: Path) -> None:
    path = f"{Path(sys.executable).parent}:{SYSTEM_PATH}"
    skip_for(run_page("docs/finetune.md", checkout, outside_environment(PATH=path, PYTHONPATH=str(checkout))))
    manifest = json.loads((checkout / "prepared" / "manifest.json").read_text())
    assert manifest["categories"]["stripes"]["held_out"] > 0


@pytest.mark.timeout(600)
def test_the_demo_by_the_readme_from_a_clean_checkout(checkout: Path) -> None:
    skip_for(run_page("README.md", checkout, outside_environment()))
