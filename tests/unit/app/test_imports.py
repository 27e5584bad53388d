"""What a process loads before it does anything: it is a second of each start."""

import subprocess
import sys

_LOADED = "import sys, service.app.run; print(*sys.modules)"


def test_a_stream_without_the_http_api_loads_no_part_of_it() -> None:
    run = subprocess.run([sys.executable, "-c", _LOADED], capture_output=True, text=True, check=True)
    loaded = run.stdout.split()
    assert "service.delivery.processor" in loaded
    assert [name for name in loaded if name in {"fastapi", "jwt"} or name.startswith("service.api.")] == []
