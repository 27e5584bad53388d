"""A folder whose files are generated: written anew, or compared with what is committed."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Generated:
    """What generates the files of a folder, all of them with one ending, or all there are."""

    folder: Path
    generate: Callable[[], dict[str, str]]
    """Returns the text of every file by its name."""
    target: str
    """Of make, which writes them."""
    pattern: str = "*"
    """Which of the folder's files are meant."""

    def differences(self) -> list[str]:
        """Return the names of files that are missing, superfluous or not as generated."""
        generated = self.generate()
        found = {path.name: path.read_text(encoding="utf-8") for path in self.folder.glob(self.pattern)}
        return sorted(name for name in generated | found if generated.get(name) != found.get(name))

    def write(self) -> None:
        """Make the folder hold what is generated, and nothing else of its kind."""
        self.folder.mkdir(exist_ok=True)
        for name in self.differences():
            (self.folder / name).unlink(missing_ok=True)
        for name, text in self.generate().items():
            (self.folder / name).write_text(text, encoding="utf-8")

    def run(self, arguments: Sequence[str], *, description: str | None) -> int:
        """Write, or with `--check` compare; return the exit status."""
        parser = argparse.ArgumentParser(prog=f"make {self.target}", description=description)
        changes = f"change nothing; fail where make {self.target} would change"
        parser.add_argument("--check", action="store_true", help=changes)
        if not parser.parse_args(arguments).check:
            self.write()
            return 0
        stale = self.differences()
        for name in stale:
            sys.stderr.write(f"{self.folder / name} is not as generated: run make {self.target}\n")
        return 1 if stale else 0
