"""The formats of `export`, one line each. What lists formats (options, help, names of files) derives from it.

A new format is a file with its writer and a line here; docs/handoffs.md and CONTRIBUTING.md say more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from healtheat.core.errors import Argument, InputError
from healtheat.exporting.atlas import write_atlas
from healtheat.exporting.coco import write_coco
from healtheat.exporting.cvat import write_cvat
from healtheat.exporting.fiftyone import write_fiftyone
from healtheat.exporting.labelstudio import write_labelstudio
from healtheat.exporting.patch.write import write_patch
from healtheat.exporting.rows import write_csv_file, write_json_file, write_jsonl_file, write_parquet_file
from healtheat.exporting.vetted.write import VETTED_COCO_FILES, write_vetted_coco, write_vetted_yolo
from healtheat.exporting.yolo import write_yolo

Needs = Literal["rows", "images", "plan", "changes", "decisions"]


@dataclass(frozen=True, slots=True)
class Format:
    """One format: `write(content, *files)` writes it, and need not care about half-written files.

    `content` is what the format `needs`. rows: the findings, a pyarrow table with the columns of `query`;
    images: a `HandOff`, images with all their boxes; plan: a `cleanup.Plan`; changes: what people confirmed,
    a `patch.Changes`; decisions: a vetted batch, a `Vetted`. `files` are temporary paths, one for each of
    `files(to)` (of changes: of `patch_files`), which take their places together when the writer is done.

    A name that ends with one of `suffixes` chooses the format. `beside` are the endings of files that go with
    the one that is named, `inside` the files of a format that is a folder. `takes` are the options of
    `export` that it knows, given to `write` by name. A format that needs a plan, or decisions with no
    file `inside`, writes a whole folder.
    """

    name: str
    write: Callable[..., Any]
    needs: Needs
    suffixes: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    inside: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()

    @property
    def is_folder(self) -> bool:
        """Whether `to` names a folder."""
        return bool(self.inside) or self.writes_folder

    @property
    def writes_folder(self) -> bool:
        """Whether it writes the folder `to` itself, with whatever lies in it."""
        return self.needs == "plan" or (self.needs == "decisions" and not self.inside)

    def files(self, to: Path) -> tuple[Path, ...]:
        """The files that it consists of, at `to`; of a plan the folder. Raises InputError for no name."""
        if self.inside:
            return tuple(to / name for name in self.inside)
        if not to.name and not self.is_folder:
            raise InputError(f"{to}: is a folder; give a file")
        return (to, *(to.with_suffix(ending) for ending in self.beside))


FORMATS: tuple[Format, ...] = (
    Format("csv", write_csv_file, "rows", suffixes=(".csv",), takes=("spreadsheet",)),
    Format("json", write_json_file, "rows", suffixes=(".json",)),
    Format("jsonl", write_jsonl_file, "rows", suffixes=(".jsonl", ".ndjson")),
    Format("parquet", write_parquet_file, "rows", suffixes=(".parquet",)),
    Format("yolo", write_yolo, "plan", takes=("drop", "max-share", "write", "force")),
    Format("cvat", write_cvat, "images", beside=(".labels.json",)),
    Format("labelstudio", write_labelstudio, "images", beside=(".config.xml",)),
    Format("coco", write_coco, "images"),
    Format("fiftyone", write_fiftyone, "images", inside=("labels.json", "data.json")),
    Format("patch", write_patch, "changes", suffixes=(".patch", ".diff")),
    Format("atlas", write_atlas, "images", takes=("crops",)),
    Format("vetted-yolo", write_vetted_yolo, "decisions"),
    Format("vetted-coco", write_vetted_coco, "decisions", inside=VETTED_COCO_FILES),
)


def format_of(to: Path, name: str | None = None) -> Format:
    """The format called `name`, or the one that the suffix of `to` chooses. Raises InputError for none."""
    suffix = to.suffix.lower()
    for format in FORMATS:
        if format.name == name or (name is None and suffix in format.suffixes):
            return format
    if name is not None:
        raise InputError(f"no format {name!r}; choose from {', '.join(format.name for format in FORMATS)}")
    folders = next(format.name for format in FORMATS if format.is_folder)
    raise InputError(
        f"{to}: no format known for this name; add ",
        Argument("format"),
        ", such as ",
        Argument("format", folders),
        " for a folder",
    )


def check_options(format: Format, given: dict[str, bool]) -> None:
    """Raises InputError for an option that is given (`given`: option → whether) and means nothing here."""
    for option, wanted in given.items():
        if wanted and option not in format.takes:
            knows = ", ".join(other.name for other in FORMATS if option in other.takes)
            raise InputError(
                Argument(option.replace("-", "_")),
                " is for ",
                Argument("format", knows),
                f", not {format.name}; leave it out",
            )
