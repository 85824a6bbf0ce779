"""Rules of the project that nobody should have to remember."""

import ast
import re
import subprocess
import tomllib
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
    {"view"},
    {"cleanup"},
    {"exporting"},
    {"reporting", "reviewing"},
    {"drawing"},
    {"api"},
    {"commands"},
    {"cli"},
    {"__main__"},
)
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}
MODULES = sorted(PACKAGE.rglob("*.py"))


def part_of(module: str) -> str:
    """`healtheat.sources.yolo.source` → `sources`."""
    return module.split(".")[1] if "." in module else ""


def imports_of(file: Path) -> set[str]:
    """Modules of this project that the file imports, in functions too, but not for type checking alone."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            found.add(node.module or "")
            if node.module == "healtheat":
                found.update(f"healtheat.{alias.name}" for alias in node.names)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(file.read_text(encoding="utf-8")))
    return {name for name in found if name.split(".")[0] == "healtheat"}


@pytest.mark.parametrize("file", MODULES, ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_imports_point_left(file: Path) -> None:
    own = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own == "__init__":
        return
    assert own in RANK, f"{own} is new: give it a place in ORDER"
    for name in imports_of(file):
        part = part_of(name)
        if part in RANK and part != own:
            assert RANK[part] < RANK[own], f"{own} may not import {part}"


@pytest.mark.parametrize("file", MODULES, ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_files_are_short_and_explained(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.count("\n") <= 320, "split it"
    if file.name != "__main__.py":
        assert ast.get_docstring(ast.parse(text)), "says nothing about itself"


@pytest.mark.parametrize("file", MODULES, ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_library_neither_prints_nor_exits(file: Path) -> None:
    if file.relative_to(PACKAGE).parts[0] in ("commands", "cli.py", "__main__.py"):
        return
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) not in ("print", "sys.exit", "exit", "input"), file
        if isinstance(node, ast.Attribute):
            assert ast.unparse(node) != "sys.argv", file


def test_text_files_are_opened_with_their_encoding_named() -> None:
    for file in [*MODULES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
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
