"""`python -m deploy.grafana`: write the dashboards, or check that they are up to date.

Exit status 0 when written or up to date, 1 when `--check` finds a difference.
"""

import sys
from pathlib import Path

from deploy.grafana.cost_board import COST
from deploy.grafana.decisions_board import DECISIONS
from deploy.grafana.image_board import IMAGE
from deploy.grafana.render import as_json
from deploy.grafana.service_board import SERVICE
from scripts.generated import Generated

DASHBOARDS = Path(__file__).parent / "dashboards"
BOARDS = (SERVICE, IMAGE, DECISIONS, COST)


def generate() -> dict[str, str]:
    """Return the text of every dashboard by file name."""
    return {f"{board.uid.removeprefix('modstream-')}.json": as_json(board) for board in BOARDS}


def dashboards(folder: Path = DASHBOARDS) -> Generated:
    """Return the dashboards in a folder."""
    return Generated(folder, generate, target="dashboards", pattern="*.json")


if __name__ == "__main__":
    sys.exit(dashboards().run(sys.argv[1:], description=__doc__))
