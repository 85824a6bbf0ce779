"""Does the box look like its class? Out-of-sample predictions, own-class against other-class neighbours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from healtheat.boxes import NO_CLASS
from healtheat.signals.base import Samples, Scores, Signal
from healtheat.signals.classmodel import class_log_probabilities


class Label(Signal):
    """Issue mislabel. Raw: log odds of the best other class against the given one."""

    name = "label"
    issues = ("mislabel",)

    def __init__(self, *, k: int = 10, rate: float = 0.05) -> None:
        self.k = k
        self.rate = rate  # share of wrong labels expected beforehand

    def measure(self, samples: Samples) -> Sequence[Scores]:
        n, c = len(samples), len(samples.class_ids)
        if not n:
            return []
        log_p = class_log_probabilities(samples)
        rows = np.arange(n)
        own = log_p[rows, samples.class_code]
        others = log_p.copy()
        others[rows, samples.class_code] = -np.inf
        best = others.argmax(axis=1)
        margin = (others[rows, best] if c > 1 else own) - own
        p_own = np.exp(own)
        wrong = self.rate * (1 - p_own)
        score = wrong / (wrong + (1 - self.rate) * p_own * max(c - 1, 1) / 4)
        groups_of = [len(np.unique(samples.group[samples.class_code == k])) for k in range(c)]
        abstain: list[str | None] = [None] * n
        for row in rows:
            code = samples.class_code[row]
            name = samples.name(samples.class_ids[code])
            if c < 2:
                abstain[row] = "only one class in this dataset: nothing to compare with"
            elif samples.class_count[code] < 3:
                abstain[row] = f"class {name} has {samples.class_count[code]} boxes: too few to judge"
            elif groups_of[code] < 2:
                abstain[row] = (
                    f"class {name} is on photos of one source only: no other source can vouch for it"
                )
        near = samples.neighbours.other[:, : self.k]
        reason, evidence = [], []
        suggestion = np.full(n, NO_CLASS, np.int64)
        for row in rows:
            found = near[row][near[row] >= 0]
            codes = samples.class_code[found]
            mine, theirs = int((codes == samples.class_code[row]).sum()), int((codes == best[row]).sum())
            if margin[row] > 0 and c > 1:
                suggestion[row] = samples.class_ids[best[row]]
            own_name, other_name = (
                samples.name(samples.boxes.class_id[row]),
                samples.name(samples.class_ids[best[row]]),
            )
            reason.append(
                f"{theirs} of its {len(found)} nearest crops from other photos are {other_name}, "
                f"{mine or 'none'} {'is' if mine == 1 else 'are'} {own_name}"
            )
            evidence.append(
                {
                    "p_own": round(float(p_own[row]), 4),
                    "p_other": round(float(np.exp(others[row, best[row]])), 4) if c > 1 else 0.0,
                    "own_neighbours": samples.boxes.box_id[
                        found[codes == samples.class_code[row]][:4]
                    ].tolist(),
                    "suggested_neighbours": samples.boxes.box_id[found[codes == best[row]][:4]].tolist(),
                }
            )
        return [
            Scores.of(
                self,
                "mislabel",
                samples,
                raw=np.clip(margin, -50, 50),
                score=np.clip(score, 0, 1),
                reason=reason,
                abstain=abstain,
                suggestion=suggestion,
                evidence=evidence,
            )
        ]
