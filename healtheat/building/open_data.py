"""What a build starts from: the source that was named, and the folder its index goes to."""

from __future__ import annotations

from pathlib import Path

from healtheat.core.errors import Argument, InputError
from healtheat.core.paths import check_name
from healtheat.index.cache import CACHE_FOLDER
from healtheat.index.locate import default_folder
from healtheat.sources import DetectorSettings, open_source
from healtheat.sources.base import Source


def check_conf(weights: Path | None, conf: float | None) -> None:
    """Raises InputError where a confidence is asked of boxes that no detector gives."""
    if weights is None and conf is not None:
        raise InputError(Argument("conf"), " is of a detector's boxes; give it with ", Argument("weights"))


def open_data(
    data: Path,
    *,
    index: Path | None = None,
    images: Path | None = None,
    weights: Path | None = None,
    conf: float | None = None,
    task: str | None = None,
    names: Path | None = None,
) -> tuple[Source, Path]:
    """The source of `data` and the folder of its index, ./index/NAME unless `index` is given.

    With `weights` (of a YOLO detector) `data` is a folder of images and boxes of at least `conf` (0.25)
    become the labels. `task` is what a YOLO data set is labelled for, `names` the file of class names for
    formats that know classes by name. Raises InputError.
    """
    check_name(data)
    check_conf(weights, conf)
    if weights is None:
        source = open_source(data, images=images, task=task, names=names)
        return source, index or default_folder(data, source.data)
    folder = index or default_folder(data, data)
    scratch = folder / CACHE_FOLDER  # the detector may write here and nowhere else
    settings = DetectorSettings() if conf is None else DetectorSettings(conf=conf)
    source = open_source(
        data, images=images, weights=weights, detector=settings, scratch=scratch, task=task, names=names
    )
    return source, folder
