"""What the faults are tried on: every command that writes, on a small set, and what must hold afterwards."""

from __future__ import annotations

import contextlib
import hashlib
import io
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import healtheat.building.auto as auto
import healtheat.index.encoder as of_index
from benchmarks.pixel_encoder import PixelEncoder
from healtheat.building import append, build, removal
from healtheat.cli import run as command
from healtheat.core.atomic import is_temporary
from healtheat.embedding.registry import EMBEDDED
from healtheat.findings import score
from healtheat.index import Index, NewVerdict
from healtheat.index.verdicts.log import VerdictLog
from healtheat.signals.geometry import Geometry

WHO = "김"
IMAGES, BOXES = 4, 2
MOST_IMAGES = 12  # so many need `vet` to learn of
STANDING = ((0, "drop", None), (3, "relabel", 0), (5, "ok", None))  # box, verdict, class: on every index


@dataclass(frozen=True, slots=True)
class Place:
    """Where all of a trial lies: data, a second set `new`, indexes, and what is written into `out`."""

    root: Path

    def __getattr__(self, name: str) -> Path:
        return self.root / name


@dataclass(frozen=True, slots=True)
class Job:
    """A command. `start` names the state it starts from, `in_place` says that it changes the data set.

    `codes` are the exit codes of one that did its work.
    """

    name: str
    arguments: Callable[[Place], Sequence[object]]
    start: str = "built"
    in_place: bool = False
    codes: tuple[int, ...] = (0,)
    images: int = IMAGES


def _on(*words: object) -> Callable[[Place], Sequence[object]]:
    """Arguments; a word `@name` is a path below the folder of the trial."""
    return lambda place: [
        place.root / w[1:] if isinstance(w, str) and w.startswith("@") else w for w in words
    ]


_FORMATS = ("csv", "patch", "parquet", "coco", "cvat", "labelstudio", "atlas", "fiftyone")
_BUILD = ("build", "@data/data.yaml", "--index", "@index", "--threads", 1)
_VET = ("vet", "@new/data.yaml", "--against", "@index", "--to", "@batch", "--no-guard", "--threads", 1)
JOBS: tuple[Job, ...] = (
    Job("build", _on(*_BUILD, "--encoder", "default"), "bare"),
    Job("build again", _on(*_BUILD), "changed"),
    Job("add", _on("add", "@new/data.yaml", "--to", "@index", "--name", "new", "--threads", 1)),
    Job("remove", _on("remove", "new", "--from", "@index"), "added"),
    Job("score", _on("score", "--index", "@index")),
    Job("flag", _on("flag", "--index", "@index", "--threshold", "bad_box=0.9")),
    Job("vet", _on(*_VET), codes=(0, 1), images=MOST_IMAGES),
    *(Job(f"export {name}", _on("export", "--index", "@index", "--to", f"@out/list.{name}", "--format", name,
                                "--overwrite")) for name in _FORMATS),
    Job("export yolo", _on("export", "--index", "@index", "--to", "@out/train", "--format", "yolo", "--write",
                           "--overwrite", "--max-share", 1)),
    Job("report", _on("report", "@index", "--out", "@out/report.html", "--overwrite", "--per-issue", 1)),
    Job("apply --to", _on("apply", "--index", "@index", "--to", "@out/copy", "--max-share", 1)),
    Job("apply --in-place", _on("apply", "--index", "@index", "--in-place", "--max-share", 1), in_place=True),
    Job("apply --in-place, begun", _on("apply", "--index", "@index", "--in-place", "--max-share", 1), "begun",
        in_place=True),
    Job("rollback", _on("rollback", "@data"), "applied", in_place=True),
    Job("query", _on("query", "--index", "@index", "--all", "--format", "csv")),
    Job("verify", _on("verify", "--index", "@index"), codes=(0, 1)),
)  # fmt: skip
VERDICTS = "verdicts of the page"


@contextlib.contextmanager
def quick() -> Iterator[None]:
    """One cheap signal and an encoder without a network: faults do not ask what was found."""

    def load(*_: object, **__: object) -> PixelEncoder:
        # by the name of one of healtheat's own: an index alone may name no other
        return PixelEncoder(EMBEDDED[0], dim=12, batch_size=8)

    with contextlib.ExitStack() as stack:
        for module in (auto, of_index):
            stack.callback(setattr, module, "load_encoder", module.load_encoder)
            module.load_encoder = load  # type: ignore[assignment]
        functions: tuple[Any, ...] = (build.build, append.add, removal.remove, score.rescore)
        for function in functions:
            defaults = dict(function.__kwdefaults__ or {})
            stack.callback(setattr, function, "__kwdefaults__", defaults)
            function.__kwdefaults__ = {**defaults, "signals": (Geometry(),)}
        yield


