"""The coverage table of ``domain/README.md``: whole, and true of the files and tests that it names."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "domain" / "README.md").read_text(encoding="utf-8").partition("<!-- coverage: begin -->")[2]
LEFT_OUT = "not in this version: issue of the neural controller"

SECTIONS = {
    "Executive summary": 8,
    "1. Architecture and communication": 3,
    "2. Telemetry and health signals": 6,
    "3. Decision logic": 9,
    "4. Seed lifecycle management": 5,
    "5. Safety shield": 5,
    "6. Neural controller and learning": 4,
    "7. Feedback loop and field reports": 7,
    "8. Configuration": 8,
    "Critical gaps": 5,
    "Architectural divergences": 4,
    "Positive additions": 5,
    "Production-ready elements": 4,
    "Recommendation 1: communication": 3,
    "Recommendation 2: lifecycle": 3,
    "Recommendation 3: blueprints": 3,
    "Recommendation 4: neural controller": 3,
    "Recommendation 5: Karn": 3,
}
"""Every section of the assessment, with how many lines of it ask for something."""
WITHOUT_NEURAL = {
    "Executive summary": 1,
    "6. Neural controller and learning": 4,
    "Critical gaps": 2,
    "Recommendation 4: neural controller": 3,
}
"""How many lines of which sections may be left out."""


def rows() -> list[tuple[str, str, str, str]]:
    """Section, what it says, where it lives, what shows it."""
    found, section = [], ""
    for line in TABLE.partition("<!-- coverage: end -->")[0].splitlines():
        if line.startswith("### "):
            section = line.removeprefix("### ")
        elif line.startswith("| ") and not line.startswith("| it says "):
            says, lives, shows = (cell.strip() for cell in line.strip("|").split("|"))
            found.append((section, says, lives, shows))
    return found


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


@cache
def claims_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def test_every_section_of_the_assessment_has_all_its_lines() -> None:
    counted: dict[str, int] = {}
    for section, *_ in rows():
        counted[section] = counted.get(section, 0) + 1

    assert counted == SECTIONS
    assert len({row[:2] for row in rows()}) == sum(SECTIONS.values()), "no line twice in a section"


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row[0]} {row[1]}")
def test_what_a_line_names_is_there(row: tuple[str, str, str, str]) -> None:
    _, _, lives, shows = row
    if lives == LEFT_OUT:
        assert shows == ""
        return

    assert quoted(lives) and quoted(shows), "a line names a module and a test"
    assert [path for path in quoted(lives) if not (ROOT / path).is_file()] == []
    for name in quoted(shows):
        path, _, test = name.partition("::")
        assert (ROOT / path).is_file() and test in claims_in(path), f"{name} is not there"
        assert path.startswith("tests/") and test.startswith("test_")


def test_only_the_neural_controller_is_left_out() -> None:
    left: dict[str, int] = {}
    for section, _, lives, _ in rows():
        left[section] = left.get(section, 0) + (lives == LEFT_OUT)

    assert {section: count for section, count in left.items() if count} == WITHOUT_NEURAL


def test_every_room_and_file_of_the_domain_is_introduced() -> None:
    readme = (ROOT / "domain" / "README.md").read_text(encoding="utf-8").partition("## What the assessment")[0]
    domain = ROOT / "domain"
    rooms = {f"{path.parent.name}/" for path in domain.glob("*/__init__.py")}
    files = {path.name for path in domain.glob("*.py") if path.name != "__init__.py"}

    assert sorted(name for name in rooms | files if f"`{name}`" not in readme) == []
    named = {name for name in quoted(readme) if name.endswith((".py", "/"))}
    gone = {name for name in named if not list(domain.rglob(name.rstrip("/")))}
    assert gone == set()
