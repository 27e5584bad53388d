"""The settings of the demo's service: as little as a user of an embedded broker would write."""

from pathlib import Path

import yaml

from service.settings.load import load_settings
from service.settings.settings import Settings


def write_settings(config: Path, *, broker: str, file_root: Path) -> Settings:
    """Write the settings file for the service, and return what it says."""
    document = {
        # The embedded broker knows no transactions.
        "delivery": "at_least_once",
        # It also lets a group's first member wait for half of the session: 8 s of 15 s, 2 s of 4 s.
        "kafka": {"bootstrap_servers": broker, "group_id": "modstream-demo", "session_timeout_s": 4.0},
        "media": {"fetch": {"file_root": str(file_root.resolve())}},
        # For reading the log after a failure.
        "telemetry": {"log_format": "console"},
        "shutdown": {"drain_s": 10.0},
        # Two demos may run at once, and beside a service of one's own.
        "monitoring": {"port": 0},
    }
    config.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return load_settings(config, {}).settings
