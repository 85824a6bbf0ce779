"""What the docs say is true: examples run, links lead somewhere, the command reference is the commands."""

import contextlib
import doctest
import importlib
import io
import pkgutil
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import healtheat
from healtheat.cli import run
from healtheat.commands import COMMANDS
from healtheat.commands.reference import command_name, page
from healtheat.core.issues import ISSUES
from healtheat.findings.query import COLUMNS

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "data/README.md",
    ROOT / "index/README.md",
]
MODULES = [
    m.name for m in pkgutil.walk_packages(healtheat.__path__, "healtheat.") if not m.name.endswith("__main__")
]
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.M | re.S)
page_of = pytest.mark.parametrize("file", PAGES, ids=lambda file: file.relative_to(ROOT).as_posix())


def text_of(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def commands_of(file: Path) -> Iterator[tuple[str, str]]:
    """(command, output that the page shows) of every line with `$ ` in a console block."""
    for block in CONSOLE.findall(text_of(file)):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, _, output = part.partition("\n")
            yield command, output


@pytest.fixture(scope="session")
def beside_pills(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data set in `pills/`, as the pages assume; README.md builds its index."""
    folder = tmp_path_factory.mktemp("docs")
    shutil.copytree(built / "pills", folder / "pills")
    return folder


# README.md comes first in PAGES, so that its `healtheat build` has run before the others query.
@page_of
def test_console_examples_run(file: Path, beside_pills: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(beside_pills)
    monkeypatch.delenv("HEALTHEAT_INDEX", raising=False)
    for left in beside_pills.iterdir():  # what the page before wrote
        if left.name not in ("pills", "index"):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
    for command, shown in commands_of(file):
        words = shlex.split(command, comments=True)
        if words[0] != "healtheat":
            continue
        out = io.StringIO()
        to = words.index(">") if ">" in words else None
        with contextlib.redirect_stdout(out):
            assert run(words[1:to]) == 0, command
        if to is not None:
            Path(words[to + 1]).write_text(out.getvalue(), encoding="utf-8")
        check = doctest.OutputChecker()
        options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        assert not shown or check.check_output(shown, out.getvalue(), options), f"{command}\n{out.getvalue()}"


def test_readme_python_runs(beside_pills: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(beside_pills)
    blocks = re.findall(r"^```python\n(.*?)^```$", text_of(ROOT / "README.md"), re.M | re.S)
    assert blocks
    for block in blocks:
        with contextlib.redirect_stdout(io.StringIO()) as shown:
            exec(compile(block, "README.md", "exec"), {})
        assert "->" in shown.getvalue()
    assert Path("mislabels-from-python.csv").read_bytes().startswith(b"image,line,class_id,issue,score,")


def test_readme_has_the_main_job() -> None:
    commands = [command for command, _ in commands_of(ROOT / "README.md")]
    assert {"make demo", "make test"} <= set(commands)
    own = [command.split()[1] for command in commands if command.startswith("healtheat")]
    assert own[:2] == ["build", "query"]
    assert "export" in own


@pytest.mark.parametrize("module", MODULES)
def test_docstring_examples(module: str) -> None:
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        pytest.skip(f"needs an extra: {error}")
    assert doctest.testmod(found).failed == 0


def test_command_reference_is_up_to_date() -> None:
    text = text_of(ROOT / "docs/cli.md")
    assert page(text) == text, "run `make docs`"


def test_every_command_is_in_the_readme_or_reference() -> None:
    text = text_of(ROOT / "docs/cli.md")
    for command in COMMANDS:
        assert f"\n## healtheat {command_name(command)}\n" in text


@page_of
def test_links_lead_somewhere(file: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text_of(file)):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (file.parent / target).exists(), f"{file.name}: {target}"


def test_every_page_is_listed() -> None:
    listed = set(re.findall(r"\]\(([^)#\s]+)\)", text_of(ROOT / "docs/index.md")))
    for file in sorted((ROOT / "docs").glob("*.md")):
        assert file.name in listed | {"index.md"}, f"docs/index.md does not mention {file.name}"


def test_columns_and_issues_are_explained() -> None:
    cleanup, scores = text_of(ROOT / "docs/cleanup.md"), text_of(ROOT / "docs/scores.md")
    for column in COLUMNS:
        assert f"`{column}`" in cleanup, column
    for issue in ISSUES:
        assert f"`{issue}`" in scores, issue


def test_public_api_is_what_it_says() -> None:
    for name in healtheat.__all__:
        assert getattr(healtheat, name).__doc__, name
    assert set(healtheat.__all__) <= set(dir(healtheat))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = healtheat.nonsense
