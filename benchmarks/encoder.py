"""The pill encoder beside ImageNet EfficientNet-Lite0 and open_clip ViT-B/32, on images it never saw.

`python benchmarks/encoder.py --work DIR`: the work folder of `python -m training`. Without it, the
questions that need the held-out TFDA pills are left out. Writes Markdown to standard output.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.encoder_data import at, pushin, tfda_views
from healtheat.embedding import Encoder, load_encoder
from healtheat.embedding.onnx import OnnxEncoder

Array = NDArray[Any]
WHITE = (3, 5, 7, 13)  # four products of round white tablets, alike to the eye
LANGUAGES = ("en+ko", "en", "ko")
QUARTERS = (0.0, 90.0, 180.0, 270.0)


def nearest_agrees(vectors: Array, class_id: Array, source: Array) -> Array:
    """(n,) bool: the nearest box of another source has the same class."""
    similar = vectors @ vectors.T
    similar[source[:, None] == source[None, :]] = -np.inf
    return np.asarray(class_id[similar.argmax(1)] == class_id)


def auroc(positive: Array, negative: Array) -> float:
    """Area under the ROC curve: the share of (positive, negative) pairs in the right order, ties half."""
    order = np.sort(negative)
    below = np.searchsorted(order, positive, "left") + np.searchsorted(order, positive, "right")
    return float(below.mean() / 2 / len(order))


def speeds(encoders: dict[str, Encoder], rounds: int) -> list[str]:
    """Question 5: crops a second, all views included, and open_clip's ViT-B/32 on the same crops.

    All take turns, so that a machine that slows down slows all of them: best and median of the rounds. Crops
    a CPU second hardly depend on what else runs; with two free cores wall time gives nearly twice as many.
    """
    boxes, runs = pushin(), dict[str, Callable[[], int]]()
    for name, encoder in encoders.items():
        crops = boxes.crops(encoder.spec.crop_policy(), encoder.spec.resolution_px)[:96]
        runs[name] = lambda encoder=encoder, crops=crops: len(encoder.encode(crops))  # type: ignore[misc]
    runs["open_clip ViT-B/32, 224 px, PyTorch"] = clip_run()
    wall: dict[str, list[float]] = {name: [] for name in runs}
    cpu: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds + 1):  # the first warms up
        for name, run in runs.items():
            started, busy = time.perf_counter(), time.process_time()
            done = run()
            wall[name].append(done / (time.perf_counter() - started))
            cpu[name].append(done / (time.process_time() - busy))
        tell(f"speed: round {len(wall[name])} of {rounds + 1}")
    lines = [
        f"Crops a second on 2 threads, all views included; {rounds} rounds in turn.",
        "",
        "| encoder | crops/s, best | crops/s, median | crops/CPU s, median |",
        "|---|---|---|---|",
    ]
    for name in runs:
        w, c = np.array(wall[name][1:]), np.array(cpu[name][1:])
        lines.append(f"| {name} | {w.max():.0f} | {np.median(w):.0f} | {np.median(c):.0f} |")
    return lines


def clip_run() -> Callable[[], int]:
    """ViT-B/32's image tower on a batch of 16; random weights, which cost the same."""
    import open_clip
    import torch

    torch.set_num_threads(2)
    model = open_clip.create_model("ViT-B-32", pretrained=None).eval()
    pixels = torch.zeros(16, 3, 224, 224)

    def run() -> int:
        with torch.inference_mode():
            return len(model.encode_image(pixels))

    return run


def tell(text: str) -> None:
    """Progress, beside the table on standard output."""
    print(text, file=sys.stderr, flush=True)


