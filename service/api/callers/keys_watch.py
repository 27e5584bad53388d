"""Keeps the API keys of a running service like their file: keys come and go without a restart."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import structlog

from service.api.callers.access_errors import KeysFileError
from service.api.callers.api_keys import ApiKeys
from service.api.callers.keys_file import check_content, read_content
from service.core.documents import Checked
from service.core.errors import FatalError
from service.runtime.file_watch import FileWatch

log = structlog.get_logger(__name__)

_EVERY_S = 1.0
"""How often the file is read: a change is in force after two of these."""


@dataclass(frozen=True, slots=True)
class KeysFile:
    """The content of a keys file when it was read."""

    path: Path
    content: bytes | None
    fault: str = ""
    """Why it could not be read."""

    def reread(self) -> Self:
        """Return the file as it is now."""
        return type(self).read(self.path)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the file as it is now, or that it cannot be read."""
        try:
            return cls(path, read_content(path))
        except KeysFileError as problem:
            return cls(path, None, str(problem.facts["detail"]))

    def check(self) -> Checked[ApiKeys]:
        """Return the keys in the file, or every problem with it."""
        if self.content is None:
            return Checked(None, (KeysFileError(path=self.path, line=1, detail=self.fault),))
        return check_content(self.path, self.content)


class KeysWatch:
    """The keys of a file, read again when its content changes.

    A file that cannot be used is refused as a whole, and the keys before it stay in force.
    """

    def __init__(self, path: Path, *, every_s: float = _EVERY_S) -> None:
        """Read the file; raises `KeysFileError`."""
        file = KeysFile.read(path)
        self.keys: ApiKeys = file.check().result()
        self._is_refused = False
        self._files = FileWatch(file, self._judge, every_s=every_s)

    def warnings(self) -> list[str]:
        """Return what is wrong with the present file, for /health."""
        if not self._is_refused:
            return []
        # Without the problem: /health needs no key.
        return ["api.keys_file cannot be used, the keys before it stay in force: see access.keys_refused in the log"]

    async def watch(self) -> None:
        """Read the file again and again."""
        await self._files.watch()

    async def refresh(self) -> None:
        """Read the file once."""
        await self._files.refresh()

    async def _judge(self, file: KeysFile) -> bool:
        checked = await asyncio.to_thread(file.check)
        if checked.found is None:
            self._refuse(*checked.problems)
            return True
        self.keys, self._is_refused = checked.found, False
        log.info("access.keys_read", file=file.path, keys=len(self.keys.by_id))
        return True

    def _refuse(self, problem: FatalError, *others: FatalError) -> None:
        self._is_refused = True
        log.error(
            "access.keys_refused", detail=str(problem), further_problems=len(others), keys_in_force=len(self.keys.by_id)
        )
