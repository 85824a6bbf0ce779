"""data.yaml of a YOLO data set: class names and where the splits are, or one clear error with its line."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml

from healtheat.core.boxes import MAX_CLASS_ID, Problem, ProblemCode
from healtheat.core.errors import InputError
from healtheat.core.files import Content, Unreadable, read_small
from healtheat.core.paths import in_other_form, is_file, is_folder, normal, relative
from healtheat.core.text import is_unicode, shown

MAX_YAML_BYTES = 2**20  # tens of thousands of classes; parsing needs some hundred times as much
MAX_DEPTH = 20
MAX_CLASSES = 2**20
MAX_REPEATS = 100  # of one folder or list in one split; the trainer reads each repeat anew
SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Split:
    """One folder of images or one `.txt` list of them. `name` None: told by the folder an image lies in.

    `line` is the 0-based line of data.yaml that names it.
    """

    name: str | None
    path: Path
    line: int | None = None


@dataclass(frozen=True, slots=True)
class DataYaml:
    """What data.yaml says. `names` may be sparse; every split's path exists.

    `keypoints` is `kpt_shape`: the number of keypoints of an object, and of values of each (2 or 3).
    """

    path: Path
    root: Path
    names: dict[int, str]
    splits: tuple[Split, ...]
    content: Content
    keypoints: tuple[int, int] | None = None
    problems: tuple[Problem, ...] = ()


def load_data_yaml(path: Path) -> DataYaml:
    """Read and check data.yaml.

    `path:` is relative to the file's own folder, else to the working folder; it is a problem where the
    trainer, started here, would find other images. Splits are relative to it, and a split `../x` that is
    not there is looked for at `x` (Roboflow's files, as Ultralytics reads them); a `test` that is nowhere is
    a problem only. Names are the text as written, never YAML's idea of it (`no`, `1.50`). Raises InputError
    "FILE:LINE: what; fix".
    """
    path = normal(path)
    try:
        content = read_small(path, MAX_YAML_BYTES)
    except Unreadable as error:
        raise InputError(f"{path}: {error}; give the data.yaml of a YOLO data set") from None
    return _Reading(path, _compose(path, content.data)).read(content)


def load_names(path: Path) -> dict[int, str]:
    """Class id → name of the data.yaml `path`; what else it names need not be there. Raises InputError."""
    path = normal(path)
    try:
        content = read_small(path, MAX_YAML_BYTES)
    except Unreadable as error:
        raise InputError(f"{path}: {error}; give the data.yaml of a YOLO data set") from None
    return _Reading(path, _compose(path, content.data)).names()


class _Loader(yaml.SafeLoader):
    """Refuses aliases (a few lines of them can stand for gigabytes) and deep nesting."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        mark: Any = event.start_mark
        if isinstance(event, yaml.AliasEvent):
            raise yaml.MarkedYAMLError(
                None, None, "aliases (*name) are not allowed here; write the value out", mark
            )
        if self.depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(None, None, "nested too deeply", mark)
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


def _compose(path: Path, data: bytes) -> yaml.Node | None:
    try:
        loader = _Loader(data)
        try:
            return loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        # "could not find expected ':'" is noticed lines later than the text that lacks it.
        key = error.context == "while scanning a simple key"
        mark = error.context_mark if key else error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise InputError(
            f"{path}:{line}: not valid YAML: {error.problem or error.context}; "
            "keep only the lines 'key: value' of data.yaml, and remove what does not belong to it"
        ) from None
    except yaml.reader.ReaderError as error:
        line = data[: error.position].count(b"\n") + 1
        raise InputError(f"{path}:{line}: not text: {error.reason}; save the file as UTF-8") from None
    except (RecursionError, ValueError, UnicodeError):
        raise InputError(f"{path}:1: not valid YAML; give the data.yaml of a YOLO data set") from None


@dataclass(frozen=True, slots=True)
class _Reading:
    path: Path
    node: yaml.Node | None

    def names(self) -> dict[int, str]:
        return self._names(self._members(self.node, "data.yaml"))

    def read(self, content: Content) -> DataYaml:
        members = self._members(self.node, "data.yaml")
        names = self._names(members)
        self._check_count(members, len(names))
        problems: list[Problem] = []
        root = self._root(members, problems)
        splits = tuple(self._splits(members, root, problems))
        if not splits:
            raise InputError(
                f"{self.path}:1: no split is given; add 'train: images/train' (a folder or a .txt list)"
            )
        keypoints = self._keypoints(members, root, problems)
        return DataYaml(self.path, root, names, splits, content, keypoints, tuple(dict.fromkeys(problems)))

    def _fail(self, node: yaml.Node, what: str) -> NoReturn:
        raise InputError(f"{self.path}:{node.start_mark.line + 1}: {what}")

    def _members(self, node: yaml.Node | None, what: str) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """Key text → (key, value). A key given twice is an error: YAML readers would silently take one."""
        if node is None:
            raise InputError(f"{self.path}:1: the file is empty; data.yaml needs 'names' and 'train'")
        if not isinstance(node, yaml.MappingNode):
            self._fail(node, f"{what} must be 'key: value' lines; see docs/formats.md")
        members: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._fail(key, f"a key of {what} is a list or mapping; write 'key: value'")
            if key.value in members:
                first = members[key.value][0].start_mark.line + 1
                self._fail(key, f"{what} has '{shown(key.value)}' twice, first on line {first}; keep one")
            members[key.value] = (key, value)
        return members

    def _names(self, members: dict[str, tuple[yaml.Node, yaml.Node]]) -> dict[int, str]:
        if "names" not in members or _is_null(members["names"][1]):
            if count := self._count(members):
                return {i: f"class_{i}" for i in range(count)}  # as Ultralytics names them
            raise InputError(f"{self.path}:1: 'names' is missing; add the class names as 'id: name' lines")
        key, node = members["names"]
        names: dict[int, str] = {}
        if isinstance(node, yaml.SequenceNode):
            names = {i: self._name(value, i) for i, value in enumerate(node.value)}
        elif isinstance(node, yaml.MappingNode):
            for ident, value in self._members(node, "names").values():
                number = self._ident(ident)
                names[number] = self._name(value, number)
        else:
            self._fail(node, "'names' must be a list or 'id: name' lines")
        if not names:
            self._fail(key, "'names' is empty; add the class names as 'id: name' lines")
        return names

    def _ident(self, key: yaml.Node) -> int:
        text: str = key.value
        plain = text.isascii() and text.isdigit() and (text == "0" or not text.startswith("0"))
        if key.tag != "tag:yaml.org,2002:int" or not plain or int(text[:11]) > MAX_CLASS_ID:
            fix = (
                f"write {text} without quotes"
                if plain
                else "write an integer, without quotes or leading zeros"
            )
            self._fail(key, f"class id {shown(text)!r} is not an integer from 0 to {MAX_CLASS_ID}; {fix}")
        return int(text)

    def _name(self, node: yaml.Node, number: int) -> str:
        if not isinstance(node, yaml.ScalarNode) or node.value == "" or not is_unicode(node.value):
            self._fail(node, f"the name of class {number} is no text; write '{number}: its name'")
        return str(node.value)

    def _count(self, members: dict[str, tuple[yaml.Node, yaml.Node]]) -> int | None:
        """`nc`, where it is given."""
        if "nc" not in members or _is_null(members["nc"][1]):
            return None
        node = members["nc"][1]
        if not isinstance(node, yaml.ScalarNode) or not node.value.isascii() or not node.value.isdigit():
            self._fail(node, "'nc' is not an integer; write the number of classes or remove the line")
        text = node.value.lstrip("0") or "0"
        if len(text) > len(str(MAX_CLASSES)) or int(text) > MAX_CLASSES:
            self._fail(node, f"'nc' is {shown(node.value)}, more than {MAX_CLASSES}; correct it")
        return int(text)

    def _check_count(self, members: dict[str, tuple[yaml.Node, yaml.Node]], count: int) -> None:
        if (told := self._count(members)) is not None and told != count:
            node = members["nc"][1]
            self._fail(
                node, f"'nc' is {shown(node.value)} but 'names' has {count}; correct the one that is wrong"
            )

    def _keypoints(
        self, members: dict[str, tuple[yaml.Node, yaml.Node]], root: Path, problems: list[Problem]
    ) -> tuple[int, int] | None:
        """`kpt_shape`. Where it is not two numbers, Ultralytics reads nothing; 0 keypoints are no pose."""
        if "kpt_shape" not in members:
            return None
        node = members["kpt_shape"][1]
        parts = node.value if isinstance(node, yaml.SequenceNode) else []
        texts = [part.value for part in parts if _is_plain_int(part)]
        if len(texts) != 2 or len(parts) != 2 or (int(texts[0]) and texts[1] not in ("2", "3")):
            self._fail(node, "'kpt_shape' is not [number of keypoints, 2 or 3]; correct or remove the line")
        if int(texts[0]):
            return int(texts[0]), int(texts[1])
        reason = (
            "'kpt_shape' says that objects have no keypoints; YOLO passes over it, and refuses it for pose"
        )
        file = relative(self.path, root)
        problems.append(
            Problem(ProblemCode.BAD_KEY, file, node.start_mark.line, f"{reason}; remove the line")
        )
        return None

    def _root(self, members: dict[str, tuple[yaml.Node, yaml.Node]], problems: list[Problem]) -> Path:
        home = self.path.parent
        if "path" not in members or _is_null(node := members["path"][1]) or node.value == "":
            return home
        text = self._text(node, "path")
        places = [normal(home / text), normal(Path(text))]
        for place in places:
            if is_folder(place):
                started = Path(text)
                if is_folder(started) and not place.samefile(started) and _has_split(started, members):
                    problems.append(self._elsewhere(node, place, home))
                return place
        tried = shown(" and ".join(dict.fromkeys(map(str, places))), 600)
        more = "" if Path(text).is_absolute() else "; Ultralytics' datasets_dir is not searched"
        self._fail(
            node,
            f"folder of 'path: {shown(text)}' not found (tried {tried}{more}); correct or remove the line",
        )

    def _elsewhere(self, node: yaml.Node, root: Path, home: Path) -> Problem:
        """The trainer, started where we are, would train on another folder than `root` without a word."""
        fix = "remove the line" if root == home else "write the whole path"
        reason = (
            f"'path: {shown(node.value)}' is read from the folder of this file; YOLO counts it from the "
            f"folder that training is started in, and so finds other images now; {fix}, or start training in "
            "the folder of this file"
        )
        return Problem(ProblemCode.UNFOUND_PATH, relative(self.path, root), node.start_mark.line, reason)

    def _splits(
        self, members: dict[str, tuple[yaml.Node, yaml.Node]], root: Path, problems: list[Problem]
    ) -> Iterator[Split]:
        for name in SPLITS:
            # Ultralytics reads 'validation' where 'val' is missing.
            key = "validation" if name == "val" and "val" not in members else name
            if key not in members or _is_null(members[key][1]):
                continue
            node = members[key][1]
            often: Counter[str] = Counter()
            for entry in node.value if isinstance(node, yaml.SequenceNode) else [node]:
                place, line = self._place(entry, key, root, problems), entry.start_mark.line
                if place is None:
                    continue
                often[real := os.path.realpath(place)] += 1
                if often[real] > MAX_REPEATS:
                    self._fail(
                        entry,
                        f"'{key}: {shown(entry.value)}' is given more than {MAX_REPEATS} times; keep one",
                    )
                yield Split(name, place, line)

    def _place(self, node: yaml.Node, key: str, root: Path, problems: list[Problem]) -> Path | None:
        text = self._text(node, key)
        tries = [root / text, *([root / text[3:]] if text.startswith("../") else [])]
        home = relative(self.path, root)
        for place in map(normal, tries):
            if is_folder(place) or (is_file(place) and place.suffix.lower() == ".txt"):
                return place
            if is_file(place):
                lost = _lost_link(place)
                self._fail(
                    node, f"'{key}: {shown(text)}' is neither a folder nor a .txt list of images{lost}"
                )
        for place in map(normal, tries):
            if (other := in_other_form(place)) is not None:
                reason = (
                    f"'{key}: {shown(text)}' is read as the name that looks like it: one of the two is "
                    "composed (NFC), the other decomposed (NFD), and YOLO finds it on a Mac only; write both "
                    "alike"
                )
                problems.append(Problem(ProblemCode.UNFOUND_PATH, home, node.start_mark.line, reason))
                return other
        fix = "write / instead of \\" if "\\" in text else "correct the path or remove the line"
        tried = shown(str(normal(tries[0])), 300)
        if key == "test":  # training needs none, and Roboflow's files name one that is not there
            reason = f"'{key}: {shown(text)}' not found (tried {tried}); training does without"
            problems.append(Problem(ProblemCode.UNFOUND_PATH, home, node.start_mark.line, reason))
            return None
        self._fail(node, f"'{key}: {shown(text)}' not found (tried {tried}); {fix}")

    def _text(self, node: yaml.Node, key: str) -> str:
        if not isinstance(node, yaml.ScalarNode) or not node.value.strip():
            self._fail(node, f"'{key}' is no path; write '{key}: folder'")
        if "\0" in node.value or not is_unicode(node.value):
            self._fail(node, f"'{key}' holds characters that no path can have")
        return str(node.value)


def _lost_link(file: Path) -> str:
    """What to do about a file that holds a path alone: a link, copied by a tool that knows none."""
    try:
        text = read_small(file, 4096).data.decode("utf-8").strip()
    except (Unreadable, UnicodeDecodeError):
        return ""
    if not text or len(text.splitlines()) != 1 or not is_folder(normal(file.parent / text)):
        return ""
    return f"; it holds a path, as a link does that was copied as a file: write {shown(text, 300)} instead"


def _is_plain_int(node: yaml.Node) -> bool:
    """Whether the node is an integer of up to 5 digits, to YAML too (017 is 15 there, and '17' is text)."""
    text = node.value if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:int" else ""
    return text.isascii() and text.isdigit() and len(text) < 6 and (text == "0" or text[0] != "0")


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"


def _has_split(root: Path, members: dict[str, tuple[yaml.Node, yaml.Node]]) -> bool:
    """Whether any folder or list of images that data.yaml names lies below `root`."""
    values = [members[key][1] for key in ("validation", *SPLITS) if key in members]
    entries = [e for v in values for e in (v.value if isinstance(v, yaml.SequenceNode) else [v])]
    texts = [entry.value for entry in entries if isinstance(entry, yaml.ScalarNode)]
    return any(text and (is_folder(root / text) or is_file(root / text)) for text in texts)
