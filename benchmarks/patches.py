"""Random verdicts, exported as a patch, applied by git, read again: exactly the confirmed boxes changed.

    python -m benchmarks.patches [--data DATA.YAML] [--rounds 500] [--seed 0] [--work FOLDER]

Builds an index of a copy of the data set, once. Each round draws verdicts (drop, relabel, ok, unsure) on a
share of the boxes, writes `healtheat export --format patch`, applies it with `git apply`, reads the label
files again with the product's source and compares every box with what was decided; then takes the patch
back and compares every byte. Ends with 1 and names the first difference.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.pixel_encoder import PixelEncoder
from healtheat.building.build import build
from healtheat.exporting.run import export
from healtheat.index import Index, NewVerdict
from healtheat.index.verdicts.log import HEAD_NAME, LOG_NAME
from healtheat.sources import open_source
from healtheat.sources.base import LabelledImage

HERE = Path(__file__).resolve().parent
DATA = HERE.parents[1] / "shared/data/pushin-pill/data.yaml"
SHARES = (0.01, 0.1, 0.5, 1.0)  # of the boxes that somebody decides on

Box = tuple[int, tuple[float, ...]]  # class id, place
Boxes = dict[str, Counter[Box]]  # image → its boxes


@dataclass(frozen=True, slots=True)
class Round:
    """What one round decided, and what was wrong with it: "" where all is as decided."""

    relabelled: int
    dropped: int
    wrong: str


def rounds(data: Path, work: Path, count: int, seed: int) -> Iterator[Round]:
    """Play `count` rounds on a copy of the data set of `data` in the empty folder `work`."""
    copy = work / "data"
    shutil.copytree(data.parent, copy, copy_function=shutil.copyfile)
    (copy / data.name).chmod(0o644)
    encoder = PixelEncoder(dim=12, batch_size=32)
    build(open_source(copy / data.name), work / "index", encoder=encoder)
    for number in range(count):
        yield one_round(copy / data.name, work, random.Random(f"{seed} {number}"))


def one_round(data: Path, work: Path, draw: random.Random) -> Round:
    """Decide, patch, read, take back."""
    for name in (LOG_NAME, HEAD_NAME):
        (work / "index" / name).unlink(missing_ok=True)
    before, expected = hashes(data.parent), boxes_of(data)
    with Index.open(work / "index") as index:
        verdicts = decide(index, draw)
        if verdicts:
            index.judging.append_all(verdicts)
        counts = apply_to(expected, index, verdicts)
        export(index, work / "fixes.patch", overwrite=True)
    if not any(counts):
        return Round(*counts, "")
    git(data.parent, work / "fixes.patch")
    found = boxes_of(data)
    wrong = next((image for image in expected if found[image] != expected[image]), "")
    git(data.parent, work / "fixes.patch", "-R")
    if not wrong and hashes(data.parent) != before:
        wrong = "taken back, the bytes differ"
    return Round(*counts, wrong)


def decide(index: Index, draw: random.Random) -> list[NewVerdict]:
    """Random verdicts on some of the boxes, each on one of its findings."""
    rows = index.sql(
        "select box_id, any_value(class_id order by issue) as class_id, list(issue order by issue) as issues "
        "from findings where box_id >= 0 group by box_id order by box_id"
    ).to_pylist()
    share, verdicts = draw.choice(SHARES), []
    for row in rows:
        if draw.random() >= share:
            continue
        verdict = draw.choice(("drop", "relabel", "relabel", "ok", "unsure"))
        others = sorted(index.names.keys() - {row["class_id"]})
        to = draw.choice(others) if verdict == "relabel" else None
        issue = draw.choice(row["issues"])
        verdicts.append(
            NewVerdict(box_id=row["box_id"], issue=issue, verdict=verdict, relabel_to=to, who="random")
        )
    return verdicts


def apply_to(boxes: Boxes, index: Index, verdicts: list[NewVerdict]) -> tuple[int, int]:
    """Change `boxes` as decided; how many were relabelled and dropped."""
    known = index.boxes()
    paths = index.images().path
    relabelled = dropped = 0
    for verdict in verdicts:
        if verdict.verdict not in ("drop", "relabel"):
            continue
        at = verdict.box_id
        box = (int(known.class_id[at]), tuple(known.xywhn[at].tolist()))
        own = boxes[str(paths[known.image_id[at]])]
        own[box] -= 1
        if verdict.relabel_to is None:
            dropped += 1
        else:
            own[verdict.relabel_to, box[1]] += 1
            relabelled += 1
    for image, own in boxes.items():
        boxes[image] = +own
    return relabelled, dropped


def boxes_of(data: Path) -> Boxes:
    """The boxes of every image, read by the product's own source."""
    found: Boxes = {}
    for record in open_source(data).read():
        if isinstance(record, LabelledImage):
            places = map(tuple, record.boxes.xywhn.tolist())
            found[record.path] = Counter(zip(record.boxes.class_id.tolist(), places, strict=True))
    return found


def hashes(folder: Path) -> dict[str, str]:
    """Every label file and its hash."""
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*.txt"))
    }


def git(folder: Path, patch: Path, *options: str) -> None:
    """Apply the patch in the folder. Raises CalledProcessError where git refuses it."""
    command = ["git", "apply", "--whitespace=nowarn", *options, str(patch.absolute())]
    subprocess.run(command, cwd=folder, check=True)


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path)
    given = parser.parse_args()
    relabelled = dropped = 0
    with tempfile.TemporaryDirectory() as folder:
        for number, one in enumerate(
            rounds(given.data, given.work or Path(folder), given.rounds, given.seed)
        ):
            relabelled, dropped = relabelled + one.relabelled, dropped + one.dropped
            if one.wrong:
                sys.exit(f"round {number}: {one.wrong}")
    print(
        f"{given.rounds} rounds: {relabelled} boxes relabelled, {dropped} dropped; all as decided, and back"
    )


if __name__ == "__main__":
    main()
