"""The keys file that the settings name, checked before anything is started."""

import typer

from service.api.callers.keys_file import check_keys
from service.cli.exits import ExitCode
from service.cli.options import complain_of
from service.settings.load import LoadedSettings


def check_keys_or_exit(loaded: LoadedSettings) -> None:
    """Show every problem with the keys file, and exit with the code for wrong settings; without a file do nothing."""
    api = loaded.settings.api
    if api.keys_file is None or api.authentication == "none":
        return
    problems = ["{path}:{line}: {detail}".format_map(problem.facts) for problem in check_keys(api.keys_file).problems]
    if problems:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        complain_of(f"{count} with the API keys (api.keys_file, {loaded.sources['api.keys_file']}):", problems)
        raise typer.Exit(ExitCode.USAGE)
