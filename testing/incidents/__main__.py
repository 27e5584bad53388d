"""`python -m testing.incidents NAME…`: make an incident happen to the real service, and draw what is seen of it.

Needs Docker, and Prometheus on the PATH. Alerts run twenty times as fast as in production.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from testing.incidents.run import run
from testing.incidents.scenarios import SCENARIOS
from testing.incidents.tour import draw_all


def main(arguments: list[str]) -> int:
    """Run the incidents that are named, one after the other."""
    parser = argparse.ArgumentParser(prog="python -m testing.incidents", description=__doc__)
    parser.add_argument("name", nargs="*", metavar="NAME", help=f"all when none is named: {', '.join(SCENARIOS)}")
    parser.add_argument("--tour", action="store_true", help="no incident: draw all dashboards")
    parser.add_argument("--out", type=Path, default=Path("docs/images/incidents"), help="folder for the pictures")
    given = parser.parse_args(arguments)
    if unknown := set(given.name) - set(SCENARIOS):
        parser.error(f"no such incident: {', '.join(sorted(unknown))}")
    given.out.mkdir(parents=True, exist_ok=True)
    console = Console(highlight=False, soft_wrap=True)
    if given.tour:
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(draw_all(Path(folder), given.out))
        return 0
    for name in given.name or SCENARIOS:
        console.rule(SCENARIOS[name].title)
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(run(SCENARIOS[name], Path(folder), given.out, console.print))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
