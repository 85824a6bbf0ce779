"""A folder to put small data sets into; their images are empty files, for no source opens an image."""

from pathlib import Path

import pytest

from tests.sources.reading import Tree


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)
