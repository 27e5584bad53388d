"""What both chaos runs can be asked for on the command line."""

import argparse
import secrets
from dataclasses import dataclass

INTERRUPTED = 130
"""The exit code after Ctrl-C."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What every run has; with the same options the same things go wrong at the same times."""

    seed: int = 0
    brokers: int = 3
    """Each holds a replica of everything. With one the promise does not hold: docs/guarantees.md explains why."""
    mean_gap_s: float = 4.0
    """Between two misfortunes."""


def options_parser(defaults: RunOptions, *, prog: str, description: str | None) -> argparse.ArgumentParser:
    """Return a parser of these options, each under the name of its field; a run adds its own."""
    parser = argparse.ArgumentParser(prog=prog, description=description)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="random when not given")
    parser.add_argument("--brokers", type=int, default=defaults.brokers, help="replicas of everything, too")
    parser.add_argument(
        "--gap",
        dest="mean_gap_s",
        metavar="SECONDS",
        type=float,
        default=defaults.mean_gap_s,
        help="mean seconds between misfortunes",
    )
    return parser
