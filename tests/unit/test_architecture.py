"""The picture of docs/architecture.md shows the imports, and the page names files that exist."""

import re
from collections.abc import Mapping, Set
from itertools import pairwise
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
ENTRY_POINTS = {"__main__"}

Arrows = Mapping[str, Set[str]]


def picture() -> str:
    """Return the source of the one picture of the page."""
    (found,) = re.findall(r"^```mermaid\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


def nodes(text: str) -> set[str]:
    """Return the rooms that a part of the picture draws: nodes in square brackets."""
    return set(re.findall(r"^ +(\w+)\[", re.sub(r"subgraph .*", "", text), re.MULTILINE))


def drawn_arrows(text: str) -> set[tuple[str, str]]:
    """Return the solid arrows, each as importer and imported."""
    lines = [re.sub(r"\[.*?\]", "", line).split("-->") for line in text.splitlines() if "-->" in line]
    return {
        (importer.strip(), imported.strip())
        for line in lines
        for left, right in pairwise(line)
        for importer in left.split("&")
        for imported in right.split("&")
    }


@pytest.fixture(scope="module")
def imports() -> Arrows:
    """Return for each room the rooms that it imports."""
    graph = grimp.build_graph("service", "schemas", cache_dir=None)
    rooms = {module.rpartition(".")[2]: module for module in graph.find_children("service")} | {"schemas": "schemas"}
    return {
        name: {
            other
            for other, imported in rooms.items()
            if other != name and graph.direct_import_exists(importer=module, imported=imported, as_packages=True)
        }
        for name, module in rooms.items()
        if name not in ENTRY_POINTS
    }


def reached(room: str, arrows: Arrows) -> set[str]:
    """Return the rooms that a room imports, directly or through others."""
    found: set[str] = set()
    left = [room]
    while left:
        new = arrows[left.pop()] - found
        found |= new
        left += new
    return found


def without_implied(arrows: Arrows) -> set[tuple[str, str]]:
    """Return the arrows that no longer way through other arrows implies."""
    return {
        (room, other)
        for room, others in arrows.items()
        for other in others
        if not any(other in reached(between, arrows) for between in others - {other})
    }


def test_every_room_is_drawn(imports: Arrows) -> None:
    assert nodes(picture()) == set(imports)


def test_the_arrows_of_the_picture_are_the_imports(imports: Arrows) -> None:
    shared = nodes(picture().partition("subgraph")[2].partition("end\n")[0])
    shown = {room: (others & shared if room in shared else others - shared) for room, others in imports.items()}
    drawn, true = drawn_arrows(picture()), without_implied(shown)
    assert (true - drawn, drawn - true) == (set(), set()), "not drawn, and drawn without an import"


def test_shared_rooms_import_shared_rooms_only(imports: Arrows) -> None:
    shared = nodes(picture().partition("subgraph")[2].partition("end\n")[0])
    assert {room: others - shared for room, others in imports.items() if room in shared and others - shared} == {}


def test_the_table_of_rooms_is_complete(imports: Arrows) -> None:
    rows = re.findall(r"^\| `(?:service/)?(\w+)(?:\.py)?` \|", PAGE, re.MULTILINE)
    assert sorted(rows) == sorted(imports)


def test_files_that_the_page_names_exist() -> None:
    named = set(re.findall(r"`([a-z_/]+/[a-z_]+\.py)`", PAGE))
    assert named
    assert {name for name in named if not ((ROOT / name).exists() or (ROOT / "service" / name).exists())} == set()
