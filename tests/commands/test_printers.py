"""No name or value of a stranger reaches a terminal raw, and what programs read loses nothing."""

import ast
import contextlib
import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.table import Table

import healtheat
from healtheat.building.build import build
from healtheat.cli import run
from healtheat.commands import _terminal as terminal
from healtheat.sources import open_source
from tests.index.small_set import FakeEncoder, write_set

OBEYED = "\x1b[2J\x1b]0;title\x07\x9b31m\x85\u2028\u2029\x0b\x0c\x1c\x7f\u202e\u2066\u200b\r\n\t\b\0"
COMMANDS = Path(healtheat.__file__).parent / "commands"
PRINTERS = ("_terminal.py", "_quiet.py", "reference.py")  # reference.py prints no value of a data set

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.text(OBEYED, max_size=6)


class Screen(io.StringIO):
    """A standard output that is a terminal."""

    def isatty(self) -> bool:
        return True


def printed(printer: Callable[[str], None], text: str, out: io.StringIO) -> str:
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        printer(text)
    return out.getvalue()


def cells(text: str) -> None:
    table = Table("column", text)
    table.add_row(text, text)
    terminal.console().print(table)


def rows(text: str) -> pa.Table:
    return pa.table({"name": [text], "n": [1]})


LINES: dict[str, Callable[[str], None]] = {
    "echo": terminal.echo,
    "note": terminal.note,
    "console": lambda text: terminal.console().print(text),
    "print_json_line": lambda text: terminal.print_json_line({text: [text]}),
    "jsonl": lambda text: terminal.print_rows(rows(text), "jsonl"),
}
BLOCKS: dict[str, Callable[[str], None]] = {
    "table": cells,
    "print_json": lambda text: terminal.print_json({"name": text, text: 1}),
    "json": lambda text: terminal.print_rows(rows(text), "json"),
}


def unprintable(text: str) -> list[str]:
    return [line for line in text.split("\n") if not line.isprintable()]


@pytest.mark.parametrize("name", [*LINES, *BLOCKS])
@given(texts)
@example(OBEYED)
@settings(deadline=None, max_examples=60)
def test_nothing_that_a_terminal_obeys_is_printed(name: str, text: str) -> None:
    shown = printed({**LINES, **BLOCKS}[name], text, io.StringIO())
    assert not unprintable(shown)
    if name in LINES and name != "console":  # which wraps
        assert shown.count("\n") == 1


@given(texts, texts)
@example(OBEYED, "=1+1")
@settings(deadline=None, max_examples=60)
def test_a_csv_is_escaped_on_a_terminal_and_exact_elsewhere(name: str, other: str) -> None:
    table = pa.table({"name": [name, other]})

    def show(_: str) -> None:
        terminal.print_rows(table, "csv")

    on_screen = printed(show, "", Screen(newline=""))
    assert not unprintable(on_screen) and on_screen.count("\n") == 3
    in_a_file = printed(show, "", io.StringIO(newline=""))
    read = list(csv.DictReader(io.StringIO(in_a_file, newline=""), strict=True))
    assert [row["name"] for row in read] == [name, other]


values = st.recursive(
    texts | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(texts, inner)
)


@given(values)
@settings(deadline=None, max_examples=60)
def test_json_loses_nothing(value: Any) -> None:
    for printer in (terminal.print_json, terminal.print_json_line):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            printer(value)
        assert json.loads(out.getvalue()) == value


PAST_THE_PRINTERS = (
    *("print", "pprint", "typer.echo", "typer.secho", "click.echo", "rich.print", "Console", "Text"),
    *("sys.stdout.write", "sys.stderr.write", "json.dumps", "json.dump", "write_csv", "write_json"),
)


@pytest.mark.parametrize("path", sorted(COMMANDS.glob("*.py")), ids=lambda path: path.name)
def test_commands_print_by_the_printers_alone(path: Path) -> None:
    if path.name in PRINTERS:
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            given_to = [ast.unparse(argument) for argument in (*node.args, *(k.value for k in node.keywords))]
            where = f"{path.name}:{node.lineno}: use a printer of _terminal.py"
            assert called not in PAST_THE_PRINTERS, where
            assert not {"sys.stdout", "sys.stderr"} & {*given_to}, where


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data set whose class names hold what terminals obey, and its index."""
    folder = tmp_path_factory.mktemp("hostile names")
    data = write_set(folder / "set", images=24)
    text = data.read_text(encoding="utf-8")
    assert "'plain'" in text
    data.write_text(text.replace("'plain'", r'"pl\e[2Jain\u202e\x9b=1"'), encoding="utf-8")
    build(open_source(data), folder / "index", encoder=FakeEncoder())
    return folder


@pytest.mark.parametrize(
    "command",
    [
        "guard {set}",
        "guard {set} --format json",
        "trust --index {index}",
        "trust --index {index} --format json",
        "query --all --index {index}",
        "query --all --index {index} --format json",
        "selftest --index {index} --crops 0 --plantings 1 --kind flips",
        "diff {index} {set}",
        "similar {image} --line 1 --index {index} --encoder pill",
        "flag --index {index}",
        "problems --index {index}",
    ],
)
def test_commands_on_hostile_names(hostile: Path, command: str, capfd: pytest.CaptureFixture[str]) -> None:
    places = {"set": hostile / "set" / "data.yaml", "index": hostile / "index"}
    places["image"] = next((hostile / "set").rglob("*.png"))
    run([part.format_map(places) for part in command.split()])
    said = capfd.readouterr()
    assert said.out + said.err and not unprintable(said.out + said.err)


def test_a_message_of_a_stranger_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.note("healtheat: " + "/a" * 5000 + ": not there; move it back")
    said = capsys.readouterr().err
    assert len(said) <= terminal.MAX_NOTE + 1 and said.endswith("move it back\n")
