"""Makes variants of harmful pictures and judges them: `make test-evasion`. Exits with 1 if one is allowed that Chromium
shows."""

import argparse
import asyncio
import secrets
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from service.media.formats import sniff
from testing.browser import chromium
from testing.browser_pixels import pixel_reader
from testing.evasion.judging import RESULTS, Judged, evasion_judge, judged_together
from testing.evasion.variants.kinds import KINDS, variants

_BATCH = 50


async def judged_kind(kinds: Sequence[str], count: int, seed_number: int) -> list[Judged]:
    """Return what became of so many variants of each kind, and print a line a kind."""
    every: list[Judged] = []
    async with chromium() as browser, pixel_reader(browser) as reader, evasion_judge() as judge:
        for kind in kinds:
            made = variants(kind, count, seed_number=seed_number)
            judged = []
            for start in range(0, len(made), _BATCH):
                judged += await judged_together(judge, reader, made[start : start + _BATCH])
            _print_line(kind, judged)
            every += judged
    return every


def _print_line(kind: str, judged: Sequence[Judged]) -> None:
    counts = Counter(each.result for each in judged)
    _print(f"{kind:20}{len(judged):>9}" + "".join(f"{counts[result]:>16}" for result in RESULTS))


def _keep(judged: Sequence[Judged], folder: Path) -> None:
    """Write the files that were allowed, so that they can be looked at."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, each in enumerate(judged):
        path = folder / f"{each.variant.kind.replace(' ', '-')}-{number}.{sniff(each.variant.data).partition('/')[2]}"
        path.write_bytes(each.variant.data)
        _print(f"allowed: {path}: {each.variant.how}: {each.detail}")


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - its output


def main() -> int:
    """Return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m testing.evasion", description=__doc__)
    parser.add_argument("--variants", type=int, default=3000, help="at most so many in all (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32), help="repeats a run")
    parser.add_argument("--kind", choices=sorted(KINDS), action="append", help="only this kind; repeatable")
    parser.add_argument("--keep", type=Path, default=Path(".evasion"), help="folder for files that were allowed")
    wanted = parser.parse_args()
    kinds = wanted.kind or list(KINDS)
    _print(f"--seed {wanted.seed}")
    _print(f"{'kind':20}{'variants':>9}" + "".join(f"{result:>16}" for result in RESULTS))
    judged = asyncio.run(judged_kind(kinds, -(-wanted.variants // len(kinds)), wanted.seed))
    _print_line("all", judged)
    allowed = [each for each in judged if each.result == "allowed"]
    _keep(allowed, wanted.keep)
    return 1 if allowed else 0


if __name__ == "__main__":
    sys.exit(main())
