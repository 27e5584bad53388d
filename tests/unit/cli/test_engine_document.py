"""docs/engine.md and the README against what the commands compute."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.cli.commands import app
from service.settings.load import load_settings
from service.tools.planning.cost import CostQuestion, compare
from service.tools.planning.cpu_sizing import feed, process_wall
from service.tools.planning.gpus import find_gpu
from service.tools.planning.latency import busy_latency, idle_latency
from service.tools.planning.models import find_model
from service.tools.planning.overview import rate, with_tags_per_s
from service.tools.planning.plan import GpuPlan, PrecisionPlan, plan_gpu, plan_precision
from service.tools.planning.published_rates import PUBLISHED_RATES
from service.tools.planning.remote import SERVE_STEP_TOKENS, serve_command, untuned_tags_s
from service.tools.planning.roofline import ImageTime, image_time
from service.tools.planning.throughput import pace
from service.tools.planning.workload import TYPICAL, Workload
from tests.unit.tools.planning.candidates import candidate, time_of

ROOT = Path(__file__).parents[3]
DOCUMENT = (ROOT / "docs/engine.md").read_text(encoding="utf-8")
REMOTE = (ROOT / "docs/remote-engine.md").read_text(encoding="utf-8")


@pytest.fixture
def plan() -> GpuPlan:
    return plan_gpu(find_gpu("H100"), find_model("8B"), TYPICAL)


@pytest.fixture
def h100(plan: GpuPlan) -> PrecisionPlan:
    assert plan.take is not None
    return plan.take


@pytest.fixture
def time(h100: PrecisionPlan) -> ImageTime:
    assert h100.time is not None
    return h100.time


def test_its_tables_are_those_of_the_command() -> None:
    written = CliRunner().invoke(app, ["engine", "plan", "--gpu", "all", "--markdown"]).stdout
    tables = written.split("\n\n")
    assert len(tables) == 5
    for table in tables:
        assert table.strip() in DOCUMENT, "write it anew: .venv/bin/modstream engine plan --gpu all --markdown"


def test_it_says_that_its_rates_are_not_measured() -> None:
    assert "**not measured**" in DOCUMENT.partition("What the models need")[0]


def test_its_costs_of_the_stages_are_those_of_the_plan(time: ImageTime) -> None:
    closer = image_time(candidate("H100", work=Workload(vision_tokens=1024)))
    assert closer is not None
    more = {
        "follow-ups": time.follow_ups / time.stage1,
        "Tags": time.tagged / time.stage1,
        "1,024 vision": closer.stage1 / time.stage1 - 1,
    }
    for name, share in more.items():
        row = next(line for line in DOCUMENT.splitlines() if line.startswith("|") and name in line)
        reported = float(row.rpartition("+ ")[2].removesuffix(" % |"))
        assert reported == pytest.approx(share * 100, rel=0.02), name


def test_its_rates_of_an_h100_are_those_of_the_plan(plan: GpuPlan, h100: PrecisionPlan) -> None:
    sentence = re.search(r"judges (\d+) safe images a second judges (\d+) if one in twenty .* and (\d+) if", DOCUMENT)
    assert sentence is not None
    rates = (h100.stage1_per_s, h100.images_per_s, with_tags_per_s(plan, h100))
    assert sentence.groups() == tuple(map(rate, rates))


def test_its_times_of_an_answer_are_those_of_the_plan() -> None:
    card = candidate("RTX 3090", "bf16")
    planned = plan_precision(card)
    assert planned.time is not None
    idle, busy = idle_latency(card, planned.time), busy_latency(planned)
    assert busy is not None
    assert f"At full load, {rate(planned.images_per_s)} images/s" in DOCUMENT
    assert f"| {idle.first_answer_s:.2f} s | {busy.first_answer_s:.2f} s |" in DOCUMENT
    assert f"| {idle.tokens_per_s:.0f} | {busy.tokens_per_s:.1f} |" in DOCUMENT
    assert f"| Tags | {idle.tags_s:.1f} s | {busy.tags_s:.0f} s |" in DOCUMENT


@pytest.mark.parametrize(("gpu", "of"), [("H100", "fp8-block"), ("L4", "fp8-dynamic")])
def test_it_says_what_tags_would_cost_after_the_first_question(gpu: str, of: str) -> None:
    planned = plan_precision(candidate(gpu, of, work=replace(TYPICAL, tags_share=1.0)))
    assert planned.time is not None
    assert planned.pace is not None
    later = replace(planned.time, tagged=planned.time.tagged + planned.time.vision)
    rates = (pace(later, replace(TYPICAL, tags_share=1.0), planned.pace.step_tokens).images_per_s, planned.images_per_s)
    sentence = DOCUMENT.partition("Asked for after it")[2].partition("\n")[0]
    assert all(rate(each) in sentence for each in rates)


def test_the_page_of_the_remote_engine_has_the_command_that_is_printed(plan: GpuPlan, h100: PrecisionPlan) -> None:
    command = "".join(f"    {line}\n" for line in serve_command(plan, h100).splitlines())
    assert command in REMOTE, "write it anew: .venv/bin/modstream engine plan --gpu H100 --remote"


def test_it_says_how_much_of_the_calculated_rates_others_reached() -> None:
    reached = sorted(1 / each.ratio for each in PUBLISHED_RATES if each.cards == 1)
    assert f"servers reach {reached[0] * 100:.0f} to {reached[-1] * 100:.0f} % of what the plan calculates" in DOCUMENT


def test_that_page_warns_of_the_servers_own_step() -> None:
    seconds = [untuned_tags_s(time_of(gpu, "bf16")) for gpu in ("L4", "RTX 3090")]
    assert f"tags take {seconds[0]:.0f} s on an L4 and {seconds[1]:.0f} s on an RTX 3090" in REMOTE
    assert f"takes {SERVE_STEP_TOKENS:,}" in REMOTE


def test_its_cores_are_those_of_the_plan(h100: PrecisionPlan) -> None:
    cores = feed(h100.images_per_s).cores
    assert f"An H100 needs {cores['2 MP']} cores for 2 megapixels and {cores['12 MP']} for 12." in DOCUMENT
    assert process_wall() == pytest.approx(280, rel=0.05)
    assert "about 280 images a second" in DOCUMENT


def test_its_settings_are_accepted(tmp_path: Path) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL)
    assert blocks
    for block in blocks:
        file = tmp_path / "modstream.yaml"
        file.write_text(block, encoding="utf-8")
        load_settings(file, {})


def test_the_readme_names_the_calculated_price_of_an_own_gpu(h100: PrecisionPlan) -> None:
    row = next(line for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines() if "Own GPU" in line)
    day = 24 * 3600 * h100.images_per_s
    question = CostQuestion(day, gpu_hour=2.5, usd_rate=1.0, images_per_s=h100.images_per_s, utilisation=1.0)
    assert f"${compare(question).own[0].per_1000:.3f}" in row
    assert f"{rate(h100.images_per_s)} images a second" in row
    assert "not measured" in row
