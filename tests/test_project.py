"""Rules of the project that nobody should have to remember."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "healtheat"
# Imports go up this list only; parts of one group do not import each other.
ORDER = (
    {"core"},
    {"sources"},
    {"crops"},
    {"embedding"},
    {"index"},
    {"listing"},
    {"signals"},
    {"findings"},
    {"building"},
    {"planting", "guarding"},
    {"vetting"},
    {"view"},
    {"cleanup"},
    {"exporting"},
    {"comparing", "reporting", "reviewing"},
    {"drawing"},
    {"api"},
    {"commands"},
    {"cli"},
    {"__main__"},
)
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}
MODULES = sorted(PACKAGE.rglob("*.py"))
PACKAGES = ("healtheat", "training", "benchmarks")


@cache
def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def part_of(module: str) -> str:
    """`healtheat.sources.yolo.source` → `sources`."""
    return module.split(".")[1] if "." in module else ""


def imports_of(file: Path, *, types_too: bool = False) -> set[str]:
    """Modules that the file imports, in functions too; with `types_too` also those for type checking alone.

    `from package import name` is an import of the module `package.name` if there is one, else of `package`.
    """
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING") and not types_too:
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                found.add(name if is_module(name) else str(node.module))
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(parsed(file))
    return {name for name in found if name.split(".")[0] in PACKAGES}


@cache
def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


@pytest.mark.parametrize("file", MODULES, ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_imports_point_left(file: Path) -> None:
    own = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own == "__init__":
        return
    assert own in RANK, f"{own} is new: give it a place in ORDER"
    for name in imports_of(file, types_too=True):
        part = part_of(name) if name.startswith("healtheat.") else ""
        if part in RANK and part != own:
            assert RANK[part] < RANK[own], f"{own} may not import {part}"


def module_name(file: Path) -> str:
    """`healtheat/sources/__init__.py` → `healtheat.sources`."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def module_graph(package: str) -> dict[str, set[str]]:
    """Module → modules of the package it imports: at the top, within functions, and for type checking."""
    files = {module_name(file): file for file in (ROOT / package).rglob("*.py")}
    return {name: (imports_of(file, types_too=True) & files.keys()) - {name} for name, file in files.items()}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_imports_itself_by_way_of_others(package: str) -> None:
    graph = module_graph(package)
    assert sum(map(len, graph.values())) > 5  # else nothing was looked at
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(f"a circle: {' → '.join(error.args[1])}") from None


TESTS = ROOT / "tests"
# Tests of no single part: the way in, the documents, and the project itself.
OF_THE_WHOLE = {
    "test_api.py",
    "test_cli.py",
    "test_cli_pushin.py",
    "test_contributing.py",
    "test_docs.py",
    "test_project.py",
}


def test_tests_mirror_the_package() -> None:
    """Who looks for the tests of `healtheat/listing` finds them in `tests/listing`."""
    files = sorted(TESTS.rglob("*.py"))
    # `cases` holds data sets of other people, `hostile` files of an enemy, both against the whole package
    for folder in {file.parent.relative_to(TESTS).as_posix() for file in files} - {".", "cases", "hostile"}:
        mirrored = (PACKAGE / folder, ROOT / folder)
        assert any(path.is_dir() for path in mirrored), f"tests/{folder}: what does it test?"
    loose = {file.name for file in TESTS.glob("test_*.py")}
    assert not loose - OF_THE_WHOLE, "to the folder of what they test"


