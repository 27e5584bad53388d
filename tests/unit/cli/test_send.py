"""`modstream send` reports wrong usage before it looks for a broker."""

import pytest
from typer.testing import CliRunner

from service.cli.commands import app


@pytest.mark.parametrize(
    ("arguments", "reported"),
    [
        (["absent.jpg"], "no such file or folder"),
        ([""], "left out: '': the name is empty"),
        (["https://example.com/x.jpg", "--task", "judge"], "allowed are moderation, tags"),
        (["https://example.com/x.jpg", "--context", "novalue"], "KEY=VALUE"),
        (["https://example.com/x.jpg", "--tenant", ""], "tenant"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_reported_before_anything_is_sent(arguments: list[str], reported: str) -> None:
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["send", *arguments])
    assert result.exit_code == 2
    assert reported in result.stderr
    assert "Kafka" not in result.stderr
