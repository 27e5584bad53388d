"""Policies for tests of their reload, and an engine that counts what it is prepared for."""

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path

from service.app.policy_reload import PolicyReload
from service.core.instructions import ModelInstructions
from service.inference.engine import Engine, EngineDescription
from service.policy.policy_files import PolicyFiles
from service.settings.settings import PolicySettings
from testing.engine import PaintedEngine

POLICY = """\
name: {name}
version: "{version}"
tenants: [{tenants}]
categories:
  child_safety: {{review: 0.1}}
  weapons: {{review: {review}{definition}}}
"""


class Preparing(PaintedEngine):
    """Counts what it is prepared for, and refuses what a test says."""

    def __init__(self) -> None:
        super().__init__()
        self.prepared: Counter[ModelInstructions] = Counter()
        self.refusal: Exception | None = None

    async def prepare(self, instructions: ModelInstructions) -> None:
        """Count, or fail."""
        await asyncio.sleep(0)
        if self.refusal is not None:
            raise self.refusal
        self.prepared[instructions] += 1

    def describe(self, instructions: ModelInstructions) -> EngineDescription:
        """Know what was prepared, as an engine does."""
        assert self.prepared[instructions] == 1
        return replace(super().describe(instructions), prompt_hash=f"{hash(instructions)}")

    def forget(self, instructions: ModelInstructions) -> None:
        """Count."""
        self.prepared[instructions] -= 1
        assert self.prepared[instructions] == 0
        del self.prepared[instructions]


def write(
    folder: Path,
    name: str = "shop",
    *,
    version: int = 1,
    tenants: str = "",
    review: float = 0.5,
    means: str = "",
    more: str = "",
) -> None:
    definition = f", definition: {{means: {means}}}" if means else ""
    text = POLICY.format(name=name, version=version, tenants=tenants, review=review, definition=definition)
    (folder / f"{name}.yaml").write_text(text + more)


async def started(folder: Path, engine: Engine | None = None) -> PolicyReload:
    reload = PolicyReload(PolicySettings(path=folder, default="shop"), engine or Preparing())
    await reload.prepare()
    return reload


async def use(reload: PolicyReload, folder: Path) -> bool:
    return await reload.use(PolicyFiles(folder))


def versions(reload: PolicyReload) -> dict[str, str]:
    return {name: version for name, version, _ in reload.identities()}
