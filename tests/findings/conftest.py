"""Fixtures of other tests that these use too."""

from tests.building.conftest import build_small, data, index_path

__all__ = ["build_small", "data", "index_path"]
