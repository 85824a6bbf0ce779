"""The examples of CONTRIBUTING.md, added to a copy of the package, run with the tests that were there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^```(python|diff)\n(.*?)^```$", re.M | re.S)
# Heading → the tests that were there and must take the addition as it is, and which of them are about it.
CONTRACTS = {
    "A signal": ("tests/signals/test_signals_contract.py", "dark"),
    "An export format": ("tests/exporting/test_formats_contract.py", "checklist"),
    "A label format": ("tests/sources/test_open.py", "csv_file or test_open"),
}


def blocks(heading: str) -> list[tuple[str, str]]:
    """(language, text) of every code block below the heading."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = re.split(r"^## ", text, flags=re.M)
    (own,) = [part for part in section if part.startswith(f"{heading}\n")]
    return BLOCK.findall(own)


def patched(text: str, changes: str) -> str:
    """`text` with the passages of a diff without line numbers; `...` stands between two passages."""
    for passage in changes.split("...\n"):
        lines = passage.splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if line[0] in " -")
        after = "".join(line[1:] for line in lines if line[0] in " +")
        assert text.count(before) == 1, f"not there, or more than once:\n{before}"
        text = text.replace(before, after)
    return text


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of the repository without networks, which no example needs."""
    left_out = shutil.ignore_patterns("__pycache__", "*.onnx", "*.safetensors", "*.zip")
    for name in ("healtheat", "tests", "benchmarks"):
        shutil.copytree(ROOT / name, tmp_path / "clone" / name, ignore=left_out)
    shutil.copy(ROOT / "pyproject.toml", tmp_path / "clone")
    return tmp_path / "clone"


@pytest.mark.slow
@pytest.mark.parametrize("heading", CONTRACTS)
def test_an_example_is_one_file_and_one_tuple(heading: str, clone: Path) -> None:
    new: list[str] = []
    changed: list[str] = []
    for language, text in blocks(heading):
        first, _, rest = text.partition("\n")
        name = first.removeprefix("# ").removeprefix("--- ")
        file = clone / name
        if language == "diff":
            file.write_text(patched(file.read_text(encoding="utf-8"), rest), encoding="utf-8")
            changed.append(name)
        else:
            assert not file.exists(), name
            file.write_text(rest, encoding="utf-8")
            new.append(name)
    assert [name.split("/")[0] for name in new] == ["healtheat", "tests"] and len(changed) == 1
    for check in (["check"], ["format", "--check"]):
        ruff = [sys.executable, "-m", "ruff", *check, "--no-cache", *new, *changed]
        done = subprocess.run(ruff, cwd=clone, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    contract, about_it = CONTRACTS[heading]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", about_it, new[1], contract],
        cwd=clone,
        env={**os.environ, "PYTHONPATH": str(clone), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
