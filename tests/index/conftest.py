"""The small dataset and its index, as the tests of building know them."""

from tests.building.conftest import build_small, data, index_path

__all__ = ["build_small", "data", "index_path"]
