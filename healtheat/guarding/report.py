"""What the guard answers: a verdict, the checks behind it, and every figure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from healtheat.core.text import counted
from healtheat.guarding.shares import Shares


@dataclass(frozen=True, slots=True)
class Check:
    """One reason to speak of a collapse: `measured` against `limit`, and the sentence for people."""

    name: str
    measured: float
    limit: float
    failed: bool
    text: str


@dataclass(frozen=True, slots=True)
class NameAgreement:
    """What the names of the images say of boxes: `boxes` boxes stand on images whose name could be read.

    `agreeing`: their class is on the image at all. `images_right` of `images`: the boxes are exactly what
    the name lists. `sink_class` is the class that most disagreeing boxes carry, `sink_boxes` of them.
    """

    boxes: int
    agreeing: int
    share: float
    images: int
    images_right: int
    sink_class: int
    sink_boxes: int


@dataclass(frozen=True, slots=True)
class Flow:
    """`boxes` boxes of the present labels became class `to_class` from class `from_class`."""

    from_class: int
    to_class: int
    boxes: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Proposed against present, on the `images` that both have.

    `matched` boxes are on the same image with IoU ≥ 0.5; `changed` of them have another class. `flows` are
    those changes, largest first. `proposed` and `current` are the spreads on these images. `dying`: class id
    → boxes it has now, for classes of at least five boxes that have none as proposed.
    """

    images: int
    proposed: Shares
    current: Shares
    matched: int
    changed: int
    flows: tuple[Flow, ...]
    dying: Mapping[int, int]
    agreement: NameAgreement | None


@dataclass(frozen=True, slots=True)
class GuardReport:
    """`verdict` is "collapse" where any check failed, else "ok"."""

    verdict: str
    checks: tuple[Check, ...]
    images: int
    proposed: Shares
    agreement: NameAgreement | None
    comparison: Comparison | None
    names: Mapping[int, str]
    notes: tuple[str, ...]

    @property
    def summary(self) -> str:
        """The figures people ask for first, in a line."""
        p = self.proposed
        parts = [
            f"{p.top_share:.0%} in one class",
            f"{p.alive} of {counted(p.classes, 'class')} alive",
        ]
        if self.comparison is not None:
            parts.append(f"{self.comparison.changed} of {counted(self.comparison.matched, 'box')} changed")
        if self.agreement is not None:
            parts.append(f"{self.agreement.share:.1%} in agreement with the images' names")
        return ", ".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON can hold it; classes as {"class_id", "name"}."""

        def of(class_id: int) -> dict[str, Any] | None:
            return {"class_id": class_id, "name": self.names.get(class_id, "")} if class_id >= 0 else None

        def spread(s: Shares) -> dict[str, Any]:
            return {
                "boxes": s.boxes,
                "classes": s.classes,
                "alive": s.alive,
                "dead": [of(c) for c in s.dead],
                "top_class": of(s.top_class),
                "top_share": s.top_share,
                "entropy_nats": s.entropy_nats,
                "normalised_entropy": s.normalised_entropy,
                "effective_classes": s.effective_classes,
                "counts": [{**(of(c) or {}), "boxes": n, "share": n / s.boxes} for c, n in s.counts.items()],
            }

        def agreement(a: NameAgreement | None) -> dict[str, Any] | None:
            if a is None:
                return None
            return {
                "boxes": a.boxes,
                "agreeing": a.agreeing,
                "share": a.share,
                "images": a.images,
                "images_right": a.images_right,
                "sink_class": of(a.sink_class),
                "sink_boxes": a.sink_boxes,
            }

        c = self.comparison
        return {
            "verdict": self.verdict,
            "summary": self.summary,
            "checks": [
                {"name": k.name, "measured": k.measured, "limit": k.limit, "failed": k.failed, "text": k.text}
                for k in self.checks
            ],
            "images": self.images,
            "proposed": spread(self.proposed),
            "agreement": agreement(self.agreement),
            "comparison": None
            if c is None
            else {
                "images": c.images,
                "proposed": spread(c.proposed),
                "current": spread(c.current),
                "matched": c.matched,
                "changed": c.changed,
                "flows": [
                    {"from": of(f.from_class), "to": of(f.to_class), "boxes": f.boxes} for f in c.flows
                ],
                "dying": [{**(of(k) or {}), "boxes": n} for k, n in c.dying.items()],
                "agreement": agreement(c.agreement),
            },
            "notes": list(self.notes),
        }
