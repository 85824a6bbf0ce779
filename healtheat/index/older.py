"""Indexes of older format versions: no reader takes them, but a build over one keeps verdicts and vectors.

The log of verdicts is the same in every version, holds on to what it is about by content, and is never part
of a build: it stays where it is. Vectors are taken over as from any older index, by the tables below.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from healtheat.embedding import AUTO

VERSIONS = (1, 2)
_EDITS = {"yolo": "lines", "coco": "annotations"}  # version 1 named the kind of the source only
_MAX_SHOWN = 1000  # characters of one argument: longer than a path that anybody would paste

_ID, _TEXT, _NUMBER, _HASH, _SHORT = "BIGINT", "VARCHAR", "DOUBLE", "UBIGINT", "FLOAT"
_PLACE = {"cx": _NUMBER, "cy": _NUMBER, "w": _NUMBER, "h": _NUMBER}
# The tables of their catalogs that vectors are taken over from: the same in both versions.
TABLES: Mapping[str, Mapping[str, str]] = {
    "images": {
        "image_id": _ID,
        **dict.fromkeys(("path", "file", "split", "status", "label_path"), _TEXT),
        "width_px": _ID,
        "height_px": _ID,
        "sha256": _TEXT,
        "dhash": _HASH,
        "group_key": _TEXT,
    },
    "boxes": {
        **dict.fromkeys(("box_id", "image_id", "line", "class_id"), _ID),
        **_PLACE,
        "confidence": _SHORT,
        "crop_key": _TEXT,
        "dhash": _HASH,
        **dict.fromkeys(("sharpness", "brightness", "contrast"), _SHORT),
    },
    "background": {"tile_id": _ID, "image_id": _ID, **_PLACE, "crop_key": _TEXT},
}


def upgraded(body: Mapping[str, Any]) -> dict[str, Any]:
    """The content of an older manifest with the keys of today; `format_version` stays as it is."""
    source = body.get("source")
    if not isinstance(source, dict) or "edits" in source:
        return dict(body)
    return {**body, "source": {**source, "edits": _EDITS.get(str(source.get("kind")), "none")}}


def build_command(body: Mapping[str, Any], index: Path) -> str:
    """The command that builds the index in the folder `index` again, to paste into a shell.

    `body` is its manifest, unchecked: what is not a plain, short text is left out, or stands as DATA.
    """
    source, encoder, settings = (_object(body.get(key)) for key in ("source", "encoder", "settings"))
    command = ["healtheat", "build", _plain(source.get("data")) or "DATA", "--index", str(index)]
    files = list(_object(body.get("label_files")))
    if source.get("kind") == "detector" and len(files) == 1 and (root := _plain(source.get("root"))):
        weights = _plain(str(PurePosixPath(root) / files[0]))
        command += ["--weights", weights] if weights else []
    for option, value, default in (
        ("--encoder", encoder.get("name"), AUTO),
        ("--group-by", settings.get("group_rule"), "auto"),
    ):
        text = _plain(value)
        if text and text != default:
            command += [option, text]
    return subprocess.list2cmdline(command) if os.name == "nt" else shlex.join(command)


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _plain(value: Any) -> str:
    """`value` if it is a text that is safe to show and no option; "" for anything else."""
    plain = isinstance(value, str) and 0 < len(value) <= _MAX_SHOWN and value.isprintable()
    return value if plain and not value.startswith("-") else ""
