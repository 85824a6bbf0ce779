"""Class ids where labels know classes by name: of a file of names, as the labels list them, or sorted."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from healtheat.core.errors import InputError
from healtheat.core.files import Unreadable, read_small
from healtheat.core.text import is_unicode, shown
from healtheat.sources.yolo.data_yaml import load_names

MAX_NAMES_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class ClassIds:
    """`names`: class id → name exactly as written; `told_by` says in words where the ids come from."""

    names: Mapping[int, str]
    told_by: str

    def lookup(self) -> dict[str, tuple[int, ...]]:
        """Text that a tool may have for a class → its ids: its name, or what a hand-off calls it."""
        found: dict[str, set[int]] = {}
        for texts in (self.names, {i: n.strip() for i, n in self.names.items()}, unique_labels(self.names)):
            more: defaultdict[str, set[int]] = defaultdict(set)
            for ident, text in texts.items():
                more[text].add(ident)
            found = {**more, **found}  # what is written exactly so comes first
        return {text: tuple(sorted(ids)) for text, ids in found.items()}


def choose_ids(
    labels: Iterable[str], names_file: Path | None, declared: Mapping[int, str] | None, by: str = ""
) -> ClassIds:
    """The ids of all classes: those of `names_file`, else as `declared` by the files, else sorted names.

    `labels` are all names in use. Sorted names (by code point, from 0) are the same from run to run, but
    change when a class is added: a file of names keeps them. Raises InputError for a bad `names_file`.
    """
    if names_file is not None:
        return ClassIds(read_names(names_file), f"the names of {names_file.name}")
    if declared:
        return ClassIds(dict(declared), f"the labels of {by}")
    return ClassIds(dict(enumerate(sorted(set(labels)))), "the class names in sorted order")


def read_names(path: Path) -> dict[int, str]:
    """Class id → name: of a data.yaml (ids may be sparse), else one name a line, from 0.

    A byte-order mark is no part of the first name, line ends (`\\r\\n` too) of none. Raises InputError.
    """
    if path.suffix.lower() in (".yaml", ".yml"):
        return load_names(path)
    try:
        text = read_small(path, MAX_NAMES_BYTES).data.decode("utf-8-sig")
    except Unreadable as error:
        raise InputError(f"{path}: {error}; give a text file with one class name a line") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not UTF-8 text; save the file as UTF-8, one class name a line") from None
    lines = text.rstrip().replace("\r\n", "\n").split("\n")
    for number, line in enumerate(lines, 1):
        if not line.strip() or not line.isprintable() or not is_unicode(line):
            what = f"{shown(line)!r} is no name" if line.strip() else "the line is empty"
            raise InputError(f"{path}:{number}: {what}; write one class name a line")
    return dict(enumerate(lines))


def unique_labels(names: Mapping[int, str]) -> dict[int, str]:
    """A text for each class id: its name where no other class has it, else the name with the id.

    Tools that know classes by name would merge two classes of one name.

    >>> unique_labels({0: "advil", 3: "advil", 7: "", 9: "정"})
    {0: 'advil (0)', 3: 'advil (3)', 7: '(7)', 9: '정'}
    """
    often = Counter(name.strip() for name in names.values())
    taken = {name.strip() for name in names.values() if often[name.strip()] == 1}
    out: dict[int, str] = {}
    for class_id, name in names.items():
        text = name.strip()
        if not text or often[text] > 1:
            text = f"{text} ({class_id})".strip()
            while text in taken:  # a class that is really called so
                text += f" ({class_id})"
            taken.add(text)
        out[class_id] = text
    return out
