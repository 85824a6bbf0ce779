"""The tables of end_to_end.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from statistics import mean, stdev
from textwrap import fill
from typing import Any

Result = Mapping[str, Any]  # result.json of a run
PAIRS = (
    ("boxes", "dirty"),
    ("images", "dirty"),
    ("mask", "dirty"),
    ("images", "boxes"),
    ("mask", "boxes"),
    ("boxes", "random"),
    ("clean", "dirty"),
)
WORDS = {
    "dirty": "errors left in",
    "boxes": "lines left out",
    "images": "whole images left out",
    "mask": "lines left out, pixels greyed out",
    "random": "as many lines at random",
    "clean": "nothing planted",
}


def report(results: Sequence[Result], sets: Mapping[str, Any], machine: str) -> str:
    """Markdown, with a section for each setting of the training, the longest first.

    `sets`: what end_to_end.py prepared, of the split and by seed; runs may still be missing.
    """
    groups: dict[tuple[Any, ...], list[Result]] = {}
    for result in results:
        own = result["settings"]
        key = (
            own["epochs"] * own["imgsz"] ** 2,
            *(own[name] for name in ("epochs", "imgsz", "batch", "bf16", "device")),
        )
        groups.setdefault(key, []).append(result)
    seeds = sorted({r["seed"] for r in results})
    settings = results[0]["settings"]
    lines = [
        "# Does cleaning pay, end to end?",
        "",
        f"`python -m benchmarks.end_to_end`, {datetime.now(UTC):%Y-%m-%d}, {machine}, "
        f"torch {settings['torch']}, ultralytics {settings['ultralytics']}.",
        "",
        _text(_DATA, **sets["split"]),
        "",
        _text(_TRAINING, **settings),
    ]
    for key in sorted(groups, reverse=True):
        lines += ["", *_section(groups[key])]
    lines += ["", *_dropped({seed: sets["seeds"][seed] for seed in seeds}), ""]
    return "\n".join(lines)


def _section(results: Sequence[Result]) -> list[str]:
    of = {(r["seed"], r["arm"]): r for r in results}
    seeds = sorted({r["seed"] for r in results})
    arms = [arm for arm in WORDS if any(r["arm"] == arm for r in results)]
    own = results[0]["settings"]
    options = (
        f"--epochs {own['epochs']} --imgsz {own['imgsz']} --batch {own['batch']} --device {own['device']}"
        + " --bf16" * own["bf16"]
    )
    columns = " | ".join(f"seed {seed}" for seed in seeds)
    lines = [
        f"## {own['epochs']} epochs at {own['imgsz']} px",
        "",
        f"`{options}`, on {', '.join(sorted({r['processor'] for r in results}))}. {_time(results)}",
    ]
    for title, key in (("mAP50", "map50"), ("mAP50-95", "map50_95")):
        lines += ["", f"| {title} | {columns} | mean |", "|---" * (len(seeds) + 2) + "|"]
        for arm in arms:
            values = [of[seed, arm][key] if (seed, arm) in of else None for seed in seeds]
            lines.append(_row(f"`{arm}`, {WORDS[arm]}", values))
    lines += [
        "",
        f"| difference in mAP50 | {columns} | mean | standard deviation |",
        "|---" * (len(seeds) + 3) + "|",
    ]
    for better, worse in PAIRS:
        gaps: list[float | None] = [
            of[seed, better]["map50"] - of[seed, worse]["map50"]
            if (seed, better) in of and (seed, worse) in of
            else None
            for seed in seeds
        ]
        known = [gap for gap in gaps if gap is not None]
        if known:
            spread = f"{stdev(known):.3f}" if len(known) > 1 else ""
            lines.append(f"{_row(f'{better} − {worse}', gaps, '+.3f')} {spread} |")
    return lines


_DATA = """
Images: pushin-pill (CC BY 4.0, Roboflow Universe `jason136/pushin-pill`), all 17 classes, split by source
once for all seeds: {train_images} images of {train_sources} sources to train on, {test_images} images of
{test_sources} others ({test_boxes} boxes, labels as published) to test on. Errors are planted in the
training labels alone by the shared script: profile `mixed`, {rate:.0%} of the boxes (look-alike confusions,
boxes moved or as large as the image, missing boxes, boxes on background), in each of a source's copies on
its own. `boxes`, `images` and `mask` are what `healtheat export --format yolo --drop …` writes, with its
other settings as they are by default and the encoder `{encoder}`; it sees only the labels with errors.
`random` loses as many lines as `boxes`, each as likely as any other.
"""
_TRAINING = """
All arms of a seed start from the same weights, none pretrained, and share every setting: `yolo11n.yaml`,
{optimizer}, learning rate {lr0} (cosine), an optimizer step each batch, the rest as Ultralytics has it, with
`--bf16` its layers in bfloat16 while training. Measured are the weights of the last epoch, on the images of
the other sources. An epoch has as many steps as an arm has images for, so `images` trains for fewer. Settings
were chosen on seed 10, which is not reported, with the same test images.
"""
_DROPPED = """
Planted: wrong lines in the training labels; lines taken away cannot be dropped. A dropped line that was not
planted may still be wrong in the published set.
"""


def _text(template: str, **values: Any) -> str:
    return fill(" ".join(template.split()).format(**values), 110)


def _row(name: str, values: Sequence[float | None], form: str = ".3f") -> str:
    known = [value for value in values if value is not None]
    cells = ["" if value is None else format(value, form) for value in values]
    return f"| {name} | {' | '.join(cells)} | {format(mean(known), form) if known else ''} |"


def _dropped(seeds: Mapping[int, Mapping[str, Any]]) -> list[str]:
    lines = [
        "## What was dropped",
        "",
        _text(_DROPPED),
        "",
        "| seed | arm | lines | planted | taken away | dropped | planted among them | precision | recall "
        "| images left out |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for seed, about in seeds.items():
        for arm in ("boxes", "images", "mask", "random"):
            own = about["arms"][arm]
            gone, hit = own["dropped"], own["dropped_errors"]
            lines.append(
                f"| {seed} | `{arm}` | {about['boxes']} | {about['errors']} | {about['missing']} | {gone} "
                f"| {hit} | {hit / max(gone, 1):.2f} | {hit / max(about['errors'], 1):.2f} "
                f"| {own['images_out']} |"
            )
    issues = sorted({issue for about in seeds.values() for issue in about["issues"]})
    lines += [
        "",
        "Lines by the leading issue for which they are left out, and the planted among them:",
        "",
        "| seed | " + " | ".join(f"`{issue}`" for issue in issues) + " |",
        "|---" * (len(issues) + 1) + "|",
    ]
    for seed, about in seeds.items():
        cells = [
            "{1} of {0}".format(*about["issues"][issue]) if issue in about["issues"] else ""
            for issue in issues
        ]
        lines.append(f"| {seed} | {' | '.join(cells)} |")
    return lines


def _time(results: Sequence[Result]) -> str:
    wall, cpu = ([r[key] / 60 for r in results] for key in ("seconds", "cpu_seconds"))
    return (
        f"{len(results)} runs of {min(cpu):.1f} to {max(cpu):.1f} minutes of processor time each; they took "
        f"{min(wall):.0f} to {max(wall):.0f}, beside others."
    )
