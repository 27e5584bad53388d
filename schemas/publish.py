"""`python -m schemas.publish`: write the published form of the contract, or check that it is up to date.

Exit status 0 when written or up to date, 1 when `--check` finds a difference.
"""

import argparse
import json
import sys
from pathlib import Path

import yaml

from schemas.asyncapi import asyncapi_document
from schemas.json_schemas import json_schema
from schemas.registry import MESSAGES

PUBLISHED = Path(__file__).parent / "published"


def generate() -> dict[str, str]:
    """Return the text of every published file by name."""
    schemas = {f"{message.slug}.schema.json": _as_json(json_schema(message)) for message in MESSAGES}
    return schemas | {
        "asyncapi.yaml": yaml.safe_dump(asyncapi_document(), sort_keys=False, allow_unicode=True, width=120)
    }


def differences(folder: Path) -> list[str]:
    """Return the names of files that are missing, superfluous or not as generated."""
    generated = generate()
    found = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()} if folder.is_dir() else {}
    return sorted(name for name in generated | found if generated.get(name) != found.get(name))


def publish(folder: Path) -> None:
    """Make the folder hold what is generated, and nothing else."""
    folder.mkdir(exist_ok=True)
    for name in differences(folder):
        (folder / name).unlink(missing_ok=True)
    for name, text in generate().items():
        (folder / name).write_text(text, encoding="utf-8")


def main(arguments: list[str], folder: Path = PUBLISHED) -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m schemas.publish", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail where make contract would change")
    if not parser.parse_args(arguments).check:
        publish(folder)
        return 0
    stale = differences(folder)
    for name in stale:
        sys.stderr.write(f"{folder / name} is not as generated: run make contract\n")
    return 1 if stale else 0


def _as_json(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


class _ReadableDumper(yaml.SafeDumper):
    """Writes text of several lines as such, not as one quoted line."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        """Choose the literal style for text with line ends."""
        return self.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)

    def ignore_aliases(self, data: object) -> bool:
        """Repeat what occurs twice: anchors are hard to read."""
        return True


_ReadableDumper.add_representer(str, _ReadableDumper.represent_text)


def _as_yaml(document: object) -> str:
    return yaml.dump(document, Dumper=_ReadableDumper, sort_keys=False, allow_unicode=True, width=120)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
