"""What every signal answers (Scores, or Silence of core/issues.py), and what it is (Signal).

A signal asks one question of every box and answers with a raw measure and a score in [0, 1], 1 = most
suspicious, scaled as far as possible to the probability that the box has this issue, so that scores of
different issues can stand in one ranking. It does not decide what is flagged: findings/flag.py does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from healtheat.core.boxes import NO_CLASS
from healtheat.core.issues import ISSUES, Silence
from healtheat.signals.samples import Samples

NO_BOX = -1  # where there is no other box; real box ids are never negative


@dataclass(frozen=True)
class Scores:
    """One signal's answer: m rows. `of` makes one row per box, `of_images` rows about images or files.

    `evidence` and `reason` are for people: what programs need has a field of its own.
    """

    signal: str
    issue: str
    box_id: NDArray[np.int64]  # (m,) -1 for rows about an image or a file
    image_id: NDArray[np.int64]  # (m,) -1 where unknown
    line: NDArray[np.int64]  # (m,) 0-based label line, -1 where there is none
    class_id: NDArray[np.int64]  # (m,) of the box or of what is missing, NO_CLASS where there is none
    raw: NDArray[np.float64]  # (m,) the measure itself, NaN where there is none
    score: NDArray[np.float64]  # (m,) in [0, 1], NaN where the signal abstains
    abstain: NDArray[np.object_]  # (m,) str, why it abstains; None where it judges
    withheld: NDArray[np.object_]  # (m,) str, why the score should flag nothing; None where it may
    reason: NDArray[np.object_]  # (m,) str, in words
    suggestion: NDArray[np.int64]  # (m,) class id, NO_CLASS if none
    twin_box_id: NDArray[np.int64]  # (m,) the other box of a duplicate, NO_BOX if none
    place: NDArray[np.float64]  # (m, 4) proposed xywhn of a missing or misplaced box, NaN if none
    evidence: Sequence[Mapping[str, Any]]  # (m) small, JSON-able
    share: float = np.nan  # of the boxes in the store that have this issue, NaN where it was not learned

    def __post_init__(self) -> None:
        if self.issue not in ISSUES:
            raise ValueError(f"signal {self.signal}: unknown issue {self.issue!r}")
        m = len(self.box_id)
        for column in fields(self):
            value = getattr(self, column.name)
            if column.name not in ("signal", "issue", "share") and len(value) != m:
                raise ValueError(f"signal {self.signal}: {column.name} has {len(value)} rows, not {m}")
        if self.place.shape != (m, 4):
            raise ValueError(f"signal {self.signal}: place: expected {(m, 4)}, found {self.place.shape}")
        known = ~np.isnan(self.place)
        if np.isinf(self.place).any() or (known.any(axis=1) != known.all(axis=1)).any():
            raise ValueError(f"signal {self.signal}: a place must be four finite numbers, or none")
        if np.isinf(self.raw).any():
            raise ValueError(f"signal {self.signal}: a raw measure is infinite")
        judged = ~np.isnan(self.score)
        if ((self.score[judged] < 0) | (self.score[judged] > 1)).any():
            raise ValueError(f"signal {self.signal}: a score lies outside [0, 1]")
        if (judged == np.array([a is not None for a in self.abstain], bool)).any():
            raise ValueError(f"signal {self.signal}: abstain must be given exactly where score is null")
        box = self.box_id[self.box_id >= 0]
        if len(np.unique(box)) != len(box):
            raise ValueError(f"signal {self.signal}: two rows for one box")

    @classmethod
    def of(
        cls,
        signal: Signal,
        issue: str,
        samples: Samples,
        *,
        raw: ArrayLike,
        score: ArrayLike,
        reason: Sequence[str],
        abstain: Sequence[str | None] | None = None,
        withheld: Sequence[str | None] | None = None,
        suggestion: ArrayLike | None = None,
        twin_box_id: ArrayLike | None = None,
        place: ArrayLike | None = None,
        evidence: Sequence[Mapping[str, Any]] | None = None,
        share: float = np.nan,
    ) -> Scores:
        """One row per box, in the order of `samples`. Where `abstain` is given, the score becomes null."""
        n = len(samples)
        why = _text([None] * n if abstain is None else abstain)
        values = np.asarray(score, np.float64).copy()
        values[np.array([a is not None for a in why], bool)] = np.nan
        return cls(
            signal=signal.name,
            issue=issue,
            box_id=samples.boxes.box_id,
            image_id=samples.boxes.image_id,
            line=samples.boxes.line,
            class_id=samples.boxes.class_id,
            raw=np.asarray(raw, np.float64),
            score=values,
            abstain=why,
            withheld=_text([None] * n if withheld is None else withheld),
            reason=_text(reason),
            suggestion=_ids(suggestion, n, NO_CLASS),
            twin_box_id=_ids(twin_box_id, n, NO_BOX),
            place=_places(place, n),
            evidence=[{}] * n if evidence is None else evidence,
            share=share,
        )

    @classmethod
    def of_images(
        cls,
        signal: Signal,
        issue: str,
        *,
        image_id: ArrayLike,
        score: ArrayLike,
        reason: Sequence[str],
        raw: ArrayLike | None = None,
        line: ArrayLike | None = None,
        class_id: ArrayLike | None = None,
        place: ArrayLike | None = None,
        suggestion: ArrayLike | None = None,
        evidence: Sequence[Mapping[str, Any]] | None = None,
    ) -> Scores:
        """Rows about images or files; `line` and `class_id` are -1 where there is none, `raw` is the score.

        A row about a whole split has image_id -1, and as `raw` the number of its images that it is about.
        """
        ids = np.asarray(image_id, np.int64).reshape(-1)
        values = np.asarray(score, np.float64).reshape(-1)
        m = len(ids)
        return cls(
            signal=signal.name,
            issue=issue,
            box_id=np.full(m, -1, np.int64),
            image_id=ids,
            line=_ids(line, m, -1),
            class_id=_ids(class_id, m, NO_CLASS),
            raw=values if raw is None else np.asarray(raw, np.float64).reshape(-1),
            score=values,
            abstain=_text([None] * m),
            withheld=_text([None] * m),
            reason=_text(reason),
            suggestion=_ids(suggestion, m, NO_CLASS),
            twin_box_id=_ids(None, m, NO_BOX),
            place=_places(place, m),
            evidence=[{}] * m if evidence is None else evidence,
        )


class Signal(ABC):
    """One question. Configuration in `__init__`, data in `measure`, the maths in pure functions of arrays."""

    name: str
    issues: tuple[str, ...]
    yields_to: str | None = None  # a signal that knows more of the same issue, and runs before this one

    @abstractmethod
    def measure(self, queries: Samples, store: Samples) -> Sequence[Scores | Silence]:
        """One Scores per issue it can judge, about `queries` alone; empty if it has nothing to say at all.

        A question that makes no sense on this set is answered by a `Silence`, which people are shown.

        What is usual is learned from `store`. In a build both are the same object, the set against itself:
        then no box may be judged by a model that saw its own source (`Pool.of` keeps the two cases apart).
        """

    def settings(self) -> dict[str, Any]:
        """The configuration, for the record in `runs`."""
        return {key: value for key, value in sorted(vars(self).items()) if not key.startswith("_")}


def _ids(values: ArrayLike | None, m: int, none: int) -> NDArray[np.int64]:
    return np.full(m, none, np.int64) if values is None else np.asarray(values, np.int64).reshape(-1)


def _places(values: ArrayLike | None, m: int) -> NDArray[np.float64]:
    return np.full((m, 4), np.nan) if values is None else np.asarray(values, np.float64).reshape(-1, 4)


def _text(values: Sequence[Any]) -> NDArray[np.object_]:
    out = np.empty(len(values), object)
    out[:] = list(values)
    return out
