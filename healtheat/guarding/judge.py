"""Whether a proposed relabelling collapses classes: `judge` measures, `checks` decides, both pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from healtheat.core.boxes import NO_CLASS, rows_of
from healtheat.core.errors import InputError
from healtheat.core.text import counted
from healtheat.guarding.checks import ESTABLISHED, against_current, against_names, alone
from healtheat.guarding.pairs import MAX_BOXES_PER_IMAGE, pair_boxes, pair_images
from healtheat.guarding.report import Check, Comparison, Flow, GuardReport, NameAgreement
from healtheat.guarding.shares import shares
from healtheat.sources.label_set import LabelSet

MIN_BOXES = 20  # below, no verdict but "ok" can be founded
MIN_NAMED_SHARE = 0.5  # of the boxes, before the names of their images stand in for a comparison

Listed = Sequence[Mapping[int, int] | None]  # for each image: class id → how often its name lists it


def judge(proposed: LabelSet, current: LabelSet | None = None, expected: Listed | None = None) -> GuardReport:
    """The guard's report on `proposed`.

    `current` are the present labels; images that only one of the two has are left out of the comparison.
    `expected` goes with `proposed.images`: what the name of each image lists, None where it says nothing.
    InputError where the two share no image, or no class id, or where there is no box at all to judge.
    """
    if expected is not None and len(expected) != len(proposed.images):
        raise ValueError(f"expected: {len(proposed.images)} images, found {len(expected)}")
    notes: list[str] = []
    spread = shares(Counter(proposed.boxes.class_id.tolist()), proposed.names)
    by_name = None if expected is None else agreement(proposed, expected)
    named = by_name is not None and by_name.boxes >= max(MIN_BOXES, MIN_NAMED_SHARE * spread.boxes)
    comparison = None
    if current is not None:
        comparison, more = compare(proposed, current, expected)
        notes += more
    checks: list[Check] = []
    if comparison is None and not spread.boxes:
        raise InputError("the proposal has no box that could be read: nothing to judge")
    if max(spread.boxes, comparison.current.boxes if comparison else 0) < MIN_BOXES:
        notes.append(f"only {counted(spread.boxes, 'box')}: too few to judge ({MIN_BOXES} are needed)")
    else:
        if named and by_name is not None and by_name.boxes:
            checks += against_names(by_name, comparison.agreement if comparison else None)
        if comparison is not None:
            checks += against_current(comparison)
        elif not named:
            notes.append(
                "nothing to compare with: judged by its spread over the classes alone, "
                "which only sees a gross collapse"
            )
            checks += alone(spread)
    names = {**(current.names if current else {}), **proposed.names}
    return GuardReport(
        verdict="collapse" if any(check.failed for check in checks) else "ok",
        checks=tuple(checks),
        images=len(proposed.images),
        proposed=spread,
        agreement=by_name,
        comparison=comparison,
        names=names,
        notes=tuple(notes),
    )


def agreement(
    labels: LabelSet, expected: Listed, images: Sequence[int] | None = None
) -> NameAgreement | None:
    """How far boxes carry classes that their image's name lists; None where no name says anything.

    `images`: places to look at, all by default.
    """
    class_id = labels.boxes.class_id
    wrong: Counter[int] = Counter()
    total = read = right = 0
    rows = rows_of(labels.boxes.image_id, len(labels.images))
    for place in range(len(labels.images)) if images is None else images:
        listed = expected[place]
        if listed is None:
            continue
        found = Counter(class_id[rows[place]].tolist())
        read += 1
        right += found == Counter(dict(listed))
        total += sum(found.values())
        wrong.update({c: n for c, n in found.items() if not listed.get(c)})
    if not read:
        return None
    sink, often = min(wrong.items(), key=lambda item: (-item[1], item[0])) if wrong else (NO_CLASS, 0)
    agreeing = total - sum(wrong.values())
    return NameAgreement(total, agreeing, agreeing / total if total else 1.0, read, right, sink, often)


def compare(
    proposed: LabelSet, current: LabelSet, expected: Listed | None = None
) -> tuple[Comparison, list[str]]:
    """The comparison on the images both have, and notes on what was left out. InputError: see `judge`."""
    partner = pair_images(proposed.images, current.images)
    both = np.flatnonzero(partner >= 0)
    if not len(both):
        raise InputError(
            "no image in common: the proposal names "
            f"{_first(proposed.images)}, the present labels {_first(current.images)}"
        )
    notes = []
    if len(both) < len(proposed.images):
        notes.append(
            f"images of the proposal that are not in the present labels: {len(proposed.images) - len(both)}"
        )
    new_rows = rows_of(proposed.boxes.image_id, len(proposed.images))
    old_rows = rows_of(current.boxes.image_id, len(current.images))
    before: Counter[int] = Counter()
    after: Counter[int] = Counter()
    flow: Counter[tuple[int, int]] = Counter()
    crowded = 0
    new_box, old_box = proposed.boxes.xyxyn, current.boxes.xyxyn
    for place in both.tolist():
        new, old = new_rows[place], old_rows[int(partner[place])]
        to, was = proposed.boxes.class_id[new], current.boxes.class_id[old]
        after.update(to.tolist())
        before.update(was.tolist())
        if max(len(new), len(old)) > MAX_BOXES_PER_IMAGE:
            crowded += 1
            continue
        i, j = pair_boxes(new_box[new], to, old_box[old], was)
        flow.update(zip(was[j].tolist(), to[i].tolist(), strict=True))
    if before and after and not set(after) & (set(before) | set(current.names)):
        raise InputError(
            f"no class id in common: the proposal has {_some(after)}, the present labels {_some(before)}; "
            "class ids must mean the same in both"
        )
    if crowded:
        notes.append(
            f"left out of the flow: {counted(crowded, 'image')} with over {MAX_BOXES_PER_IMAGE} boxes"
        )
    declared = set(proposed.names) | set(current.names) | set(before)
    flows = [Flow(a, b, n) for (a, b), n in sorted(flow.items(), key=lambda f: (-f[1], f[0])) if a != b]
    dying = {c: n for c, n in sorted(before.items()) if n >= ESTABLISHED and not after[c]}
    common = None
    if expected is not None:
        old_expected: list[Mapping[int, int] | None] = [None] * len(current.images)
        for place in both.tolist():
            old_expected[int(partner[place])] = expected[place]
        common = agreement(current, old_expected, partner[both].tolist())
    return Comparison(
        images=len(both),
        proposed=shares(after, declared),
        current=shares(before, declared),
        matched=sum(flow.values()),
        changed=sum(f.boxes for f in flows),
        flows=tuple(flows),
        dying=dying,
        agreement=common,
    ), notes


def _first(paths: Sequence[str]) -> str:
    return paths[0][:80] if paths else "none"


def _some(counts: Mapping[int, int]) -> str:
    ids = sorted(counts)
    return ", ".join(map(str, ids[:5])) + (" …" if len(ids) > 5 else "")
