"""Small data sets written on the spot; the photos are empty files, for no source opens a photo."""

from pathlib import Path

import pytest
from hypothesis import settings

from healtheat.core.boxes import Problem
from healtheat.sources import LabelFile, LabelledImage, Source

# No timed assertion: a busy machine is no failure.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


class Tree:
    """A folder that files are put into by relative path."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, path: str, content: str | bytes = b"") -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file


class Read:
    """Everything one run of a source gave, by kind."""

    def __init__(self, source: Source) -> None:
        records = list(source.read())
        self.images = {r.path: r for r in records if isinstance(r, LabelledImage)}
        self.files = {r.path: r for r in records if isinstance(r, LabelFile)}
        self.problems = [r for r in records if isinstance(r, Problem)]
        assert len(records) == len(self.images) + len(self.files) + len(self.problems)
        keys = [(r.path, int(line)) for r in self.images.values() for line in r.boxes.line]
        assert len(keys) == len(set(keys))

    @property
    def reasons(self) -> list[str]:
        return [str(problem) for problem in self.problems]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)
