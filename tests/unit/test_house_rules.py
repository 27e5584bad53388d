"""The rules of CONTRIBUTING.md that no linter knows."""

import importlib
import pkgutil
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml

import service
from service.api.errors import ApiError
from service.core.errors import FatalError, ModstreamError, RejectedError, TransientError
from service.inference.onnx.catalogue import load_catalogue
from service.policy.loader import load_policies
from service.policy.taxonomy import NAMES
from service.settings.catalogue import catalogue, groups
from service.settings.settings import PolicySettings
from service.settings.sources import CONFIG_VARIABLE

ROOT = Path(__file__).parents[2]

MAX_MODULE_LINES = 300

REASON = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*\.[a-z0-9]+(_[a-z0-9]+)*")

# Codes of requests that FastAPI and Starlette refuse, before a route of ours sees them.
ANSWERED_WITHOUT_A_CLASS = {"api.http_404", "api.http_405", "api.invalid"}

# What docs/operate.md calls the three branches.
BRANCHES: dict[type[ModstreamError], str] = {
    RejectedError: "dead letter at once",
    TransientError: "tried again, then dead letter",
    FatalError: "the service stops",
}

# Hosts of package registries and paths of single machines; split, or this file would break its own rule.
FOREIGN = re.compile(
    rb"py" rb"pi\.org|pythonhosted\.org|npm" rb"js\.(?:org|com)|crates" rb"\.io|maven" rb"\.org"
    rb"|(?<![\w./}])/(?:work|root|home)/"
)  # fmt: skip

# vLLM and torch take half a minute to import, and are not everywhere; these define no errors.
ENGINE_MODULES = {
    f"service.inference.vllm.{name}"
    for name in ("chat", "facts", "model", "processes", "serving_layer", "trace_context", "worker")
} | {"service.cli.finetune_train_run"}

# What takes long to import, or much memory: a command loads it when it does its work, not to show its help.
HEAVY = (
    "PIL",
    "aiohttp",
    "aiokafka",
    "duckdb",
    "matplotlib",
    "numpy",
    "onnxruntime",
    "opentelemetry.sdk",
    "prometheus_client",
    "pyarrow",
    "torch",
    "transformers",
    "vllm",
)

IMPORT_EVERY_COMMAND = """
import sys

import typer.main

from service.cli.commands import app
from service.cli.lazy import imported

command = typer.main.get_command(app)
print("modstream", *sys.modules)
for name, listed in command.commands.items():
    whole = imported(listed)
    for inner in getattr(whole, "commands", {}).values():
        imported(inner)
    print(name, *sys.modules)
"""

# What the folders beside `service` may import, besides `service` and `schemas`: what two of them need is in `testing`.
MAY_IMPORT = {
    "deploy": {"deploy", "scripts"},
    "scripts": {"scripts"},
    "testing": {"testing", "deploy", "scripts"},
    "benchmarks": {"benchmarks", "testing"},
    "tests": {"tests", "testing", "deploy", "scripts"},
}

SUPPRESSION = re.compile(r"# (?:noqa|type: ignore)(?P<rest>.*)")
JUSTIFIED = re.compile(r"(?:: [A-Z]+[0-9]+(?:, ?[A-Z]+[0-9]+)*|\[[a-z-]+(?:, ?[a-z-]+)*\])\s+(?:- |# )\w.*")


def tracked(*patterns: str) -> list[Path]:
    """List the files that git tracks and that are there."""
    listing = subprocess.run(["git", "ls-files", "-z", *patterns], cwd=ROOT, capture_output=True, check=True).stdout
    return [path for name in listing.decode().split("\0") if name and (path := ROOT / name).is_file()]


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def error_classes() -> list[type[ModstreamError]]:
    """Find every error of the service that can be raised."""
    for module in pkgutil.walk_packages(service.__path__, "service."):
        if module.name not in ENGINE_MODULES and "finetuning.training." not in module.name:
            importlib.import_module(module.name)
    return sorted(_ours(ModstreamError), key=lambda kind: kind.__qualname__)


