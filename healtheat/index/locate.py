"""Which index is meant: the one named, or the one built last under ./index; and where a new one goes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from healtheat.core.errors import Argument, BadIndex, InputError, UsageError
from healtheat.index.batches import name_after
from healtheat.index.manifest import MANIFEST_NAME, Manifest
from healtheat.index.store import Index
from healtheat.index.verify import VerifyReport, unlisted

INDEX_ROOT = Path("index")  # of the working directory

IndexLike = Index | str | os.PathLike[str] | None


def built_indexes(root: Path = INDEX_ROOT) -> list[Path]:
    """The folders of the indexes below `root`, the one built last comes last."""
    manifests = sorted(root.glob(f"*/{MANIFEST_NAME}"), key=lambda file: (file.stat().st_mtime_ns, file.name))
    return [manifest.parent for manifest in manifests]


def index_folder(index: IndexLike = None) -> Path:
    """The folder of `index`; where that is None, the index built last under ./index.

    Raises InputError if there is none.
    """
    if isinstance(index, Index):
        return index.path
    if index is None:
        built = built_indexes()
        if not built:
            raise InputError(
                f"no index under {INDEX_ROOT}; run `healtheat build DATA` first, or name one with ",
                Argument("index"),
            )
        return built[-1]
    if not isinstance(index, str | os.PathLike):
        raise UsageError(
            Argument("index"), f": expected a path or an opened Index, found {type(index).__name__}"
        )
    folder = Path(index)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; run `healtheat build DATA --index {folder}` first")
    return folder


@contextlib.contextmanager
def opened(index: IndexLike = None, *, verify: bool = True) -> Iterator[Index]:
    """`index` opened (see `index_folder`) while the block runs; an Index that is open already stays so.

    Raises InputError or BadIndex.
    """
    if isinstance(index, Index):
        yield index
        return
    with Index.open(index_folder(index), verify=verify) as own:
        yield own


def verify_folder(folder: Path) -> VerifyReport:
    """Whether the index in `folder` is what its build wrote, also where it is too damaged to be opened."""
    try:
        with Index.open(folder, verify=False) as index:
            found = index.verify()
    except BadIndex as error:
        found = list(dict.fromkeys((str(error), *_every_unlisted(folder))))
    return VerifyReport(folder, tuple(found))


def _every_unlisted(folder: Path) -> list[str]:
    try:
        return unlisted(folder, Manifest.read(folder / MANIFEST_NAME))
    except BadIndex:
        return []


def default_folder(data: Path, source_data: Path) -> Path:
    """./index/NAME for the data set `data`, NAME after its folder or file.

    `source_data` is what the source reads, as the manifest of an index notes it. Raises InputError if the
    index of another data set of that name is there.
    """
    folder = INDEX_ROOT / name_after(data)
    if (folder / MANIFEST_NAME).is_file():
        there = Manifest.read(folder / MANIFEST_NAME, older=True).source.data
        if there != source_data.absolute().as_posix():
            raise InputError(
                f"{folder} is the index of {there}; name another folder with ", Argument("index")
            )
    return folder
