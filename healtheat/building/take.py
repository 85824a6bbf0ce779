"""`add` as one call: what the user names, a data set or an index, as a source for a batch."""

from __future__ import annotations

from pathlib import Path

from healtheat.building.append import AddReport, add
from healtheat.building.from_index import IndexSource
from healtheat.building.open_data import open_data
from healtheat.core.errors import Argument, InputError
from healtheat.core.progress import Progress, silent
from healtheat.index import Index
from healtheat.index.again import Again
from healtheat.index.batches import name_after
from healtheat.index.manifest import MANIFEST_NAME


def take(
    new: Path,
    index_dir: Path,
    *,
    name: str | None = None,
    accepted_only: bool = False,
    weights: Path | None = None,
    conf: float | None = None,
    images: Path | None = None,
    task: str | None = None,
    names: Path | None = None,
    again: Again | None = None,
    dry_run: bool = False,
    threads: int | None = None,
    progress: Progress = silent,
) -> AddReport:
    """Take the data set or index `new` into the index in `index_dir`; see `add` and `open_data`.

    Raises InputError for options that mean nothing for an index, or `accepted_only` for anything else.
    """
    if not (new / MANIFEST_NAME).is_file():
        if accepted_only:
            raise InputError(
                f"{new}: is no index, so nobody judged its boxes; vet it first, or leave out ",
                Argument("accepted_only", True),
            )
        source, _ = open_data(
            new, index=index_dir, images=images, weights=weights, conf=conf, task=task, names=names
        )
        return add(
            source, index_dir, name=name, again=again, dry_run=dry_run, threads=threads, progress=progress
        )
    for option, value in {"weights": weights, "images": images, "task": task, "names": names}.items():
        if value is not None:
            raise InputError(Argument(option), f": {new} is an index, which says that itself")
    if index_dir.exists() and new.resolve() == index_dir.resolve():
        raise InputError(f"{new}: an index cannot be added to itself")
    with Index.open(new) as opened:
        source = IndexSource(opened, accepted_only=accepted_only)
        name = name_after(new) if name is None else name
        return add(
            source, index_dir, name=name, again=again, dry_run=dry_run, threads=threads, progress=progress
        )