def reasons() -> set[str]:
    """Return the reason codes of all errors and of all refusals of requests."""
    return {kind.reason for kind in error_classes()} | {
        kind.reason for kind in _below(ApiError) if "reason" in vars(kind)
    }


def _below(base: type[ApiError]) -> Iterator[type[ApiError]]:
    for kind in base.__subclasses__():
        yield kind
        yield from _below(kind)


def _ours(base: type[ModstreamError]) -> Iterator[type[ModstreamError]]:
    for kind in base.__subclasses__():
        if kind.__module__.startswith("service.") and kind not in BRANCHES:
            yield kind
        yield from _ours(kind)


def log_events() -> set[str]:
    """Find the events that the service logs."""
    call = re.compile(r"\b_?log(?:\.\w+)?\([^\")]*\"([a-z_]+\.[a-z_.]+)\"")
    return {event for path in (ROOT / "service").rglob("*.py") for event in call.findall(path.read_text())}


def markdown() -> list[Path]:
    return tracked("*.md")


def test_no_module_is_too_long() -> None:
    lengths = {relative(path): len(path.read_text().splitlines()) for path in tracked("*.py")}
    assert {name: lines for name, lines in lengths.items() if lines > MAX_MODULE_LINES} == {}


def test_packages_are_entered_through_their_modules() -> None:
    assert [relative(path) for path in tracked("*__init__.py") if path.read_text().strip()] == []


