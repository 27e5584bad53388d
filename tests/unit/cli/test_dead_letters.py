"""`modstream dead-letters` on dead letters in memory."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from typer.testing import CliRunner, Result

from service.cli.commands import app
from service.events.codec_errors import EventEmptyError
from service.kafka.errors import KafkaUnreachableError
from testing.dead_letters import MemoryDeadLetterStore, a_dead_letter, vanish
from testing.uploads import BY_URL

SIGNED = BY_URL | {"image": {"url": "https://cdn.example.com/42.jpg?sig=secret"}, "tenant": "shop"}
TRACEPARENT = (("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),)


@pytest.fixture(autouse=True)
def logging_left_as_it_was() -> Iterator[None]:
    """Take back what commands set up for their own process."""
    loggers = [logging.getLogger(name) for name in (None, "service", "aiokafka")]
    before = loggers[0].handlers, [logger.level for logger in loggers]
    yield
    loggers[0].handlers = before[0]
    for logger, level in zip(loggers, before[1], strict=True):
        logger.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def store() -> MemoryDeadLetterStore:
    return MemoryDeadLetterStore(
        [
            a_dead_letter(1, error=EventEmptyError(), key=b"empty"),
            a_dead_letter(2, value=SIGNED, headers=TRACEPARENT, key=b"signed"),
            a_dead_letter(3, key=b"\x1b[31mred"),
            a_dead_letter(4, value=b"x" * 50_000, max_bytes=16_384, key=b"cut"),
        ]
    )


def dead_letters(store: MemoryDeadLetterStore, *arguments: str, **environment: str) -> Result:
    environment = {"COLUMNS": "220", "NO_COLOR": "1"} | environment
    return CliRunner().invoke(app, ["dead-letters", *arguments], obj=store, env=environment)


def test_letters_are_listed_with_their_places(store: MemoryDeadLetterStore) -> None:
    result = dead_letters(store, "list")
    assert result.exit_code == 0
    row = next(line for line in result.stdout.splitlines() if "signed" in line)
    assert row.split()[:3] == ["3:2", "2026-05-04", "03:02:01"]
    for text in ("image.not_found", "shop", "1:1200", "answered 404"):
        assert text in row
    assert "4 of 4 dead letters that are open" in result.stdout


def test_a_list_at_80_columns_has_letter_reason_and_key_whole() -> None:
    key = "catalogue/2026/summer/shoes/42-front-left.jpg"
    store = MemoryDeadLetterStore([a_dead_letter(2, value=SIGNED, key=key.encode())])
    lines = dead_letters(store, "list", COLUMNS="80").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    row = next(number for number, line in enumerate(lines) if "image.not_found" in line)
    assert lines[row].startswith("3:2 ")
    column = lines[0].index("key")
    folded = "".join(line[column:].split()[0] for line in lines[row:] if line[column:].strip() and line[:1] in "3 ")
    assert folded.startswith(key)
    assert "…" not in "".join(line[:column] for line in lines)


def test_what_is_piped_is_neither_wrapped_nor_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    key = "k" * 300
    store = MemoryDeadLetterStore([a_dead_letter(2, value=SIGNED, key=key.encode())])
    for command in ("list", "stats"):
        result = CliRunner().invoke(app, ["dead-letters", command], obj=store)
        assert "…" not in result.stdout
    row = next(
        line for line in CliRunner().invoke(app, ["dead-letters", "list"], obj=store).stdout.splitlines() if key in line
    )
    assert "image.not_found" in row
    assert "answered 404" in row


def test_a_stranger_cannot_steer_the_terminal(store: MemoryDeadLetterStore) -> None:
    for command in (["list"], ["show", "3:3"]):
        assert "\x1b" not in dead_letters(store, *command).stdout


def test_a_list_for_scripts_has_one_object_a_line(store: MemoryDeadLetterStore) -> None:
    lines = dead_letters(store, "list", "--reason", "image.*", "--json", "--limit", "2").stdout.splitlines()
    assert [json.loads(line)["letter"] for line in lines] == ["3:3", "3:4"]
    assert json.loads(lines[1])["truncated"] == "headers,value,key"


def test_letters_that_are_dealt_with_are_shown_on_request_alone(store: MemoryDeadLetterStore) -> None:
    dead_letters(store, "discard", "--reason", "event.*", "--why", "uploader mended", "--execute")
    assert "empty" not in dead_letters(store, "list").stdout
    row = next(line for line in dead_letters(store, "list", "--all").stdout.splitlines() if "empty" in line)
    assert "discarded" in row
    assert "uploader mended" in dead_letters(store, "show", "3:1").stdout


def test_failures_are_counted_by_kind_and_a_fingerprint_chooses_them(store: MemoryDeadLetterStore) -> None:
    groups = [json.loads(line) for line in dead_letters(store, "stats", "--json").stdout.splitlines()]
    assert [(group["reason"], group["count"]) for group in groups] == [("image.not_found", 3), ("event.empty", 1)]
    assert "4 dead letters of 2 kinds" in dead_letters(store, "stats").stdout
    chosen = dead_letters(store, "list", "--json", "--fingerprint", groups[1]["fingerprint"][:6].upper())
    assert json.loads(chosen.stdout)["key"] == "empty"


def test_one_letter_is_shown_whole_less_its_signature(store: MemoryDeadLetterStore) -> None:
    page = dead_letters(store, "show", "3:2", "--trace-url", "http://jaeger:16686/trace/{trace_id}").stdout
    for text in (
        "3:2 of images.uploaded.dead",
        "1:1200 of images.uploaded",
        "http://jaeger:16686/trace/4bf92f3577b34da6a3ce929d0e0e4736",
        "https://cdn.example.com/42.jpg?…",
        '"traceparent"',
        "ImageNotFoundError",
    ):
        assert text in page
    assert "secret" not in page
    assert "sig=secret" in dead_letters(store, "show", "3:2", "--reveal").stdout


def test_one_letter_is_shown_to_programs_with_the_trace_of_the_settings(store: MemoryDeadLetterStore) -> None:
    result = dead_letters(store, "show", "3:2", "--json", MODSTREAM_TELEMETRY__TRACE_URL="https://t/{trace_id}")
    document = json.loads(result.stdout)
    assert document["trace"] == "https://t/4bf92f3577b34da6a3ce929d0e0e4736"
    assert document["event"]["image"] == {"url": "https://cdn.example.com/42.jpg?…"}


def test_a_letter_that_is_not_there_is_said_to_be_gone(store: MemoryDeadLetterStore) -> None:
    result = dead_letters(store, "show", "3:99")
    assert result.exit_code == 1
    assert "no dead letter is at 3:99" in result.stderr


def test_a_redrive_is_a_dry_run_without_execute(store: MemoryDeadLetterStore) -> None:
    result = dead_letters(store, "redrive", "--reason", "event.*")
    assert result.exit_code == 0
    assert "1 dead letter would be sent back (dry run" in result.stdout
    assert store.sent == []


def test_a_redrive_sends_what_it_can_and_names_what_it_cannot(store: MemoryDeadLetterStore) -> None:
    result = dead_letters(store, "redrive", "--execute")
    assert result.exit_code == 1
    assert "3 dead letters sent back" in result.stdout
    assert "3:4  cut when it was written (headers,value,key)" in result.stdout
    assert [record.key for record in store.sent] == [b"empty", b"signed", b"\x1b[31mred"]
    again = json.loads(dead_letters(store, "redrive", "--execute", "--json").stdout)
    assert (again["done"], again["done_before"], again["refused"]) == (0, 3, 1)


def test_a_redrive_that_fails_before_anything_is_done_says_why_alone(store: MemoryDeadLetterStore) -> None:
    store.before_commit = vanish
    result = dead_letters(store, "redrive", "--execute")
    assert result.exit_code == 1
    assert "[kafka.publish_unknown]" in result.stderr
    assert "interrupted" not in result.stderr


async def interrupt() -> None:
    raise KeyboardInterrupt


def test_ctrl_c_ends_a_redrive_with_the_exit_code_of_shells(store: MemoryDeadLetterStore) -> None:
    store.before_commit = interrupt
    result = dead_letters(store, "redrive", "--execute")
    assert result.exit_code == 130
    assert "interrupted after 0 dead letters" in result.stderr


def test_discarding_wants_a_reason_once_it_is_meant(store: MemoryDeadLetterStore) -> None:
    assert dead_letters(store, "discard").exit_code == 0
    assert dead_letters(store, "discard", "--execute", "--why", " ").exit_code == 2
    assert store.journal == []
    result = dead_letters(store, "discard", "--execute", "--why", "gone")
    assert result.exit_code == 0
    assert len(store.journal) == 4
    line = json.loads(result.stderr.splitlines()[-1])
    assert (line["event"], line["letters"], line["why"]) == ("dead_letters.discarded", 4, "gone")


@pytest.mark.parametrize("arguments", [["--since", "yesterday"], ["--offset", "x"], ["--origin-offset", "1-2"]])
def test_what_cannot_be_read_is_wrong_usage(store: MemoryDeadLetterStore, arguments: list[str]) -> None:
    result = dead_letters(store, "list", *arguments)
    assert result.exit_code == 2
    assert f"{arguments[0]} {arguments[1]}" in result.stderr


def test_a_place_that_is_none_is_wrong_usage(store: MemoryDeadLetterStore) -> None:
    assert dead_letters(store, "show", "17").exit_code == 2


def test_brokers_that_do_not_answer_are_an_error_and_no_traceback() -> None:
    class Away(MemoryDeadLetterStore):
        async def marks(self) -> object:  # type: ignore[override]  # it never returns
            raise KafkaUnreachableError(bootstrap_servers="nowhere:9092", detail="no answer")

    result = dead_letters(Away(), "stats")
    assert result.exit_code == 1
    assert "kafka.unreachable" in result.stderr


@pytest.mark.parametrize("place", ["3:17", "images.uploaded/3:17", "images.uploaded:3", "images.uploaded:three:17"])
def test_a_record_to_skip_is_named_with_its_topic(store: MemoryDeadLetterStore, place: str) -> None:
    result = dead_letters(store, "skip", place)
    assert result.exit_code == 2
    assert f"{place}: a record is named topic:partition:offset, such as images.uploaded:3:17" in result.stderr