def look_alikes(encoders: dict[str, Encoder]) -> list[str]:
    """Question 1: one row an encoder and policy."""
    boxes = pushin()
    white = np.isin(boxes.class_id, WHITE)
    lines = [
        f"pushin-pill: {len(boxes.class_id):,} boxes, {len(np.unique(boxes.source))} sources, "
        f"{int(white.sum())} boxes of the four white tablets.",
        "",
        "| encoder | dim | 1-NN agreement | white tablets | others |",
        "|---|---|---|---|---|",
    ]
    for name, encoder in encoders.items():
        tell(f"agreement: {name}")
        crops = boxes.crops(encoder.spec.crop_policy(), encoder.spec.resolution_px)
        right = nearest_agrees(encoder.encode(crops), boxes.class_id, boxes.source)
        lines.append(
            f"| {name} | {encoder.spec.dim} | {right.mean():.3f} | {right[white].mean():.3f} "
            f"| {right[~white].mean():.3f} |"
        )
    return lines


def pill_or_not(encoder: Encoder) -> list[str]:
    """Question 4, first half, a language at a time."""
    boxes = pushin()
    policy, size = encoder.spec.crop_policy(), encoder.spec.resolution_px
    inside = encoder.encode(boxes.crops(policy, size))
    outside = encoder.encode(boxes.background(policy, size))
    lines = []
    for language in LANGUAGES:
        vectors = texts(encoder, "pill", language)
        margin = vectors["pill"] - vectors["background"]
        lines.append(f"{language} {auroc(inside @ margin, outside @ margin):.4f}")
    return [f"Pill or not, {len(inside):,} crops against {len(outside):,} tiles, AUROC: {', '.join(lines)}."]


def texts(encoder: Encoder, question: str, language: str) -> dict[str, Array]:
    """The shipped text vectors of one language."""
    assert isinstance(encoder, OnnxEncoder) and encoder.questions
    return encoder.questions.vectors(question, encoder.spec, language)


def _answers(encoder: Encoder, question: str, language: str, vectors: Array, allowed: list[str]) -> Array:
    known = texts(encoder, question, language)
    labels = [a for a in allowed if a in known]
    return np.asarray(np.array(labels)[(vectors @ np.stack([known[a] for a in labels]).T).argmax(1)])