def test_no_command_imports_anything_heavy_to_show_its_help() -> None:
    run = subprocess.run(
        [sys.executable, "-c", IMPORT_EVERY_COMMAND], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = {name: modules for name, *modules in map(str.split, run.stdout.splitlines())}
    assert len(loaded) > 1
    assert {name: found for name, modules in loaded.items() if (found := sorted(set(modules) & set(HEAVY)))} == {}


def test_errors_of_pydantic_become_text_in_one_place() -> None:
    found = {relative(path) for path in tracked("service/**.py") if re.search(r"""\[["']msg["']\]""", path.read_text())}
    assert found == {"service/core/validation_text.py"}


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_tests_and_benchmarks_share_what_is_in_testing(folder: str) -> None:
    beside = re.compile(rf"^\s*(?:from|import) ({'|'.join(MAY_IMPORT)})\b", re.MULTILINE)
    imported = {relative(path): set(beside.findall(path.read_text())) for path in tracked(f"{folder}/**.py")}
    assert {name: found for name, names in imported.items() if (found := names - MAY_IMPORT[folder])} == {}


def test_every_silenced_check_says_why() -> None:
    silent = [
        f"{relative(path)}:{number}: {line.strip()}"
        for path in tracked("*.py")
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if (found := SUPPRESSION.search(line)) and not JUSTIFIED.match(found["rest"])
    ]
    assert silent == []


def test_no_file_names_a_registry_or_a_machine() -> None:
    binary = {".whl", ".onnx", ".jpg", ".jpeg", ".png", ".gif", ".webp", ".avif", ".bin"}
    found = {
        relative(path): match[0].decode()
        for path in tracked()
        if path.suffix not in binary and (match := FOREIGN.search(path.read_bytes()))
    }
    assert found == {}


def test_requirement_files_pin_by_hash_and_name_no_index() -> None:
    files = tracked("requirements/*.txt")
    assert files
    for path in files:
        lines = re.sub(r"\\\n", "", path.read_text()).splitlines()
        requirements = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
        assert [line for line in requirements if "==" not in line or "--hash=sha256:" not in line] == [], path.name


def test_every_error_has_a_reason_code_of_its_own() -> None:
    errors = error_classes()
    assert {kind.__name__: kind.reason for kind in errors if not REASON.fullmatch(kind.reason)} == {}
    assert [reason for reason, count in Counter(kind.reason for kind in errors).items() if count > 1] == []


def test_every_error_says_what_the_caller_should_do() -> None:
    assert [kind.__name__ for kind in error_classes() if not issubclass(kind, tuple(BRANCHES))] == []


def test_the_operators_table_of_reason_codes_is_complete_and_true() -> None:
    text = (ROOT / "docs/operate.md").read_text()
    table = text.partition("\n| Reason |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `([a-z0-9_.]+)` \| ([^|]+) \|", table, re.MULTILINE)
    actual = {
        kind.reason: name for kind in error_classes() for branch, name in BRANCHES.items() if issubclass(kind, branch)
    }
    assert dict(rows) == actual
    assert len(rows) == len(actual)


def test_callers_of_the_http_api_read_about_every_code_of_a_refusal() -> None:
    text = (ROOT / "docs/http.md").read_text() + (ROOT / "docs/operate.md").read_text()
    codes = {kind.reason for kind in _below(ApiError) if "reason" in vars(kind)}
    assert {code for code in codes if f"`{code}`" not in text} == set()


@pytest.mark.parametrize(("blame", "row"), [("uploader", "an uploader at will"), ("service", "the service")])
def test_the_operator_reads_which_dead_letters_count_towards_the_limit(blame: str, row: str) -> None:
    text = (ROOT / "docs/operate.md").read_text()
    reported = re.search(rf"^\| {row}[^|]*\| ([^|]+) \|", text, re.MULTILINE)
    assert reported is not None
    kinds = [kind for kind in error_classes() if issubclass(kind, RejectedError | TransientError)]
    assert re.findall(r"`(.+?)`", reported[1]) == sorted(kind.reason for kind in kinds if kind.blame == blame)


def test_the_log_events_that_the_operator_reads_about_exist() -> None:
    text = (ROOT / "docs/operate.md").read_text()
    reported = re.findall(r"^\| `([a-z0-9_.]+)` \| (?:debug|info|warning|error) \|", text, re.MULTILINE)
    assert reported
    assert set(reported) <= log_events()


def test_the_table_of_categories_is_complete_and_true() -> None:
    rows = re.findall(
        r"^\| `([a-z_]+)` \| [^|]+ \| ([^|]+) \| ([^|]+) \|$", (ROOT / "docs/moderation.md").read_text(), re.MULTILINE
    )
    rules, engine = load_policies(PolicySettings()).default.categories, load_catalogue(None)
    assert rows == [
        (
            name,
            "hints" if name in engine.hints else "yes" if name in engine.covers else "not covered",
            ", ".join(f"{outcome} {score:g}" for outcome, score in rules[name].thresholds()),
        )
        for name in NAMES
    ]


def test_links_between_documents_lead_somewhere() -> None:
    link = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")
    targets = {document: link.findall(document.read_text()) for document in markdown()}
    assert [str(path) for path in targets for target in targets[path] if not (path.parent / target).exists()] == []


CHART_VALUES = yaml.safe_load((ROOT / "deploy/chart/values.yaml").read_text())
"""Some have names like those of settings: `api.enabled`."""


def _paths(values: Mapping[str, object], before: str = "") -> Iterator[str]:
    """Return the dotted names of values."""
    for name, value in values.items():
        yield f"{before}{name}"
        if isinstance(value, dict):
            yield from _paths(value, f"{before}{name}.")


def test_settings_that_documents_name_exist() -> None:
    variables = {setting.variable for setting in catalogue().values()} | {CONFIG_VARIABLE}
    assert named_in_documents(r"\bMODSTREAM_[A-Z0-9_]*[A-Z0-9]\b", except_for=variables) == []

    known = {*catalogue(), *(group.path for group in groups()), *reasons(), *ANSWERED_WITHOUT_A_CLASS, *log_events()}
    first = "|".join(group.path for group in groups() if group.path and "." not in group.path)
    assert named_in_documents(rf"`((?:{first})(?:\.[a-z0-9_]+)+)`", except_for=known | set(_paths(CHART_VALUES))) == []


def test_make_targets_that_documents_name_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert named_in_documents(r"\bmake ([a-z-]+)(?=[`\s]*$|`)", except_for=targets) == []


def named_in_documents(pattern: str, *, except_for: set[str]) -> list[str]:
    """Return what documents name by this pattern and is none of these."""
    named = re.findall(pattern, "\n".join(document.read_text() for document in markdown()), re.MULTILINE)
    return sorted(set(named) - except_for)
