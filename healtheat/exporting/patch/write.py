"""A patch on the disk: one unified diff of label files, or a JSON Patch (RFC 6902) for each COCO file."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from healtheat.core.errors import InputError
from healtheat.core.files import open_regular
from healtheat.core.text import counted, shown
from healtheat.exporting.patch.unified import unified

if TYPE_CHECKING:
    from healtheat.exporting.patch.changes import Added, Change, Changes

_CLASS = re.compile(rb"([ \t]*)[0-9]+")
_ENDING, _LONGEST = ".patch.json", 255  # bytes of a file name, on nearly every disk
_TESTED = ("image_id", "category_id", "bbox")  # what must be as it was for a JSON Patch to apply at all


def patch_files(given: Changes, to: Path) -> tuple[Path, ...]:
    """The files of a patch at `to`: `to`, or, where many COCO files change, one for each in the folder `to`.

    Raises InputError where `to` names a folder and should be a file, or the other way round.
    """
    from healtheat.cleanup.inside import inside

    if not given.many:
        if not to.name:
            raise InputError(f"{to}: is a folder; give a file")
        return (to,)
    if to.is_file():
        raise InputError(f"{to}: is a file; give a folder, for each of the COCO files has a patch of its own")
    return tuple(to / _short(inside(path)) for path in given.files)


def _short(path: PurePosixPath) -> PurePosixPath:
    """Where the patch of the COCO file `path` lies: its name with `.patch.json`, cut where that is too long.

    >>> _short(PurePosixPath("a/b.json")).as_posix(), len(_short(PurePosixPath("x" * 255)).name)
    ('a/b.json.patch.json', 255)
    """
    name = os.fsencode(path.name)
    if len(name) + len(_ENDING) <= _LONGEST:
        return path.with_name(path.name + _ENDING)
    ending = f"-{hashlib.sha256(name).hexdigest()[:12]}{_ENDING}"  # two may begin alike
    return path.with_name(name[: _LONGEST - len(ending)].decode("utf-8", "ignore") + ending)


def write_patch(given: Changes, *files: Path) -> None:
    """Write `files`: the diff of all label files, or a JSON Patch for each COCO file that changes."""
    if given.by == "lines":
        files[0].write_bytes(b"".join(_diffs(given)))
        return
    changed = list(given.files.items())
    if not given.many:
        changed = changed or [("", ())]
    for (path, changes), file in zip(changed, files, strict=True):
        operations = ",\n".join(
            json.dumps(one, ensure_ascii=False) for one in _json_patch(given, path, changes)
        )
        file.write_text(f"[\n{operations}\n]\n" if operations else "[]\n", encoding="utf-8", newline="\n")


def relabelled(line: bytes, class_id: int) -> bytes:
    """A label line with another class id; every other byte stays.

    >>> relabelled(b"\\t03  .5 .50 1e-1 .1 \\r\\n", 12)
    b'\\t12  .5 .50 1e-1 .1 \\r\\n'
    """
    return _CLASS.sub(rb"\g<1>%d" % class_id, line, count=1)


def _diffs(given: Changes) -> Iterator[bytes]:
    from healtheat.cleanup.edits import with_added  # `export --help` needs no NumPy

    paths = sorted({*given.files, *given.added})
    more = "".join(f", {n} {what}" for n, what in ((given.moved, "moved"), (given.new, "added")) if n)
    yield (
        f"# healtheat: {given.relabelled} relabelled, {given.dropped} dropped{more} in "
        f"{counted(len(paths), 'file')}.\n"
        "# In the folder of the data set: git apply THIS_FILE, or patch -p1 -i THIS_FILE; -R takes it back.\n"
    ).encode()
    for path in paths:
        changes, added = given.files.get(path, ()), given.added.get(path, ())
        of = {change.line: change for change in changes}
        content = given.contents.get(path)
        lines = (content or b"").splitlines(keepends=True)
        pieces = [(line, _after(line, of.get(n))) for n, line in enumerate(lines)]
        for text in (*(_words(c, path, given) for c in changes), *(_added(a, path, given) for a in added)):
            yield f"# {text}\n".encode("utf-8", "replace")
        yield unified(path, with_added(pieces, [str(box) for box in added]), made=content is None)


def _after(line: bytes, change: Change | None) -> bytes:
    if change is None:
        return line
    if change.box is not None:
        from healtheat.cleanup.edits import moved_line

        return moved_line(line, change.box)
    return b"" if change.to is None else relabelled(line, change.to)


def _words(change: Change, path: str, given: Changes) -> str:
    """One line for who reads the patch, who knows classes by their names."""

    what = "no box" if change.class_id is None else _name(change.class_id, given)
    if change.box is not None:
        where = " ".join(f"{value:g}" for value in change.box)
        to = f"moved to {where}"
    else:
        to = "dropped" if change.to is None else f"-> {_name(change.to, given)}"
    return f"{shown(path, 1000)}:{change.line + 1}: {what} {to} ({change.issue}, {shown(change.who)})"


def _added(box: Added, path: str, given: Changes) -> str:
    return f"{shown(path, 1000)}: {_name(box.class_id, given)} added ({box.issue}, {shown(box.who)})"


def _name(class_id: int, given: Changes) -> str:
    return f"{class_id} {shown(given.names.get(class_id, ''))}".strip()


def _json_patch(given: Changes, path: str, changes: Sequence[Change]) -> Iterator[dict[str, Any]]:
    """Operations from the last entry to the first, so that every index is the one of the file as it is."""
    if not changes:
        return
    items = _annotations(given.root / path, {change.line for change in changes})
    for change in sorted(changes, key=lambda change: -change.line):
        at = f"/annotations/{change.line}"
        for key in _TESTED:
            yield {"op": "test", "path": f"{at}/{key}", "value": items[change.line][key]}
        if change.to is None:
            yield {"op": "remove", "path": at}
        else:
            yield {"op": "replace", "path": f"{at}/category_id", "value": change.to}


def _annotations(file: Path, wanted: set[int]) -> dict[int, dict[str, Any]]:
    from healtheat.sources.coco.file import MAX_JSON_BYTES
    from healtheat.sources.json_stream import JsonObject

    with open_regular(file) as opened:
        document = JsonObject(opened, MAX_JSON_BYTES)
        return {
            n: item for key, n, item in document if key == "annotations" and n is not None and n in wanted
        }
