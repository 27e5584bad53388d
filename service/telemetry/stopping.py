"""Bounds the time that the end of telemetry may take."""

import threading
from collections.abc import Callable

# What is still unsent when the service stops is worth a short wait, not a missed shutdown deadline.
FLUSH_LIMIT_S = 3.0


def stop_within_limit(shutdown: Callable[[], object], *, name: str) -> None:
    """Run the last export with a time limit: the SDK's own is 30 s, as long as Kubernetes grants in total."""
    thread = threading.Thread(target=shutdown, name=name, daemon=True)
    thread.start()
    thread.join(FLUSH_LIMIT_S)


def nothing_to_stop() -> None:
    """Do nothing: there is no telemetry to stop."""