def held_out(work: Path, pill: Encoder, imagenet: Encoder, limit: int, probed: int, draws: int) -> list[str]:
    """Question 2 and the second half of 4."""
    from sklearn.linear_model import LogisticRegression

    from training.batches import load_material

    material = load_material(work, seed=0)
    unseen = np.flatnonzero(material.held_out)[:limit]
    drawn = [tfda_views(material, unseen, seed=1 + draw) for draw in range(draws)]
    test = drawn[0]
    seen = np.random.default_rng(0).choice(
        np.flatnonzero(~material.held_out), min(limit, probed), replace=False
    )
    lines = [
        f"{len(unseen):,} pills of {len(np.unique(test.identity)):,} held-out products, one hard view "
        f"each among all plain ones; mean of {draws} draws of the views, the share of each in brackets.",
        "",
        "| encoder | right product nearest | in the first five |",
        "|---|---|---|",
    ]
    plains: list[Array] = []
    for name, encoder in (("ImageNet, 4 rotations + colour", imagenet), ("pill, default policy", pill)):
        right = []
        for number, views in enumerate(drawn):
            tell(f"held-out products: {name}, draw {number + 1} of {draws}")
            plain, hard = encoder.encode(at(views.plain, encoder)), encoder.encode(at(views.hard, encoder))
            if not number:
                plains.append(plain)
            order = np.argsort(-(hard @ plain.T), axis=1)[:, :5]
            right.append(views.identity[order] == views.identity[:, None])
        first = [float(r[:, 0].mean()) for r in right]
        five = float(np.mean([r.any(1).mean() for r in right]))
        each = ", ".join(f"{f:.4f}" for f in first)
        lines.append(f"| {name} | {np.mean(first):.4f} ({each}) | {five:.4f} |")
    lines += [
        "",
        f"| question | zero-shot {' | '.join(LANGUAGES)} "
        f"| linear probe on ImageNet features of {len(seen):,} pills | commonest answer |",
        "|---|---|---|---|---|---|",
    ]
    train = tfda_views(material, seen, seed=2)
    base_train = imagenet.encode(at(train.plain, imagenet))
    base_test, vectors = plains
    answer_of: dict[str, Callable[[Any], str | None]] = {
        "family": lambda looks: looks.family,
        "colour": lambda looks: looks.colours[0] if len(looks.colours) == 1 else None,
    }
    for question, read in answer_of.items():
        learn, truth = np.array([read(x) for x in train.looks]), np.array([read(x) for x in test.looks])
        known, judged = learn != None, truth != None  # noqa: E711
        probe = LogisticRegression(C=10, max_iter=400).fit(base_train[known], learn[known].astype(str))
        answers = sorted(set(learn[known]))
        zero = [_answers(pill, question, lang, vectors[judged], answers) for lang in LANGUAGES]
        values, counts = np.unique(truth[judged].astype(str), return_counts=True)
        lines.append(
            f"| {question}, {len(values)} answers, {int(judged.sum()):,} pills "
            f"| {' | '.join(f'{(z == truth[judged]).mean():.3f}' for z in zero)} "
            f"| {probe.score(base_test[judged], truth[judged].astype(str)):.3f} "
            f"| {counts.max() / counts.sum():.3f} |"
        )
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, help="work folder of `python -m training`")
    parser.add_argument("--pill", type=Path, help="folder of another pill encoder than the shipped one")
    parser.add_argument("--pills", type=int, default=100_000, help="use only so many held-out pills")
    parser.add_argument("--probe", type=int, default=6000, help="training pills of the linear probe")
    parser.add_argument("--draws", type=int, default=5, help="of the hard views of held-out pills")
    parser.add_argument("--rounds", type=int, default=7, help="of the timings; 0 leaves them out")
    parser.add_argument("--only-speed", action="store_true", help="nothing but the timings")
    given = parser.parse_args()

    def pill(**policy: Any) -> Encoder:
        if given.pill:
            return OnnxEncoder.load(given.pill, threads=2, **policy)
        return load_encoder("pill", threads=2, **policy)

    def imagenet(views: tuple[float, ...], colour: float) -> Encoder:
        return load_encoder("imagenet", views=views, colour_weight=colour, threads=2)

    default = pill()
    share = default.spec.colour_weight
    eight = tuple(45.0 * k for k in range(8))
    encoders: dict[str, Encoder] = {
        "ImageNet Lite0, 224 px": imagenet((0.0,), 0.0),
        "ImageNet Lite0, 4 rotations": imagenet(QUARTERS, 0.0),
        "ImageNet Lite0, 4 rotations + colour": imagenet(QUARTERS, 0.25),
        "pill, 1 view": pill(views=(0.0,), colour_weight=0.0),
        "pill, 2 views (0, 90)": pill(views=(0.0, 90.0), colour_weight=0.0),
        "pill, 4 rotations": pill(views=QUARTERS, colour_weight=0.0),
        "pill, 8 rotations": pill(views=eight, colour_weight=0.0),
        "pill, 1 view + colour": pill(views=(0.0,), colour_weight=share or 0.2),
        "pill, 4 rotations + colour": pill(views=QUARTERS, colour_weight=share or 0.2),
        "pill, default policy": default,
    }
    import onnxruntime

    print(f"Date {date.today()}, {platform.machine()}, 2 threads, ONNX Runtime {onnxruntime.__version__}.")
    if not given.only_speed:
        print("\n" + "\n".join(look_alikes(encoders)))
        print("\n" + "\n".join(pill_or_not(default)))
        if given.work:
            base = encoders["ImageNet Lite0, 4 rotations + colour"]
            print(
                "\n" + "\n".join(held_out(given.work, default, base, given.pills, given.probe, given.draws)),
                flush=True,
            )
    if given.rounds:
        print("\n" + "\n".join(speeds(encoders, given.rounds)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
