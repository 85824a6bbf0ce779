"""obj.data of a Darknet set: where its names and lists are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from healtheat.core.errors import InputError
from healtheat.core.files import Content, Unreadable, read_small
from healtheat.core.paths import is_file, normal
from healtheat.core.text import shown
from healtheat.sources.named.ids import read_names
from healtheat.sources.yolo.data_yaml import Split

MAX_BYTES = 2**20
SPLITS = {"train": "train", "valid": "val", "test": "test"}  # key → split


@dataclass(frozen=True, slots=True)
class ObjData:
    """What obj.data says; every file exists. `names`: class id → name."""

    path: Path
    content: Content
    names: dict[int, str]
    names_file: Path
    splits: tuple[Split, ...]


def load_obj_data(path: Path, names_file: Path | None = None) -> ObjData:
    """Read obj.data: lines `key = value`, of which `train`, `valid`, `test`, `names` and `classes` are used.

    Darknet counts paths from the folder in which it is started, which nothing tells: they are looked for from
    obj.data's own folder, there without their first folder (CVAT writes `data/train.txt`), then from the
    working folder. `names_file` stands in for `names`. Raises InputError "FILE:LINE: what; fix".
    """
    path = normal(path)
    try:
        content = read_small(path, MAX_BYTES)
        text = content.data.decode("utf-8-sig")
    except (Unreadable, UnicodeDecodeError) as error:
        what = error if isinstance(error, Unreadable) else "not UTF-8 text"
        raise InputError(f"{path}: {what}; give the obj.data of a Darknet data set") from None
    values: dict[str, tuple[str, int]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        key, equals, value = line.partition("=")
        if equals and value.strip() and not key.lstrip().startswith(("#", ";")):
            values.setdefault(key.strip(), (value.strip(), number))
    if names_file is None:
        names_file = _file(path, values, "names")
    names = read_names(names_file)
    if "classes" in values and values["classes"][0] != str(len(names)):
        said, number = values["classes"]
        what = f"'classes' is {shown(said)} but {names_file.name} has {len(names)}"
        raise InputError(f"{path}:{number}: {what}; correct the one that is wrong")
    splits = tuple(
        Split(split, _file(path, values, key), values[key][1] - 1)
        for key, split in SPLITS.items()
        if key in values
    )
    if not splits:
        raise InputError(f"{path}:1: no list of images; add 'train = train.txt'")
    return ObjData(path, content, names, names_file, splits)


def _file(path: Path, values: dict[str, tuple[str, int]], key: str) -> Path:
    if key not in values:
        raise InputError(f"{path}:1: '{key}' is missing; add '{key} = FILE'")
    text, number = values[key]
    parts = Path(text.replace("\\", "/")).parts
    if "\0" not in text:
        for place in (path.parent / text, path.parent.joinpath(*parts[1:]), Path(text)):
            if is_file(place):
                return normal(place)
    raise InputError(f"{path}:{number}: '{key} = {shown(text)}' not found; correct the path")
