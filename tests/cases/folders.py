"""The folders of ../shared/cases."""

from pathlib import Path

import pytest


def case(shared: Path, name: str) -> Path:
    """The data of one case; the test is skipped where it is absent."""
    folder = shared / "cases" / name / "data"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    return folder
