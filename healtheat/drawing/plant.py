"""Plant errors: choose which box gets which, then write the noisy label lines and their truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from healtheat.drawing.plan import HEIGHT_PX, WIDTH_PX, Scene, stem
from healtheat.drawing.products import Product, look_alikes
from healtheat.drawing.truth import Truth

# Share of boxes (of images for the last two) hit by each kind; every kind comes up at least once.
BOX_RATES = {
    "confuse": 0.022, "flips": 0.018, "missing": 0.014, "shifted": 0.012, "spurious": 0.012,
    "whole_image": 0.010, "duplicate_box": 0.010, "blurred": 0.006, "broken_line": 0.004,
}  # fmt: skip
SWAP_RATE = 0.008  # pairs of boxes
COPY_RATE, TRUNCATED_RATE = 0.02, 0.007
SPLITS = {"train": "val", "val": "train"}

Box = tuple[float, float, float, float]  # x0, y0, x1, y1 in pixels
Key = tuple[int, int]  # scene, pill


@dataclass(frozen=True, slots=True)
class ErrorPlan:
    """Which errors go where. Scenes are given by their index, boxes by (scene, pill)."""

    boxes: dict[Key, str] = field(default_factory=dict)
    copies: dict[int, str] = field(default_factory=dict)  # scene → image path of its copy
    truncated: frozenset[int] = frozenset()


def image_path(scene: Scene) -> str:
    """Where a scene's image goes, relative to the demo folder."""
    return f"images/{scene.split}/{scene.stem}.{'png' if scene.encoding == 'png' else 'jpg'}"


def _count(rate: float, of: int) -> int:
    return max(1, round(rate * of))


def choose(seed: int, scenes: Sequence[Scene]) -> ErrorPlan:
    """Choose the errors of a demo set. A function of its arguments alone; no box gets two of them."""
    rng = np.random.default_rng([seed, 3])
    plain = [s for s in scenes if s.encoding == "jpeg" and s.pills]
    order = [plain[i] for i in rng.permutation(len(plain))]
    cut, copied = _count(TRUNCATED_RATE, len(scenes)), _count(COPY_RATE, len(scenes))
    truncated = frozenset(s.index for s in order[:cut])
    copies = {
        s.index: f"images/{SPLITS[s.split]}/{stem(s.pills, '0_2_1_2', s.elevation_deg)}.jpg"
        for s in order[cut : cut + copied]
    }
    free = [s for s in scenes if s.pills and s.index not in truncated and s.index not in copies]
    total = sum(len(s.pills) for s in free)
    boxes: dict[Key, str] = {}
    pairs = [s for s in free if len(s.pills) > 1]
    for i in rng.permutation(len(pairs))[: _count(SWAP_RATE, total)]:
        for k in rng.permutation(len(pairs[i].pills))[:2]:
            boxes[pairs[i].index, int(k)] = "swap"
    rest = [(s.index, k) for s in free for k in range(len(s.pills)) if (s.index, k) not in boxes]
    rest = [rest[i] for i in rng.permutation(len(rest))]
    product = {(s.index, k): p.product for s in free for k, p in enumerate(s.pills)}
    for kind, rate in BOX_RATES.items():
        fit = [key for key in rest if kind != "confuse" or look_alikes(product[key])]
        for key in fit[: _count(rate, total)]:
            boxes[key] = kind
        rest = [key for key in rest if key not in boxes]
    return ErrorPlan(boxes, copies, truncated)


def with_blur(scene: Scene, plan: ErrorPlan) -> Scene:
    """The scene with its planted blur: the one kind that shows in the pixels."""
    pills = tuple(
        replace(p, blurred=plan.boxes.get((scene.index, k)) == "blurred") for k, p in enumerate(scene.pills)
    )
    return replace(scene, pills=pills)


@dataclass(slots=True)
class _Line:
    text: str
    kind: str = ""
    true_class: int | None = None
    given_class: int | None = None
    twin: _Line | None = None


def _yolo(class_id: int, box: Box) -> str:
    x0, y0, x1, y1 = box
    values = (
        (x0 + x1) / 2 / WIDTH_PX,
        (y0 + y1) / 2 / HEIGHT_PX,
        (x1 - x0) / WIDTH_PX,
        (y1 - y0) / HEIGHT_PX,
    )
    return f"{class_id} " + " ".join(f"{v:.6f}" for v in values)


def _covered(a: Box, b: Box) -> float:
    """Share of box a covered by box b."""
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(0.0, w) * max(0.0, h) / ((a[2] - a[0]) * (a[3] - a[1]))


def _free_box(rng: np.random.Generator, w: float, h: float, taken: Sequence[Box]) -> Box:
    """A box of that size on bare ground; it shrinks where the image is too full."""
    while True:
        for _ in range(200):
            x, y = rng.uniform(0, WIDTH_PX - w), rng.uniform(0, HEIGHT_PX - h)
            box = (float(x), float(y), float(x + w), float(y + h))
            if all(_covered(box, t) < 0.02 for t in taken):
                return box
        w, h = 0.8 * w, 0.8 * h


