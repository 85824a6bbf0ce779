"""What a cleanup needs to know of a YOLO data set besides its index: lists, task, data.yaml."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from healtheat.core.files import read_whole
from healtheat.core.paths import is_file, is_folder, relative
from healtheat.sources import open_source
from healtheat.sources.yolo.data_yaml import MAX_YAML_BYTES
from healtheat.sources.yolo.line import PLAIN, LabelRules
from healtheat.sources.yolo.source import YoloSource

# Keys of data.yaml that are written anew; download is a command that would run.
_OURS = frozenset({"path", "train", "val", "validation", "test", "names", "nc", "download"})


@dataclass(frozen=True, slots=True)
class YoloSet:
    """`named`: split → its images as often as it names them. `keys` are those of data.yaml that are kept."""

    named: Mapping[str, Sequence[str]] = field(default_factory=dict)
    rules: LabelRules = PLAIN
    keys: Mapping[object, object] = field(default_factory=dict)
    lists: Mapping[str, Path] = field(default_factory=dict)  # of images, by their path in the manifest
    has_names: bool = False  # whether class names are known, so that ids beyond them cost an image


def read_set(data: Path, task: str | None) -> YoloSet:
    """Look at the data set `data` again, labels included; `task` is what it was built for.

    Raises InputError for a data.yaml or list that cannot be read.
    """
    if not is_file(data) and not is_folder(data):
        return YoloSet()
    source = open_source(data, task=task)
    if not isinstance(source, YoloSource):
        return YoloSet()
    members = source.members()
    keys: Mapping[object, object] = {}
    if data.suffix.lower() in (".yaml", ".yml"):
        given = yaml.safe_load(read_whole(data, MAX_YAML_BYTES).decode("utf-8-sig"))  # checked by the source
        keys = {key: value for key, value in given.items() if key not in _OURS}
    lists = {relative(path, source.root): path for path in source.lists}
    return YoloSet(members.named, source.rules(members), keys, lists, is_file(data))


def data_yaml(names: Mapping[int, str], keys: Mapping[object, object], splits: Sequence[str]) -> str:
    """The text of a data.yaml whose splits are lists beside it, `train.txt` and so on."""
    content: dict[object, object] = {split: f"{split}.txt" for split in splits}
    content["names"] = dict(names)  # sparse ids stay sparse
    return yaml.safe_dump({**content, **keys}, sort_keys=False, allow_unicode=True)
