"""Fixtures shared by every test."""

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("HEALTHEAT_SHARED", Path(__file__).resolve().parents[2] / "shared"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the checkout; tests that need it are skipped where it is absent."""
    if not (SHARED / "data" / "pushin-pill" / "data.yaml").is_file():
        pytest.skip(f"real data not found at {SHARED} (set HEALTHEAT_SHARED)")
    return SHARED
