"""A folder to put small sets of our own into."""

from pathlib import Path

import pytest

from tests.sources.reading import Tree


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)
