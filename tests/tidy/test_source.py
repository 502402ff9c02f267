"""The source itself: sizes, bans that name what to use instead, and what is said about everything public."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.event_shapes import FILE, shapes

ROOT = Path(__file__).parents[2]
PACKAGES = ("domain", "engine", "projections", "scenarios")
FOLDERS = (*PACKAGES, "tests", "replays")
PRODUCT = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70

MAY_WRITE = {
    "scenarios/commands/answering.py",
    "scenarios/display/recorded.py",
    "scenarios/experiments/demo.py",
    "scenarios/experiments/golden.py",
    "scenarios/experiments/growth.py",
    "scenarios/experiments/breeding.py",
    "scenarios/experiments/catastrophes.py",
    "scenarios/experiments/cuts.py",
    "scenarios/experiments/cycles.py",
    "scenarios/experiments/methods.py",
    "scenarios/experiments/oona.py",
    "scenarios/experiments/strategies.py",
    "scenarios/experiments/whatif.py",
}
"""Entry points that a person calls: the only places that write to the terminal."""

NOT_IN_A_RUN = {
    r"\btime\.(time|time_ns|monotonic|perf_counter|process_time)\(": "read no clock here: use the epoch that you are given",
    r"\bdatetime\b.*\b(now|utcnow|today)\(": "read no clock here: use the epoch that you are given",
    r"\buuid[14]\(": "make ids from the run key, the stream and a counter",
    r"(?<![\w.])random\.(random|seed|choice|choices|shuffle|sample|randint|uniform|gauss)\(": "draw from a named stream: engine/randomness.py",
    r"\bnp\.random\.(seed|rand|randn|randint|random|shuffle|choice|default_rng)\b": "draw from a named stream: engine/randomness.py",
    r"\btorch\.(manual_seed|seed)\(": "torch's global generator is shared: make a torch.Generator from a named stream",
    r"\bos\.(environ|getenv)\b": "take what you need from the scenario: the environment is in no header",
    r"(?<![\w.`])hash\(": "hash() differs between processes: use hashlib",
    r"\bsleep\(": "wait for nothing: there is no time in a run, only epochs",
}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def lines_that_match(paths: list[Path], pattern: str) -> list[str]:
    found = []
    for path in paths:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if re.search(pattern, line):
                found.append(f"{name_of(path)}:{number}: {line.strip()}")
    return found


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_no_file_outgrows_its_room() -> None:
    long = {name_of(path): n for path in PRODUCT if (n := len(path.read_text("utf-8").splitlines())) > FILE_LINES_MAX}

    assert long == {}, f"split what is longer than {FILE_LINES_MAX} lines"


def test_no_function_outgrows_its_room() -> None:
    long = [
        f"{name_of(path)}: {node.name}"
        for path in [*PRODUCT, *TESTS]
        for node in functions(path)
        if node.end_lineno is not None and node.end_lineno - node.lineno >= FUNCTION_LINES_MAX
    ]

    assert long == [], f"split what is longer than {FUNCTION_LINES_MAX} lines"


@pytest.mark.parametrize(("pattern", "instead"), NOT_IN_A_RUN.items())
def test_nothing_that_a_run_depends_on_reads_the_world_outside(pattern: str, instead: str) -> None:
    part_of_a_run = [
        path
        for path in PRODUCT
        if name_of(path).startswith(("domain/", "engine/")) and not _defines_hash(path, pattern)
    ]

    assert lines_that_match(part_of_a_run, pattern) == [], instead


def _defines_hash(path: Path, pattern: str) -> bool:
    """Values may define ``__hash__``: dictionaries use it, and nothing is stored or ordered by it."""
    return "hash" in pattern and "def __hash__" in path.read_text(encoding="utf-8")


def test_only_entry_points_write_to_the_terminal() -> None:
    elsewhere = [path for path in PRODUCT if name_of(path) not in MAY_WRITE]

    assert lines_that_match(elsewhere, r"(?<!\w)print\(|sys\.std(out|err)\b|typer\.echo") == [], (
        "return it and let scenarios/commands/answering.py write it"
    )
    assert lines_that_match(PRODUCT, r"(?<!\w)print\(") == [], "write to sys.stdout in an entry point"


def test_nothing_is_left_to_do() -> None:
    marks = "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK"))

    assert lines_that_match([*PRODUCT, *TESTS], rf"\b({marks})\b") == [], "do it, or write it into an issue"


def test_no_file_is_named_after_nothing() -> None:
    vague = {"utils", "helpers", "common", "misc", "manager", "base"}

    assert [name_of(path) for path in [*PRODUCT, *TESTS] if path.stem.lower() in vague] == [], "name the concept"


def test_tests_neither_sleep_nor_skip() -> None:
    assert lines_that_match(TESTS, r"\btime\.sleep\(|pytest\.(skip|xfail)\(|mark\.(skip|xfail)") == []


def test_no_folder_of_tests_hides_a_package() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []
    assert not {path.name for path in (ROOT / "tests").iterdir()} & set(PACKAGES)
    names = [path.name for path in TESTS if path.name.startswith("test_")]
    assert len(names) == len(set(names)), "test files are told apart by name alone"


def undocumented(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if tree.body and not ast.get_docstring(tree):
        yield f"{name_of(path)}: the module"
    holders: list[tuple[str, ast.Module | ast.ClassDef]] = [("", tree)]
    while holders:
        prefix, holder = holders.pop()
        for node in holder.body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or node.name.startswith("_"):
                continue
            overloads = [ast.unparse(decorator) for decorator in node.decorator_list]
            if not ast.get_docstring(node) and "overload" not in overloads:
                yield f"{name_of(path)}: {prefix}{node.name}"
            if isinstance(node, ast.ClassDef):
                holders.append((f"{node.name}.", node))


def test_everything_public_says_what_it_is() -> None:
    assert [name for path in PRODUCT for name in undocumented(path)] == []


def test_every_folder_is_introduced_and_the_readme_knows_them_all() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for folder in FOLDERS:
        assert (ROOT / folder / "README.md").is_file(), f"{folder}/README.md is missing"
        assert f"{folder}/" in readme, f"README.md does not mention {folder}/"
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert {line.partition("/")[0] for line in tracked if "/" in line} <= {*FOLDERS, ".ci"}, "the folders are fixed"


def modules_after(statement: str) -> set[str]:
    """Top-level modules that a fresh process has loaded after ``statement``."""
    done = subprocess.run(
        [sys.executable, "-c", f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def imports_of(package: str) -> str:
    modules = sorted(
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in (ROOT / package).rglob("*.py")
        if path.name != "__init__.py"
    )
    return "import " + ", ".join(modules)


def test_the_domain_loads_nothing_but_rules_and_mathematics() -> None:
    heavy = {"torch", "polars", "eventsourcing", "sqlite3", "sklearn", "scipy", "networkx", "typer", "rich", "engine"}

    assert modules_after(imports_of("domain")) & heavy == set(), "import it inside the function that needs it"


def test_the_command_starts_without_what_only_training_needs() -> None:
    heavy = {"torch", "polars", "pyarrow", "sklearn", "scipy", "networkx", "safetensors"}

    assert modules_after("import scenarios.cli") & heavy == set(), "import it inside the function that needs it"


def test_the_loop_loads_no_store() -> None:
    """The eventsourcing library patches ``dataclasses`` on import: only what opens a journal may load it."""
    assert (
        modules_after("import engine.session, engine.checkers, engine.trainers.recorded") & {"eventsourcing"} == set()
    )


def test_what_journals_hold_changes_only_with_a_version() -> None:
    assert shapes() == FILE.read_text(encoding="utf-8"), (
        "stored events changed shape: raise the event's VERSION, add a step to engine/journal/upcasts.py with a test, "
        "say so in CHANGELOG.md, then run `python -m tests.support.event_shapes`"
    )
