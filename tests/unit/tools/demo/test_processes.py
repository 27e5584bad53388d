import subprocess
import sys
import time


def test_the_age_of_a_process_counts_from_its_start() -> None:
    code = (
        "import time, sys; from service.tools.demo.processes import process_age_s;"
        "a = process_age_s(); time.sleep(0.25); print(a, process_age_s())"
    )
    began = time.monotonic()
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    outside_s = time.monotonic() - began
    first, second = map(float, run.stdout.split())
    # The kernel counts in hundredths of a second.
    assert second - first >= 0.24
    assert second <= outside_s + 0.02
