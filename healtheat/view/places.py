"""Where every box lies on the map: worked out once an index, kept in its cache folder."""

from __future__ import annotations

import contextlib
import io

import numpy as np
from numpy.typing import NDArray

from healtheat.core.atomic import write_file
from healtheat.core.files import Unreadable, read_small
from healtheat.index import Index
from healtheat.index.cache import CACHE_FOLDER
from healtheat.index.manifest import build_id
from healtheat.view.projection import project

GRID = 1000  # places are whole numbers in [0, GRID], so that an area in the address is short


def places(index: Index, box_ids: NDArray[np.int64], *, keep: bool = True) -> NDArray[np.uint16]:
    """(n, 2) places of boxes in whole steps of [0, GRID], x to the right and y down.

    Taken from the cache if it belongs to this very build; else projected, and put there if `keep` is set. An
    index that cannot be written to is projected every time.
    """
    file = index.path / CACHE_FOLDER / f"map-{build_id(index.path)}.npy"
    with contextlib.suppress(Unreadable, ValueError, EOFError, MemoryError):
        data_kept = read_small(file, 8 * len(box_ids) + 4096, within=index.path).data
        kept = np.load(io.BytesIO(data_kept), allow_pickle=False)
        if kept.shape == (len(box_ids), 2) and kept.dtype == np.uint16 and kept.max(initial=0) <= GRID:
            return np.asarray(kept, np.uint16)
    steps = np.rint((project(index.vectors(box_ids)) + 1) * (GRID / 2)).clip(0, GRID)
    found: NDArray[np.uint16] = steps.astype(np.uint16)
    if not keep:
        return found
    data = io.BytesIO()
    np.save(data, found, allow_pickle=False)
    with contextlib.suppress(OSError):
        file.parent.mkdir(exist_ok=True)
        write_file(file, data.getvalue())
        for old in file.parent.glob("map-*.npy*"):  # of earlier builds, or half written
            if old != file:
                old.unlink()
    return found
