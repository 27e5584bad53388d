"""The result of the API's demo for people and scripts."""

import time
from collections.abc import Mapping

from rich.console import Console
from rich.text import Text

from service.telemetry.plain_text import one_line
from service.tools.demo.api_clients import MODEL, OpenAIAnswer
from service.tools.demo.api_demo import ApiAnswers
from service.tools.demo.api_process import DemoApi
from service.tools.demo.fitted_table import Column, print_table
from service.tools.demo.outcomes import gravest_first
from service.tools.demo.tables import verdict_columns, verdict_row


def print_answers(console: Console, api: DemoApi, answers: ApiAnswers) -> None:
    """Print how the service was asked, and what each client got."""
    curl = f'curl -H "Authorization: Bearer $KEY" -F image=@wine.jpg -F tasks=moderation,tags {api.url}/v1/verdicts'
    openai = f'OpenAI(base_url="{api.url}/v1", api_key=KEY).moderations.create(model="{MODEL}", input=[…])'
    for client, asked in (("curl:", curl), ("OpenAI:", openai)):
        console.print(Text.assemble((f"{client:8}", "bold"), asked), soft_wrap=True)
    console.print()
    verdicts = {name: answer.verdict for name, answer in answers.by_curl.items() if answer.verdict is not None}
    ordered = gravest_first(verdicts.items())
    if ordered:
        rows = [verdict_row(name, verdict, answers.by_curl[name].tags) for name, verdict in ordered]
        columns = verdict_columns(rows) + _openai_columns([name for name, _ in ordered], answers.by_openai)
        print_table(console, columns, title="Answers to curl, and to OpenAI's client")
    for failure in answers.failures:
        console.print(Text.assemble(("failed: ", "bold red"), one_line(failure)), soft_wrap=True)
    console.print()


def _openai_columns(names: list[str], answers: Mapping[str, OpenAIAnswer]) -> list[Column]:
    flagged, score = Column("OpenAI: flagged"), Column("highest score", rank=4)
    for name in names:
        answer = answers[name]
        text = f"yes, {', '.join(answer.flagged_by)}" if answer.flagged else "failed" if answer.error else "no"
        flagged.cells.append(Text(text, style="yellow" if answer.flagged else ""))
        highest = max(answer.scores.items(), key=lambda item: item[1], default=None)
        score.cells.append(Text(f"{highest[0]} {highest[1]:.2f}" if highest else "", style="dim"))
    return [flagged, score]


def print_page(console: Console, api: DemoApi, *, is_kept: bool) -> None:
    """Print where the page is."""
    how_long = "Ctrl-C ends it" if is_kept else "closed with the demo: make demo-api KEEP=1 keeps it open"
    console.print(f"page: {api.page_url} ({how_long})", soft_wrap=True, highlight=False)


def summary(answers: ApiAnswers, *, started_s: float) -> str:
    """Return the last line, which scripts read; `started_s` is on the monotonic clock."""
    failed = len(answers.failures)
    answered = answers.requests - failed
    seconds = time.monotonic() - started_s
    return f"demo-api: {answers.requests} requests = {answered} answers + {failed} failures; {seconds:.1f} s"
