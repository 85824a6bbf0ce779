"""Does the box look like its class? By models that never saw its source, its nearest crops, its image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from healtheat.core.boxes import NO_CLASS
from healtheat.core.text import counted
from healtheat.signals.base import Scores, Signal
from healtheat.signals.evidence.beliefs import DOUBT, Beliefs, judged_beliefs
from healtheat.signals.evidence.calibrate import smooth_probability
from healtheat.signals.evidence.classmodel import class_log_probabilities
from healtheat.signals.evidence.listed import Assigned
from healtheat.signals.evidence.noise import label_noise
from healtheat.signals.evidence.stray import strays
from healtheat.signals.evidence.trust import SURE, expected_agreement, trust
from healtheat.signals.samples import Pool, Samples

Floats = NDArray[np.float64]


def surprise(p: Floats, code: NDArray[np.int64], floor: float) -> Floats:
    """(n,) negative log of (chance `p` (n, c) of the given class + floor), 0 at most for a sure one.

    Self-confidence (Northcutt, Jiang, Chuang: Confident learning, JAIR 2021), not the margin to the best
    other class: between look-alikes that is small whether the label is right or wrong. The floor is what the
    model may be wrong by: it keeps one in a million from meaning more than one in a thousand.
    """
    return np.asarray(-np.log(p[np.arange(len(p)), code] + floor))


def foreign_share(other: NDArray[np.int64], code: NDArray[np.int64], k: int = 5) -> Floats:
    """(n,) share of other classes among the k nearest crops of other sources; 0 where there are none.

    `other` (n, >= k) are row numbers, -1 for none. Image and models cannot argue it away.
    """
    near = other[:, :k]
    known = near >= 0
    foreign = (code[near] != code[:, None]) & known
    return np.asarray(foreign.sum(axis=1) / np.maximum(known.sum(axis=1), 1))


class Label(Signal):
    """Issue mislabel. Raw: how unlikely the given class is; score: chance of an error."""

    name = "label"
    issues = ("mislabel",)

    def __init__(
        self,
        *,
        k: int = 10,
        floor: float = 0.1,
        foreign: float = 0.5,
        doubt: float = DOUBT,
        fewest: int = 3,
    ) -> None:
        self.k = k  # nearest crops told about
        self.floor = floor  # probability that means nothing in the order of the boxes
        self.foreign = foreign  # worth of a neighbourhood of nothing but other classes, beside the models
        self.doubt = doubt  # chance that the class model knows nothing about a box
        self.fewest = fewest  # boxes a class needs to be judged

    def measure(self, queries: Samples, store: Samples) -> Sequence[Scores]:
        if not len(queries):
            return []
        pool, visual, beliefs = judged_beliefs(queries, store)
        samples, judged = pool.samples, pool.judged
        n, c = len(samples), len(samples.class_ids)
        code, named = samples.class_code, beliefs.assigned
        p = np.exp(beliefs.log_p)
        known = np.zeros(n, bool) if named is None else named.known
        if named is not None:
            p[known] = named.posterior[known]
        others = p.copy()
        others[np.arange(n), code] = -1
        best = others.argmax(axis=1)
        beaten = others.max(axis=1, initial=0) > p[np.arange(n), code]
        suggestion = np.where(beaten & (c > 1), samples.class_ids[best], NO_CLASS)
        raw, score, contradicted = np.zeros(n), np.zeros(n), np.zeros(n, bool)
        suspect, share = contradicted, np.nan
        if c > 1:
            raw = surprise(p, code, self.floor) + self.foreign * foreign_share(pool.neighbours.other, code)
            suspect = beaten
            noise = label_noise(np.exp(beliefs.log_p), code, self.doubt, pool.teaches)
            share = noise.share
            score = smooth_probability(raw, noise.wrong, pool.teaches & ~known)
        if named is not None:
            score[known] = named.wrong[known]
            contradicted = known & (named.wrong > p[np.arange(n), code])
            suggestion[known] = np.where(contradicted, named.suggestion, NO_CLASS)[known]
        mixed_up = _mixed_up(pool, visual, best, beliefs)
        reason, evidence = self._explain(pool, p, best, suspect, named)
        why = self._too_little(pool)
        strange = _strays(pool, why, contradicted)
        for at, found in (strange or {}).items():
            row = pool.judged[at]
            score[row], contradicted[row], reason[at] = found.chance, True, found.words
            raw[row], suggestion[row] = np.log(found.chance / (1 - found.chance)), found.class_id
        return [
            Scores.of(
                self,
                "mislabel",
                queries,
                raw=raw[judged],
                score=np.clip(score[judged], 0, 1),
                reason=reason,
                abstain=[
                    None if contradicted[row] else _untold(why[code[row]], strange is not None)
                    for row in judged
                ],
                withheld=[mixed_up[row] if suspect[row] else None for row in judged],
                suggestion=suggestion[judged],
                evidence=evidence,
                share=share,
            )
        ]

    def _too_little(self, pool: Pool) -> list[str | None]:
        """For each class why it cannot be judged at all, None where it can."""
        samples = pool.samples
        code, group = samples.class_code[pool.teaches], samples.group[pool.teaches]
        counts = np.bincount(code, minlength=len(samples.class_ids))
        why: list[str | None] = []
        for at, class_id in enumerate(samples.class_ids):
            sources = len(np.unique(group[code == at]))
            name, count = samples.name(class_id), int(counts[at])
            if np.count_nonzero(counts) < 2:
                why.append("only one class in this dataset: nothing to compare with")
            elif count < self.fewest:
                why.append(f"class {name} has {counted(count, 'box')}, {self.fewest} are needed")
            elif sources < 2:
                why.append(f"class {name} is on images of one source only: no other source can vouch for it")
            else:
                why.append(None)
        return why

    def _explain(
        self,
        pool: Pool,
        p: Floats,
        best: NDArray[np.int64],
        suspect: NDArray[np.bool_],
        named: Assigned | None,
    ) -> tuple[list[str], list[dict[str, Any]]]:
        samples = pool.samples
        near = pool.neighbours.other[:, : self.k]
        ids, code, image = samples.boxes.box_id, samples.class_code, samples.image_row
        names = [samples.name(class_id) for class_id in samples.class_ids]
        on_image = np.zeros((len(samples.images), len(names)), np.int64)
        np.add.at(on_image, (image, code), 1)
        reasons, evidence = [], []
        for row in pool.judged.tolist():
            found = near[row][near[row] >= 0]
            mine, theirs = found[code[found] == code[row]], found[code[found] == best[row]]
            own, other = names[code[row]], names[best[row]]
            words = (
                f"{len(theirs) or 'none'} of its {len(found)} nearest crops from other images "
                f"{'is' if len(theirs) == 1 else 'are'} {other}, "
                f"{len(mine) or 'none'} {'is' if len(mine) == 1 else 'are'} {own}"
            )
            again = on_image[image[row], code[row]] - 1
            if suspect[row] and again and not on_image[image[row], best[row]]:
                words += f"; the image has {again} more {own} and no {other}"
            if suspect[row] and len(theirs) <= len(mine):
                says = f"{other} {p[row, best[row]]:.0%}, {own} {p[row, code[row]]:.0%}"
                words += f"; all evidence together: {says}"
            if named is not None and named.known[row]:
                words = f"{_by_name(samples, named, row)}; {words}"
            facts: dict[str, Any] = {
                "p_own": round(float(p[row, code[row]]), 4),
                "p_other": round(float(p[row, best[row]]), 4),
                "own_neighbours": ids[mine[:4]].tolist(),
                "suggested_neighbours": ids[theirs[:4]].tolist(),
            }
            reasons.append(words)
            evidence.append(facts)
        return reasons, evidence


def _by_name(samples: Samples, named: Assigned, row: int) -> str:
    own, other = samples.name(samples.boxes.class_id[row]), int(named.suggestion[row])
    says = "lists" if named.fits[row] else "does not list, or not as often,"
    if named.wrong[row] <= 0.5 or other == NO_CLASS:
        return f"the image's name {says} {own}"
    return f"the image's name {says} {own}; {samples.name(other)} is left for this box"


class _Stray(NamedTuple):
    chance: float
    class_id: int
    words: str


def _untold(why: str | None, compared: bool) -> str | None:
    """`why` a box cannot be judged by its class, and that it is no stray either if that was asked."""
    return f"{why}; compared with the other classes, and no clear member of one" if why and compared else why


def _strays(pool: Pool, why: Sequence[str | None], named: NDArray[np.bool_]) -> dict[int, _Stray] | None:
    """Place among the judged → what its class is rather, for boxes of classes too small to judge.

    None where there are too few other classes to compare with. Boxes that the image's name decides about
    (`named`) are left out, and those that are likelier genuine.
    """
    samples = pool.samples
    small = np.array([text is not None for text in why], bool)[samples.class_code] & ~named
    asked = np.flatnonzero(small)
    found = strays(samples.vectors, samples.class_code, samples.group, asked, pool.teaches)
    if found is None:
        return None
    place = {row: at for at, row in enumerate(pool.judged.tolist())}
    out = {}
    for row, chance, code, times in zip(asked.tolist(), found.chance, found.code, found.times, strict=True):
        if row in place and chance >= 0.5:
            own, other = (samples.name(samples.class_ids[k]) for k in (samples.class_code[row], code))
            words = (
                f"{why[samples.class_code[row]]}; it lies {times:.1f} times as far from {other} as boxes of "
                f"{other} do, which a box of a class of its own, such as {own}, seldom does"
            )
            out[place[row]] = _Stray(min(float(chance), 0.999), int(samples.class_ids[code]), words)
    return out


def _mixed_up(
    pool: Pool, visual: Sequence[Floats], best: NDArray[np.int64], beliefs: Beliefs
) -> list[str | None]:
    """Why a flag on each box would mean nothing: its class and the suggested one cannot be told apart.

    A name that does not list the box's class tells them apart, and so do other images of the same object.
    """
    samples = pool.samples
    if len(samples.class_ids) < 2:
        return [None] * len(samples)
    # By the crop alone: what the image says of two look-alikes is often a coin toss.
    log_p = class_log_probabilities(pool, visual)
    apart = trust(samples, log_p, teaches=pool.teaches).can_tell(samples.class_code, best)
    taught, doubted = pool.teaches, np.flatnonzero(~apart)  # wrong labels lower the agreement too
    expected = expected_agreement(
        np.exp(log_p[taught]), samples.class_code[taught], samples.class_code[doubted], best[doubted]
    )
    apart[doubted] = expected >= SURE
    at = np.arange(len(samples))
    apart |= beliefs.copies[at, best] > beliefs.copies[at, samples.class_code]
    if beliefs.assigned is not None:
        apart |= beliefs.assigned.known & ~beliefs.assigned.fits
    names = [samples.name(class_id) for class_id in samples.class_ids]
    return [
        None if ok else f"this encoder mixes up {names[a]} and {names[b]} on this data"
        for ok, a, b in zip(apart, samples.class_code, best, strict=True)
    ]
