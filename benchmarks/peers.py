"""What else could be used: each peer's ranking of the boxes, from the same vectors and labels.

Each function gets unit vectors (n, d), class codes (n,) from 0 on and source groups (n,), and returns
{method: scores (n,)}, higher = more suspicious. Settings are the tools' own or, where they leave it open,
the best of those tried.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.neighbors import LocalOutlierFactor

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


def out_of_sample(vectors: Floats, code: Codes, group: Codes) -> Floats:
    """(n, c) probabilities of a logistic regression, five folds that never split a source."""
    p = np.full((len(code), code.max() + 1), 1e-9)
    for train, test in GroupKFold(5).split(vectors, code, group):
        model = LogisticRegression(C=10.0, max_iter=1000).fit(vectors[train], code[train])
        p[np.ix_(test, model.classes_)] = model.predict_proba(vectors[test])
    return np.asarray(p / p.sum(axis=1, keepdims=True))


def cleanlab_label(vectors: Floats, code: Codes, group: Codes) -> dict[str, Floats]:
    """cleanlab's label quality scores (Northcutt, Jiang, Chuang 2021) on out-of-sample probabilities."""
    from cleanlab.rank import get_label_quality_scores

    p = out_of_sample(vectors, code, group)
    return {
        f"cleanlab {method}": 1 - np.asarray(get_label_quality_scores(code, p, method=method))
        for method in ("self_confidence", "normalized_margin")
    }


def cleanlab_outlier(vectors: Floats, code: Codes, group: Codes) -> dict[str, Floats]:
    """cleanlab Datalab's outlier check with its own settings."""
    from cleanlab import Datalab

    logging.disable(logging.WARNING)
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lab = Datalab({"label": code.tolist()}, label_name="label", verbosity=0)
        lab.find_issues(features=vectors.astype(np.float64), issue_types={"outlier": {}})
    logging.disable(logging.NOTSET)
    return {"Datalab outlier": 1 - lab.get_issues("outlier")["outlier_score"].to_numpy()}


def selfclean_ratio(vectors: Floats, code: Codes, group: Codes) -> dict[str, Floats]:
    """Label error score of SelfClean (Gröger et al. 2024): nearest of its class against nearest of another.

    Own implementation from the paper: own² / (own² + other²) of cosine distances.
    """
    distance = np.maximum(1 - vectors @ vectors.T, 0)
    np.fill_diagonal(distance, np.inf)
    same = code[:, None] == code[None, :]
    own = np.where(same, distance, np.inf).min(axis=1)
    other = np.where(same, np.inf, distance).min(axis=1)
    own = np.where(np.isfinite(own), own, 2.0)
    return {"SelfClean ratio": own**2 / np.maximum(own**2 + other**2, 1e-12)}


def knn_vote(vectors: Floats, code: Codes, group: Codes, k: int = 10) -> dict[str, Floats]:
    """Share of other classes among the k nearest boxes of other sources; ties by similarity."""
    similarity = vectors @ vectors.T
    similarity[group[:, None] == group[None, :]] = -np.inf
    near = np.argsort(-similarity, axis=1)[:, :k]
    foreign = code[near] != code[:, None]
    weight = 1 + 1e-3 * np.take_along_axis(similarity, near, axis=1)
    return {f"kNN vote k={k}": (foreign * weight).sum(axis=1) / k}


def isolation_forest(vectors: Floats, code: Codes, group: Codes) -> dict[str, Floats]:
    """scikit-learn's isolation forest, one a class."""
    out = np.zeros(len(code))
    for c in np.unique(code):
        rows = code == c
        out[rows] = -IsolationForest(random_state=0).fit(vectors[rows]).score_samples(vectors[rows])
    return {"isolation forest": out}


def lof(vectors: Floats, code: Codes, group: Codes) -> dict[str, Floats]:
    """scikit-learn's local outlier factor, one a class."""
    out = np.zeros(len(code))
    for c in np.unique(code):
        rows = np.flatnonzero(code == c)
        if len(rows) > 2:
            model = LocalOutlierFactor(n_neighbors=min(20, len(rows) - 1)).fit(vectors[rows])
            out[rows] = -model.negative_outlier_factor_
    return {"LOF": out}


PEERS: tuple[Callable[[Floats, Codes, Codes], dict[str, Floats]], ...] = (
    cleanlab_label,
    cleanlab_outlier,
    selfclean_ratio,
    knn_vote,
    isolation_forest,
    lof,
)
