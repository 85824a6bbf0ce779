"""Out-of-sample class probabilities: every box is judged by a model that saw no box of its source."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from healtheat.signals.base import Samples


def folds(group: NDArray[np.int32], count: int = 5) -> NDArray[np.int64]:
    """(n,) fold of each row; a group is never split, folds have about equal sizes; deterministic."""
    codes, size = np.unique(group, return_counts=True)
    load = np.zeros(count)
    fold = np.zeros(len(codes), np.int64)
    for at in np.argsort(-size, kind="stable"):
        fold[at] = int(load.argmin())
        load[fold[at]] += size[at]
    return fold[np.searchsorted(codes, group)]


def whiten(vectors: NDArray[np.float32], components: int, shrink: float) -> NDArray[np.float64]:
    """(n, <= components) principal components scaled to variance 1 / (1 + shrink × mean / own variance)."""
    rows = vectors.astype(np.float64)
    centred = rows - rows.mean(axis=0, keepdims=True)
    if not rows.size:
        return np.zeros((len(rows), 1))
    values, axes = np.linalg.eigh(centred.T @ centred / len(rows))
    values, axes = values[::-1], axes[:, ::-1]
    keep = min(components, int((values > max(values[0], 1e-12) * 1e-7).sum()))
    if not keep:  # all rows are equal
        return np.zeros((len(rows), 1))
    scale = np.sqrt(values[:keep] + shrink * values[:keep].mean())
    return np.asarray(centred @ axes[:, :keep] / scale)


def class_log_probabilities(samples: Samples) -> NDArray[np.float64]:
    """(n, c) natural logarithms, columns as in `samples.class_ids`, out of sample by source group."""
    if "log_p" not in samples.memo:
        samples.memo["log_p"] = _log_probabilities(samples)
    return np.asarray(samples.memo["log_p"])


def _log_probabilities(samples: Samples) -> NDArray[np.float64]:
    n, c = len(samples), len(samples.class_ids)
    out = np.full((n, c), -np.log(max(c, 1)))
    if c < 2 or len(np.unique(samples.group)) < 2:
        return out
    data = whiten(samples.vectors, 128, 0.1)
    fold = folds(samples.group)
    for f in range(5):
        test, train = fold == f, fold != f
        if not test.any() or len(np.unique(samples.class_code[train])) < 2:
            continue
        model = LogisticRegression(C=0.05, max_iter=200).fit(data[train], samples.class_code[train])
        out[test] = -20.0
        out[np.ix_(test, model.classes_)] = model.predict_log_proba(data[test])
    return out