def import_faults(tree: ast.AST, helpers: set[str]) -> Iterator[ast.AST]:
    """Where a test does not import by the full name (`from tests.made_index import …`), or edits sys.path."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            if {alias.name.split(".")[0] for alias in node.names} & helpers:
                yield node
        elif isinstance(node, ast.ImportFrom):
            if node.level or str(node.module).split(".")[0] in helpers:
                yield node
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in (
            "sys.path.append",
            "sys.path.insert",
            "sys.path.extend",
        ):
            yield node


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("from made_index import MadeIndex", True),
        ("import made_index", True),
        ("from .made_index import MadeIndex", True),
        ("sys.path.insert(0, 'tests')", True),
        ("from tests.made_index import MadeIndex", False),
        ("import json", False),
    ],
)
def test_import_faults_are_seen(code: str, found: bool) -> None:
    assert bool(list(import_faults(ast.parse(code), {"made_index"}))) is found


def test_tests_import_by_full_names() -> None:
    files = sorted(TESTS.rglob("*.py"))
    helpers = {file.stem for file in files}
    for file in files:
        for node in import_faults(parsed(file), helpers):
            raise AssertionError(f"{file.relative_to(ROOT)}: {ast.unparse(node)}")


def test_every_file_says_what_it_is_for() -> None:
    for file in MODULES:
        if file.name != "__main__.py":
            assert ast.get_docstring(parsed(file)), f"{file} says nothing about itself"


MAX_LINES = 80  # of a function, docstring included; comments above it are free
# Longer ones that are left; this list may only shrink.
LONG = {
    "commands/build.py:build",
    "commands/export.py:export",
    "commands/query.py:query",
}


def test_functions_are_short() -> None:
    long: set[str] = set()
    for file in MODULES:
        for node in ast.walk(parsed(file)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > MAX_LINES:
                    long.add(f"{file.relative_to(PACKAGE).as_posix()}:{node.name}")
    assert not long - LONG, f"longer than {MAX_LINES} lines: split them"
    assert not LONG - long, "short enough now: take them off the list"


def test_no_two_classes_share_a_name() -> None:
    """One word per thing: who reads a class's name need not ask which of two it is."""
    places: dict[str, list[str]] = {}
    for file in MODULES:
        for node in parsed(file).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(file.relative_to(PACKAGE).as_posix())
    assert len(places) > 50  # else nothing was looked at
    assert not {name: files for name, files in places.items() if len(files) > 1}


def test_no_module_but_sources_asks_for_a_format_by_name() -> None:
    """What may be done with a data set is told by its source (`edits`, `label_path`), not by its name."""
    for file in MODULES:
        if file.relative_to(PACKAGE).parts[0] == "sources":
            continue
        for node in ast.walk(parsed(file)):
            if isinstance(node, ast.Compare):
                texts = {n.value for n in ast.walk(node) if isinstance(n, ast.Constant)}
                assert not (".kind" in ast.unparse(node) and texts & {"yolo", "coco", "detector"}), (
                    f"{file}:{node.lineno}"
                )


PROSE = {"reason", "reasons", "abstain", "evidence", "withheld", "words"}  # written for people
READING = {
    "count",
    "endswith",
    "find",
    "index",
    "partition",
    "removeprefix",
    "removesuffix",
    "rfind",
    "rpartition",
    "rsplit",
    "split",
    "startswith",
}


# Readings that are left; this list may only shrink.
STILL_READ: set[str] = set()


def is_prose(node: ast.AST) -> bool:
    """Whether the expression is a sentence for people: a reason, or an exception or a problem as text."""
    if isinstance(node, ast.Attribute):
        return node.attr in PROSE
    if isinstance(node, ast.Name):
        return node.id in PROSE
    if isinstance(node, ast.Call):
        named = ast.unparse(node.func)
        if named == "str" and len(node.args) == 1 and not node.keywords:
            return isinstance(node.args[0], ast.Name) and node.args[0].id in ("error", "problem", "reason")
        return isinstance(node.func, ast.Attribute) and is_prose(node.func.value)
    return isinstance(node, ast.Subscript) and is_prose(node.value)


