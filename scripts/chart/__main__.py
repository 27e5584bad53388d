"""`python -m scripts.chart`: write what the chart takes from elsewhere, and what its tests expect helm to render.

From elsewhere come the schema of the service's settings and Prometheus's rules: a packed chart holds only what lies in
its own folder. The expected manifests need helm and are left as they are without it.
"""

import shutil
import sys

from scripts.chart.rendering import EXPECTED, cases, render, reviewed
from scripts.chart.values_schema import CHART, values_schema

RULES = CHART.parent / "prometheus" / "rules.yaml"


def main() -> None:
    """Write the files."""
    (CHART / "values.schema.json").write_text(values_schema(), encoding="utf-8")
    if RULES.exists():
        (CHART / "files").mkdir(exist_ok=True)
        shutil.copyfile(RULES, CHART / "files" / "rules.yaml")
    if shutil.which("helm") is None:
        sys.stderr.write(f"no helm on the PATH: {EXPECTED} stays as it is\n")
        return
    EXPECTED.mkdir(exist_ok=True)
    for case in cases():
        (EXPECTED / case.name).write_text(reviewed(render(case)), encoding="utf-8")


if __name__ == "__main__":
    main()
