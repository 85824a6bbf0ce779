"""A small YOLO data set with everything a cleanup may meet, and its index."""

import hashlib
from pathlib import Path

from healtheat.index import NewVerdict
from tests.made_index import MadeIndex

NAMES = {3: "타이레놀", 7: "<script>", 40: "advil: gel"}
LABELS = {
    "images/train/a.jpg": ["3 0.1 0.5 0.25 0.125", "7 0.2 0.5 0.25 0.125", "40 0.3 0.5 0.25 0.125"],
    "images/train/deep/a.jpg": ["3 0.5 0.5 0.25 0.125", "7 0.6 0.5 0.25 0.125"],
    "images/train/가 나.jpg": ["7 0.1 0.5 0.25 0.125", "7 nan 0.5 0.1 0.1", "7 0.3 0.5 0.25 0.125"],
    "images/train/empty.jpg": [],
    "images/val/a.jpg": ["40 0.5 0.5 0.25 0.125"],
    "images/val/b.jpg": ["3 0.5 0.5 0.25 0.125", "3 0.51 0.5 0.25 0.125"],
}
# line ends of every kind, no line end at the end, blanks between
RAW = {
    "images/train/a.jpg": b"3 0.1 0.5 0.25 0.125\r\n7\t0.2 0.5 0.250 0.125 \r40 0.3 0.5 0.25 0.125",
}
FINDINGS = [
    {"image": "images/train/a.jpg", "line": 1, "issue": "background", "score": 0.9},
    {"image": "images/train/a.jpg", "line": 2, "issue": "mislabel", "score": 0.8},
    {"image": "images/train/deep/a.jpg", "line": 0, "issue": "mislabel", "score": 0.7},
    {"image": "images/train/deep/a.jpg", "line": 1, "issue": "outlier", "score": 0.1, "flagged": False},
    {"image": "images/train/가 나.jpg", "line": 1, "issue": "unreadable", "score": 1.0},
    {"image": "images/val/a.jpg", "line": -1, "class_id": 3, "issue": "missing_box", "score": 1.0},
    {
        "image": "images/val/b.jpg",
        "line": 0,
        "issue": "duplicate",
        "score": 0.9,
        "twin_box_id": 9,
    },
    {
        "image": "images/val/b.jpg",
        "line": 1,
        "issue": "duplicate",
        "score": 0.9,
        "twin_box_id": 8,
    },
]
PROBLEMS = [("labels/train/가 나.txt", 1, "x is nan, not a finite number")]
DATA_YAML = """path: .
train: images/train
val: images/val
names: {3: 타이레놀, 7: <script>, 40: "advil: gel"}
kpt_shape: [4, 2]
download: echo no
"""


def tree(folder: Path) -> dict[str, str]:
    """Every file of a data set and its hash; hidden folders are none of it."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".healtheat" not in path.relative_to(folder).parts
    }


def make_index(folder: Path) -> MadeIndex:
    """The data set in `folder/data` and its index; nobody decided anything."""
    root = folder / "data"
    root.mkdir(parents=True)
    (root / "data.yaml").write_text(DATA_YAML, encoding="utf-8")
    index = MadeIndex(
        folder / "index",
        names=NAMES,
        root=root,
        labels=LABELS,
        findings=FINDINGS,
        problems=PROBLEMS,
        raw_labels=RAW,
    )
    for name in ("labels/train.cache", "labels/val.cache", "labels/train/deep.cache"):
        (root / name).write_bytes(b"\x93NUMPY and more of " + name.encode())
    (root / "labels/notes.cache").write_bytes(b"my own notes")
    return index


def decide_some(index: MadeIndex) -> None:
    """Drop box 1, relabel box 2, clear box 3, drop box 4 and the unreadable line, drop image val/a."""
    index.judging.append(NewVerdict(box_id=1, issue="background", verdict="drop", who="김"))
    index.judging.append(NewVerdict(box_id=2, issue="mislabel", verdict="relabel", relabel_to=3, who="김"))
    index.judging.append(NewVerdict(box_id=3, issue="mislabel", verdict="ok", who="김"))
    index.judging.append(NewVerdict(box_id=4, issue="outlier", verdict="drop", who="이"))
    index.judging.append(NewVerdict(image_id=2, issue="unreadable", verdict="drop", who="이"))
    index.judging.append(NewVerdict(image_id=4, class_id=3, issue="missing_box", verdict="drop", who="이"))