def prose_readings(tree: ast.AST) -> Iterator[ast.AST]:
    """Where meaning is taken out of a sentence: a part of it looked for, cut out or compared."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            for left, op, right in zip(sides, node.ops, sides[1:], strict=False):
                if isinstance(op, ast.In | ast.NotIn) and is_prose(right) and is_text(left):
                    yield node
                text = any(isinstance(side, ast.Constant) and side.value for side in (left, right))
                if isinstance(op, ast.Eq | ast.NotEq) and text and any(map(is_prose, (left, right))):
                    yield node
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            # split() without a separator only puts white space in order
            if node.func.attr in READING and node.args and is_prose(node.func.value):
                yield node
            if ast.unparse(node.func) in ("re.search", "re.match", "re.fullmatch") and any(
                map(is_prose, node.args)
            ):
                yield node


def is_text(node: ast.AST) -> bool:
    """Whether it may be a piece of text to look for (a number never is)."""
    return isinstance(node, ast.Name | ast.Attribute | ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("LEAK in self.reason", True),
        ("'withheld' in evidence", True),
        ("REPEATED not in problem.reason", True),
        ("problem.reason.split(':')[0]", True),
        ("str(error).removeprefix(str(path))", True),
        ("re.search('x', problem.reason)", True),
        ("reason == 'made up'", True),
        ("problem.code in BROKEN", False),
        ("reason != ''", False),
        ("' '.join(str(error).split())", False),
        ("name.split(':')", False),
    ],
)
def test_readings_of_prose_are_seen(code: str, found: bool) -> None:
    assert bool(list(prose_readings(ast.parse(code)))) is found


def test_no_meaning_is_read_out_of_sentences() -> None:
    found = {
        f"{file.relative_to(PACKAGE).as_posix()}: {ast.unparse(node)}"
        for file in MODULES
        for node in prose_readings(parsed(file))
    }
    assert not found - STILL_READ
    assert not STILL_READ - found, "no longer there: take it off the list"


@pytest.mark.parametrize("file", MODULES, ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_library_neither_prints_nor_exits(file: Path) -> None:
    if file.relative_to(PACKAGE).parts[0] in ("commands", "cli.py", "__main__.py"):
        return
    for node in ast.walk(parsed(file)):
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) not in ("print", "sys.exit", "exit", "input"), file
        if isinstance(node, ast.Attribute):
            assert ast.unparse(node) != "sys.argv", file


def test_text_files_are_opened_with_their_encoding_named() -> None:
    for file in [*MODULES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]:
        for node in ast.walk(parsed(file)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                named = {keyword.arg for keyword in node.keywords}
                if node.func.attr in ("read_text", "write_text"):
                    assert named & {"encoding", None} or node.args[1:], f"{file}:{node.lineno}"


def tracked() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if done.returncode:
        pytest.skip("no git checkout")
    return [
        ROOT / name for name in done.stdout.decode("utf-8").split("\0") if name and (ROOT / name).is_file()
    ]


def test_nothing_of_one_machine_is_in_the_tree() -> None:
    wrong = re.compile(r"/(?:work|root|home)/|file:/{3}|[a-z]:\\\\users", re.I)
    for file in tracked():
        if file.suffix in (
            ".py",
            ".md",
            ".toml",
            ".txt",
            ".yaml",
            ".yml",
            ".json",
            ".sh",
            ".html",
            ".js",
            ".css",
        ):
            if file == Path(__file__).resolve() or file.name == "LICENSE":
                continue
            found = wrong.search(file.read_text(encoding="utf-8"))
            assert not found, f"{file.relative_to(ROOT)}: {found and found.group()}"


def test_version_is_the_same_everywhere() -> None:
    from healtheat import __version__

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == __version__
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_every_dependency_has_bounds_and_a_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    seen: set[str] = set()
    extras = project["optional-dependencies"].values()
    for wanted in [*project["dependencies"], *(name for extra in extras for name in extra)]:
        name = re.split(r"[<>=\[]", wanted)[0]
        assert ">=" in wanted or name == "healtheat", wanted
        if name not in seen and name != "healtheat":
            line = next(line for line in text.splitlines() if f'"{wanted}"' in line)
            assert re.search(r"#\s*\w", line), f"{name}: why is it needed?"
        seen.add(name)


def test_core_install_has_no_torch() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert not [
        name for name in project["dependencies"] if re.match("torch|ultralytics|open_clip|timm", name)
    ]
