"""A synthetic data set with planted errors, and the predictions of a detector with mistakes of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from healtheat.signals import Samples

CLASS_IDS = (0, 3, 4, 9, 17, 40, 41, 1_000_003)


@dataclass
class Made:
    """`planted`: kind → (image row, line) of the error, for a dropped box (image row, its class id)."""

    samples: Samples
    folder: Path
    planted: dict[str, set[tuple[int, int]]] = field(default_factory=dict)


def made(
    folder: Path,
    *,
    seed: int = 0,
    images: int = 250,
    rate: float = 0.03,
    weak_classes: int = 0,
    foreign: bool = False,
    without: int = 0,
) -> Made:
    """Images of a 3 × 3 grid with six objects. The last `weak_classes` classes are hardly ever found.

    `foreign`: the detector calls everything class 0. The first `without` images have no prediction file.
    """
    rng = np.random.default_rng(seed)
    planted: dict[str, set[tuple[int, int]]] = {k: set() for k in ("flip", "shift", "drop", "spurious")}
    rows: list[tuple[int, int, int, list[float]]] = []  # image, line, class, xywh
    for image in range(images):
        cells = rng.permutation(9)
        line = 0
        said: list[str] = []
        for cell in cells[:6]:
            centre = (np.array([cell % 3, cell // 3]) + 0.5) / 3 + rng.normal(0, 0.01, 2)
            box = np.r_[centre, rng.uniform(0.12, 0.18, 2)]
            code = int(rng.integers(len(CLASS_IDS)))
            said += detected(rng, code, box, code >= len(CLASS_IDS) - weak_classes, foreign)
            kind = rng.choice(["right", "flip", "shift", "drop"], p=[1 - 3 * rate, rate, rate, rate])
            if kind == "drop":
                planted["drop"].add((image, CLASS_IDS[code]))
                continue
            given = (code + int(rng.integers(1, len(CLASS_IDS)))) % len(CLASS_IDS) if kind == "flip" else code
            if kind == "shift":
                way = rng.permutation([rng.uniform(0.4, 0.6), rng.uniform(0, 0.1)]) * rng.choice([-1, 1], 2)
                box = np.r_[box[:2] + way * box[2:], box[2:] * np.exp(rng.normal(0, 0.1, 2))]
            if kind != "right":
                planted[kind].add((image, line))
            rows.append((image, line, CLASS_IDS[given], box.tolist()))
            line += 1
        for cell in cells[6:]:
            centre = (np.array([cell % 3, cell // 3]) + 0.5) / 3
            box = np.r_[centre, rng.uniform(0.12, 0.18, 2)]
            if rng.random() < rate:
                planted["spurious"].add((image, line))
                rows.append((image, line, CLASS_IDS[int(rng.integers(len(CLASS_IDS)))], box.tolist()))
                line += 1
            elif rng.random() < 0.05:  # the detector's own ghosts
                said.append(written(0, box, rng.beta(1.2, 8)))
        if image >= without:
            folder.mkdir(parents=True, exist_ok=True)
            text = "".join(line for line in said if float(line.split()[5]) >= 0.05)
            (folder / f"{image:06d}.txt").write_text(text, encoding="utf-8")
    samples = Samples.of(
        [r[2] for r in rows],
        np.ones((len(rows), 2)),
        xywhn=[r[3] for r in rows],
        image_id=[r[0] for r in rows],
        image_path=[f"images/{i:06d}.jpg" for i in range(images)],
        line=[r[1] for r in rows],
        names={c: f"class {c}" for c in CLASS_IDS},
    )
    return Made(samples, folder, planted)


def detected(rng: np.random.Generator, code: int, box: np.ndarray, weak: bool, foreign: bool) -> list[str]:
    """What the detector writes about one object: nothing, its class, or now and then another one."""
    confidence = rng.beta(1.5, 12) if weak else rng.beta(9, 2)
    if rng.random() < 0.02:
        confidence = rng.uniform(0, 0.2)
    if rng.random() < 0.03:  # mistaken, and mostly less sure
        code, confidence = int(rng.integers(len(CLASS_IDS))), rng.beta(3, 4)
    near = np.r_[box[:2] + rng.normal(0, 0.03, 2) * box[2:], box[2:] * np.exp(rng.normal(0, 0.04, 2))]
    return [written(0 if foreign else code, near, confidence)]


def written(code: int, box: np.ndarray, confidence: float) -> str:
    x, y, w, h = np.clip(box, 0, 1)
    return f"{CLASS_IDS[code]} {x:.6f} {y:.6f} {w:.6f} {h:.6f} {confidence:.6f}\n"
