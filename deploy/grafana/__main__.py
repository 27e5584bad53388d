"""`python -m deploy.grafana`: write the dashboards, or check that they are up to date.

Exit status 0 when written or up to date, 1 when `--check` finds a difference.
"""

import argparse
import sys
from pathlib import Path

from deploy.grafana.cost_board import COST
from deploy.grafana.decisions_board import DECISIONS
from deploy.grafana.image_board import IMAGE
from deploy.grafana.render import as_json
from deploy.grafana.service_board import SERVICE

DASHBOARDS = Path(__file__).parent / "dashboards"
BOARDS = (SERVICE, IMAGE, DECISIONS, COST)


def generate() -> dict[str, str]:
    """Return the text of every dashboard by file name."""
    return {f"{board.uid.removeprefix('modstream-')}.json": as_json(board) for board in BOARDS}


def differences(folder: Path) -> list[str]:
    """Return the names of files that are missing, superfluous or not as generated."""
    generated = generate()
    found = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.json")}
    return sorted(name for name in generated | found if generated.get(name) != found.get(name))


def write(folder: Path) -> None:
    """Make the folder hold what is generated, and no other dashboard."""
    for name in differences(folder):
        (folder / name).unlink(missing_ok=True)
    for name, text in generate().items():
        (folder / name).write_text(text, encoding="utf-8")


def main(arguments: list[str], folder: Path = DASHBOARDS) -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m deploy.grafana", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail where make dashboards would change")
    if not parser.parse_args(arguments).check:
        write(folder)
        return 0
    stale = differences(folder)
    for name in stale:
        sys.stderr.write(f"{folder / name} is not as generated: run make dashboards\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
