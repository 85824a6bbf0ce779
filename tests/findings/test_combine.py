"""A signal that knows less yields to one that knows more, box by box, and only downwards."""

from collections.abc import Sequence

import numpy as np
import pytest

from healtheat.findings.combine import tempered
from healtheat.findings.run import run_signals
from healtheat.signals import Samples, Scores, Signal
from tests.signals.synthetic_samples import clusters


def odds(p: float) -> float:
    return p / (1 - p)


class Fixed(Signal):
    """Answers with what it is given, one score for each box; None abstains."""

    issues = ("mislabel",)

    def __init__(self, name: str, scores: Sequence[float | None], *, share: float, yields_to: str | None):
        self.name, self._scores, self._share = name, scores, share
        self.yields_to = yields_to

    def measure(self, queries: Samples, store: Samples) -> Sequence[Scores]:
        return [
            Scores.of(
                self,
                "mislabel",
                queries,
                raw=np.zeros(len(queries)),
                score=[0.0 if score is None else score for score in self._scores],
                reason=[""] * len(queries),
                abstain=["because" if score is None else None for score in self._scores],
                share=self._share,
            )
        ]


@pytest.fixture
def three() -> Samples:
    return clusters(classes=1, per_class=3)


def test_it_falls_by_what_the_better_one_says(three: Samples) -> None:
    better = Fixed("better", [0.02, 0.6, None], share=0.1, yields_to=None)
    coarse = Fixed("coarse", [0.4, 0.4, 0.4], share=np.nan, yields_to="better")
    table = run_signals(three, [better, coarse]).scores.to_pylist()
    got = [row["score"] for row in table if row["signal"] == "coarse"]
    assert odds(got[0]) == pytest.approx(odds(0.4) * odds(0.02) / odds(0.1))
    assert got[1] == pytest.approx(0.4), "it is never raised"
    assert got[2] == pytest.approx(0.4), "nothing was said of this box"
    assert [row["score"] for row in table if row["signal"] == "better"] == [0.02, 0.6, None]


def test_an_abstention_stays_one_and_nothing_yields_to_what_did_not_run(three: Samples) -> None:
    coarse = Fixed("coarse", [None, 0.4, 0.9], share=np.nan, yields_to="better")
    table = run_signals(three, [coarse]).scores.to_pylist()
    assert [row["score"] for row in table] == [None, 0.4, 0.9]
    better = Fixed("better", [0.02, 0.02, 0.02], share=0.1, yields_to=None)
    rows = run_signals(three, [better, coarse]).scores.to_pylist()
    coarse_scores = [row["score"] for row in rows if row["signal"] == "coarse"]
    assert coarse_scores[0] is None and 0 < coarse_scores[1] < coarse_scores[2] < 0.9


def test_without_a_learned_share_nothing_changes(three: Samples) -> None:
    (better,) = Fixed("better", [0.0, 0.1, 0.2], share=np.nan, yields_to=None).measure(three, three)
    (coarse,) = Fixed("coarse", [0.3, 0.3, 1.0], share=np.nan, yields_to="better").measure(three, three)
    assert tempered(coarse, better) is coarse