def _moved(rng: np.random.Generator, box: Box, others: Sequence[Box]) -> Box:
    """The box slid off its pill: 5 to 45 % of it still on the old place, nothing of it on another pill."""
    w, h = box[2] - box[0], box[3] - box[1]
    for _ in range(300):
        dx, dy = float(rng.uniform(-1, 1) * w), float(rng.uniform(-1, 1) * h)
        new = (box[0] + dx, box[1] + dy, box[2] + dx, box[3] + dy)
        inside = new[0] >= 0 and new[1] >= 0 and new[2] <= WIDTH_PX and new[3] <= HEIGHT_PX
        if inside and 0.05 < _covered(new, box) < 0.45 and all(_covered(new, o) < 0.05 for o in others):
            return new
    return _free_box(rng, w, h, [box, *others])


def _broken(rng: np.random.Generator, text: str) -> str:
    """One of the ways label lines break in practice."""
    f = text.split()
    ways = (
        " ".join(f[:4]),
        " ".join([*f[:2], "nan", *f[3:]]),
        " ".join([f[0], str(round(float(f[1]) * WIDTH_PX)), *f[2:]]),
        " ".join(["알약", *f[1:]]),
    )
    return ways[int(rng.integers(len(ways)))]


def _other(rng: np.random.Generator, products: Sequence[Product], own: Product) -> int:
    pool = [p.class_id for p in products if p.code != own.code]
    return pool[int(rng.integers(len(pool)))]


def noisy_lines(
    scene: Scene, boxes: Sequence[Box], plan: ErrorPlan, products: Sequence[Product]
) -> list[_Line]:
    """The label lines of one image with its errors, in file order. `boxes` belong to the scene's pills."""
    rng = np.random.default_rng([*scene.seed, 4])
    kinds = [plan.boxes.get((scene.index, k), "") for k in range(len(scene.pills))]
    swapped = [k for k, kind in enumerate(kinds) if kind == "swap"]
    lines: list[_Line] = []
    for k, (pill, box, kind) in enumerate(zip(scene.pills, boxes, kinds, strict=True)):
        own = pill.product.class_id
        others = [b for i, b in enumerate(boxes) if i != k]
        line = _Line(_yolo(own, box), kind, own, own)
        lines.append(line)
        if kind in ("flips", "confuse", "swap"):
            if kind == "swap":
                given = scene.pills[swapped[0] + swapped[1] - k].product.class_id
            else:
                known = {p.code for p in products}
                alike = [p for p in look_alikes(pill.product) if p.code in known]
                given = _other(rng, alike if kind == "confuse" and alike else products, pill.product)
            line.text, line.given_class = _yolo(given, box), given
        elif kind == "whole_image":
            line.text = _yolo(own, (0, 0, WIDTH_PX, HEIGHT_PX))
        elif kind == "shifted":
            line.text = _yolo(own, _moved(rng, box, others))
        elif kind == "broken_line":
            line.text, line.given_class = _broken(rng, line.text), None
        elif kind == "missing":
            line.text, line.given_class = "", None
        elif kind == "spurious":
            line.kind = ""
            size = (box[2] - box[0], box[3] - box[1])
            wrong = products[int(rng.integers(len(products)))].class_id
            lines.append(_Line(_yolo(wrong, _free_box(rng, *size, list(boxes))), kind, None, wrong))
        elif kind == "duplicate_box":
            line.kind = ""
            w, h = box[2] - box[0], box[3] - box[1]
            d = rng.uniform(-0.03, 0.03, 4) * (w, h, w, h)
            again = (box[0] + d[0], box[1] + d[1], box[2] + d[2], box[3] + d[3])
            again = (max(again[0], 0), max(again[1], 0), min(again[2], WIDTH_PX), min(again[3], HEIGHT_PX))
            given = own if rng.random() < 0.5 else _other(rng, products, pill.product)
            lines.append(_Line(_yolo(given, again), kind, own, given, twin=line))
    return [lines[i] for i in rng.permutation(len(lines))]


def label_file(scene: Scene, lines: Sequence[_Line]) -> tuple[bytes, list[Truth]]:
    """An image's label file and the truth of its errors. Some have harmless oddities, as real files do."""
    image = image_path(scene)
    kept = [line for line in lines if line.kind != "missing"]
    first = 1 if scene.index % 17 == 5 else 0  # a blank line on top
    number = {id(line): first + i for i, line in enumerate(kept)}
    truth = []
    for line in lines:
        if line.kind:
            twin = "" if line.twin is None else f"{image}#{number[id(line.twin)]}"
            truth.append(
                Truth(line.kind, image, number.get(id(line), -1), line.true_class, line.given_class, twin)
            )
    end = "\r\n" if scene.index % 13 == 4 else "\n"
    text = end * first + "".join(line.text + end for line in kept)
    if scene.index % 11 == 7:
        text = text.removesuffix(end)  # no line end at the end of the file
    return text.encode("utf-8"), truth
