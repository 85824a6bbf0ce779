"""The batches that an index took in after it was built. Each may be of another kind, under another root."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from healtheat.core.errors import Argument, BadIndex, InputError
from healtheat.core.paths import relative

if TYPE_CHECKING:
    import pyarrow as pa

    from healtheat.index.store import Index

MAX_NAME = 100
_NAME = re.compile(r"[\w][\w.\-]*")


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch. `kind`, `edits`, `root` and `data` are as in the manifest's `source`.

    `left_out` counts boxes of its label files that the index does not hold.
    """

    batch_id: int
    name: str
    added_at: str
    kind: str
    edits: str
    root: str
    data: str
    images: int
    boxes: int
    left_out: int


def batches_of(index: Index) -> list[Batch]:
    """The batches of `index` in the order in which they were added. Raises BadIndex."""
    rows = batch_rows(index).to_pylist()
    ids = [row["batch_id"] for row in rows]
    if ids != list(range(1, len(rows) + 1)) or any(None in row.values() for row in rows):
        raise BadIndex(f"{index.path}: table batches: expected whole rows numbered from 1; build it again")
    if {str(batch_id) for batch_id in ids} != index.manifest.batch_files.keys():
        raise BadIndex(f"{index.path}: manifest and table batches disagree; build it again")
    return [Batch(**row) for row in rows]


def batch_rows(index: Index) -> pa.Table:
    """The same as a table, with the columns of `batches` in the catalog."""
    return index.sql("SELECT * FROM batches ORDER BY batch_id")


def batch_named(index: Index, name: str) -> Batch:
    """The batch called `name`. Raises InputError that lists those there are."""
    batches = batches_of(index)
    for batch in batches:
        if batch.name == name:
            return batch
    there = f"it has {names_of(batches)}" if batches else "nothing was added to it since it was built"
    raise InputError(f"{index.path}: no batch {name!r}; {there}")


def names_of(batches: Sequence[Batch]) -> str:
    """The names for a message: all of a few, the first of many."""
    shown = ", ".join(batch.name for batch in batches[:5])
    more = f" and {len(batches) - 5} more" if len(batches) > 5 else ""
    return f"the batch{'es' if len(batches) > 1 else ''} {shown}{more}"


def batch_name(name: str | None, data: Path) -> str:
    """`name`, or one after the folder or file `data`. Raises InputError for one that is hard to type."""
    if name is None:
        name = name_after(data)
    if not _NAME.fullmatch(name) or len(name) > MAX_NAME:
        raise InputError(
            Argument("name"), f" {name!r}: give letters, digits, '.', '-' and '_', at most {MAX_NAME}"
        )
    return name


def name_after(data: Path) -> str:
    """The name of the data set at `data`, fit for a folder."""
    data = data.absolute()
    own = data.name if data.is_dir() else data.parent.name if data.stem == "data" else data.stem
    return re.sub(r"[^\w.\-]+", "_", own).strip("._") or "data"


def path_in(index_root: Path, root: Path, path: str) -> str:
    """`path` of a data set at `root`, as an index at `index_root` names it: relative to that, or absolute."""
    return relative(root / path, index_root) if path else ""
