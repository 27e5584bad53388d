"""`python -m scripts.contract`: write the published form of the contract, or check that it is up to date.

Exit status 0 when written or up to date, 1 when `--check` finds a difference.
"""

import json
import sys
from pathlib import Path

import yaml

import schemas
from schemas.asyncapi import asyncapi_document
from schemas.json_schemas import json_schema
from schemas.registry import MESSAGES
from scripts.generated import Generated

PUBLISHED = Path(schemas.__path__[0]) / "published"


def generate() -> dict[str, str]:
    """Return the text of every published file by name."""
    published = {f"{message.slug}.schema.json": _as_json(json_schema(message)) for message in MESSAGES}
    return published | {
        "asyncapi.yaml": yaml.safe_dump(asyncapi_document(), sort_keys=False, allow_unicode=True, width=120)
    }


def contract(folder: Path = PUBLISHED) -> Generated:
    """Return the contract in a folder."""
    return Generated(folder, generate, target="contract")


def _as_json(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(contract().run(sys.argv[1:], description=__doc__))
