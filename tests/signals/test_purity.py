"""Signals are pure: they see samples alone, no index and no file."""

import ast
from pathlib import Path

import pytest

import healtheat.signals

SIGNAL_FILES = sorted(
    path
    for path in Path(healtheat.signals.__file__).parent.glob("*.py")
    if path.name not in ("__init__.py", "base.py", "samples.py")  # these make the samples, from an index
)
# modules that read an index or files; `listing` and `detector.predictions` are there for their types
READERS = ("healtheat.index", "healtheat.crops", "pathlib", "os", "io", "glob", "shutil", "PIL", "duckdb")
READING = {"open", "read_text", "read_bytes", "read_small", "read_csv", "read_labels", "read_classes"}
READING |= {"open_rule", "prediction_files", "iterdir", "rglob", "load", "fromfile", "memmap", "connect"}


def impurities(code: str) -> list[str]:
    """What of `code` could read an index or a file, at whatever depth, type checking included."""
    found = []
    for node in ast.walk(ast.parse(code)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found += [name for name in names if name.rpartition(".")[2] in READING]
        found += [name for name in names if f"{name}.".startswith(tuple(f"{r}." for r in READERS))]
        if isinstance(node, ast.Call):
            called = node.func
            name = called.id if isinstance(called, ast.Name) else getattr(called, "attr", "")
            found += [name] if name in READING else []
    return found


@pytest.mark.parametrize("file", SIGNAL_FILES, ids=lambda file: file.stem)
def test_no_signal_reads_the_index_or_a_file(file: Path) -> None:
    assert impurities(file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("from healtheat.index import Index", ["healtheat.index.Index"]),
        ("from healtheat.index.runs import last_settings", ["healtheat.index.runs.last_settings"]),
        ("def f():\n    import os.path", ["os.path"]),
        ("from healtheat.listing import open_rule", ["healtheat.listing.open_rule"]),
        ("def f(path):\n    return path.read_text()", ["read_text"]),
        ("with open('a') as file: pass", ["open"]),
        ("import ossify\nfrom healtheat.listing import Listing", []),
    ],
)
def test_what_counts_as_reading(code: str, found: list[str]) -> None:
    assert impurities(code) == found


def test_every_signal_is_looked_at() -> None:
    homes = {type(signal).__module__.rpartition(".")[2] for signal in healtheat.signals.SIGNALS}
    assert {*homes, "agreement"} <= {file.stem for file in SIGNAL_FILES}
