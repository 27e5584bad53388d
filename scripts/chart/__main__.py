"""`python -m scripts.chart`: write the schema of the chart's values, and what its tests expect helm to render.

The second part needs helm and is left out without it.
"""

import shutil
import sys

from scripts.chart.rendering import EXPECTED, cases, render
from scripts.chart.values_schema import CHART, values_schema


def main() -> None:
    """Write the files."""
    (CHART / "values.schema.json").write_text(values_schema(), encoding="utf-8")
    if shutil.which("helm") is None:
        sys.stderr.write(f"no helm on the PATH: {EXPECTED} stays as it is\n")
        return
    EXPECTED.mkdir(exist_ok=True)
    for case in cases():
        (EXPECTED / case.name).write_text(render(case), encoding="utf-8")


if __name__ == "__main__":
    main()