def run(arguments: Sequence[object]) -> tuple[int, str]:
    """Exit code of a command and what it printed on stderr."""
    said = io.StringIO()
    with (
        contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO(), "utf-8")),
        contextlib.redirect_stderr(said),
    ):
        code = command([str(argument) for argument in arguments])
    return code, said.getvalue()


def write_set(folder: Path, images: int, seed: int) -> Path:
    """`images` images of `BOXES` boxes of two classes as a YOLO set; returns data.yaml."""
    draw = np.random.default_rng(seed)
    for number in range(images):
        split = "val" if number % 4 == 0 else "train"
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True, exist_ok=True)
        pixels = draw.integers(0, 255, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / split / f"{seed} {number:02}.png")
        lines = [
            f"{(number + n) % 2} {0.25 + 0.5 * n} {draw.uniform(0.4, 0.6):.4f} 0.3 0.3" for n in range(BOXES)
        ]
        label = folder / "labels" / split / f"{seed} {number:02}.txt"
        label.write_text("\n".join(lines) + "\n", encoding="utf-8")
    data = folder / "data.yaml"
    data.write_text("train: images/train\nval: images/val\nnames: [하나, two]\n", encoding="utf-8")
    return data


class States:
    """The states that jobs start from, made once and put back before every trial at the same place."""

    def __init__(self, folder: Path, images: int = IMAGES) -> None:
        self.images = images
        self.place = Place(folder / "trial")
        self._kept = folder / "states"
        self._make()

    def reset(self, name: str) -> None:
        """Put the trial's folder into a state."""
        shutil.rmtree(self.place.root, ignore_errors=True)
        shutil.copytree(self._kept / name, self.place.root, symlinks=True)

    def kept(self, name: str) -> Path:
        """The folder of a state as it was made."""
        return self._kept / name

    def _make(self) -> None:
        place = self.place
        write_set(place.data, self.images, seed=1)
        write_set(place.new, 2, seed=2)
        place.out.mkdir()
        self._keep("bare")
        self._do(JOBS[0])
        with Index.open(place.index) as index:
            for box_id, verdict, to in STANDING:
                index.judging.append(NewVerdict("mislabel", verdict, WHO, box_id=box_id, relabel_to=to))
        self._keep("built")
        label = next((place.data / "labels/train").iterdir())
        label.write_text("1 0.5 0.5 0.3 0.3\n", encoding="utf-8")
        self._keep("changed")
        self.reset("built")
        self._do(next(job for job in JOBS if job.name == "add"))
        self._keep("added")
        self.reset("built")
        self._do(next(job for job in JOBS if job.name == "apply --in-place"))
        self._keep("applied")
        journal = next((place.data / ".healtheat/applied").rglob("journal.jsonl"))
        first = journal.read_bytes().splitlines(keepends=True)[:1]
        for original in [p for p in (journal.parent / "originals").rglob("*") if p.is_file()][1:]:
            shutil.copy2(original, place.data / original.relative_to(journal.parent / "originals"))
        journal.write_bytes(b"".join(first))  # as killed behind the first step
        self._keep("begun")

    def _keep(self, name: str) -> None:
        shutil.copytree(self.place.root, self._kept / name)

    def _do(self, job: Job) -> None:
        code, said = run(job.arguments(self.place))
        assert code == 0, said


def tree(folder: Path, *, hidden: bool = False) -> dict[str, str]:
    """Every file and its hash; hidden folders and what a killed writer left are none of it."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and (hidden or not any(p.startswith(".") for p in path.relative_to(folder).parts))
        and not any(is_temporary(part) for part in path.relative_to(folder).parts)
    }


def index_wrong(path: Path, verdicts: Sequence[str]) -> str:
    """What is wrong with an index: it does not open, is not whole, has other verdicts; "" if nothing is."""
    try:
        with Index.open(path) as index:
            found = index.verify()
    except Exception as error:
        return f"the index does not open: {type(error).__name__}: {error}"
    said = [verdict.verdict for verdict in VerdictLog(path).verdicts]
    return f"verify: {found[0]}" if found else "" if said == list(verdicts) else f"verdicts are {said}"


def problems_in(path: Path) -> int:
    """How many problems the index tells of."""
    with Index.open(path) as index:
        return len(index.problems())


def index_facts(path: Path) -> Mapping[str, object]:
    """What a command made of an index, without times."""
    with Index.open(path) as index:
        counts = index.manifest.counts.model_dump()
        boxes = index.sql("SELECT box_id, image_id, line, class_id, cx FROM boxes ORDER BY ALL").to_pylist()
        return {"counts": counts, "boxes": boxes, "settings": index.manifest.settings.get("findings")}
