"""Small data sets written on the spot, and everything that a source says of one."""

from pathlib import Path

from healtheat.core.boxes import Problem, ProblemCode
from healtheat.sources import LabelFile, LabelledImage, Source


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
        assert all(type(problem.code) is ProblemCode for problem in self.problems)
        keys = [(r.path, int(line)) for r in self.images.values() for line in r.boxes.line]
        assert len(keys) == len(set(keys))

    @property
    def reasons(self) -> list[str]:
        return [str(problem) for problem in self.problems]

    @property
    def codes(self) -> list[ProblemCode]:
        return [problem.code for problem in self.problems]
