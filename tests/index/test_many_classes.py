"""600 classes are 601 files of vectors; a process may hold 256 files open."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit of open files per process to set")
def test_600_classes_under_256_open_files(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.index.many_classes", str(tmp_path), "600"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["shards"] == 600
    assert found["embedded_again"] == 0
    assert found["rows"] >= 1200
    assert found["itself"] == [0, 1, 2]
    assert found["damage"] == []
