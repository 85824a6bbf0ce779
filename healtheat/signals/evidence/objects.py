"""Which boxes on different images of one source show the same physical object.

Augmented copies and camera positions show the same things again. Boxes of two images are matched one to one
by their vectors (Kuhn 1955; scipy's linear_sum_assignment), never by their labels: those may be wrong.
How alike two crops of one object are is learned from the set: different objects lie on one image, or
on images of other sources. Where the matched boxes lie in the same arrangement (turned by quarters, mirrored
or shifted), position tells apart two things that look the same.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from healtheat.core.boxes import rows_of
from healtheat.signals.samples import Samples

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_PRIOR_COUNT, _PRIOR_RATE = 20.0, 0.05  # what is known of wrong labels before two copies are compared
_ANCHORS = 8  # matched boxes tried as the one that lies right
_AFFINE = 4  # matched boxes that an affine map needs, one more than it has to fit
# Quarter turns and mirror images of the plane; the first leaves everything where it is.
_TURNS = np.array(
    [
        [[1, 0], [0, 1]], [[0, -1], [1, 0]], [[-1, 0], [0, -1]], [[0, 1], [-1, 0]],
        [[-1, 0], [0, 1]], [[1, 0], [0, -1]], [[0, 1], [1, 0]], [[0, -1], [-1, 0]],
    ],
    np.float64,
)  # fmt: skip


def same_objects(samples: Samples) -> Ints:
    """(n,) a number per box, equal for boxes on different images of one source that show the same object.

    An object has at most one box on an image; a box without counterpart has a number of its own. Objects are
    numbered in the order of their first box. Deterministic; time is linear in the number of images for
    sources of like size.
    """
    n = len(samples)
    first = np.arange(n, dtype=np.int64)  # the first box of each box's object
    groups = _groups(samples)
    least = _least_similarity(samples, groups)
    for images in groups:
        for object_rows in _objects(samples, images, least):
            first[object_rows] = min(object_rows)
    return np.asarray(np.unique(first, return_inverse=True)[1], np.int64).reshape(-1)


def _groups(samples: Samples) -> list[list[Ints]]:
    """For each source with boxes on several images: the rows of each of these images, most boxes first."""
    of_image = rows_of(samples.image_row, len(samples.images))
    sources: dict[int, list[Ints]] = {}
    for rows in of_image:
        if len(rows):
            sources.setdefault(int(samples.group[rows[0]]), []).append(rows)
    return [sorted(images, key=lambda r: -len(r)) for images in sources.values() if len(images) > 1]


def _least_similarity(samples: Samples, groups: list[list[Ints]]) -> float:
    """The cosine from which two boxes are one object; inf where sources do not show objects again.

    The largest difference between the shares of best matches within sources and of different objects above
    one cosine (Youden 1950) is about the share of boxes that are shown again: below one half matching would
    mostly be wrong. The cosine returned makes fewest errors at that share.
    """
    v = samples.vectors
    again: list[float] = []
    other: list[float] = []
    for images in groups:
        for rows in images[1:]:
            again += _best_matches(v[images[0]], v[rows])
    for one, two in pairwise(groups):
        other += _best_matches(v[one[0]], v[two[0]])
    for images in groups:
        cosine = v[images[0]] @ v[images[0]].T
        np.fill_diagonal(cosine, -1)
        other += cosine.max(axis=1).tolist() if len(cosine) > 1 else []
    if not again or not other:
        return -1.0
    values = np.unique(np.r_[again, other])
    cuts = (values[1:] + values[:-1]) / 2
    above = [1 - np.searchsorted(np.sort(x), cuts) / len(x) for x in (again, other)]
    share = (above[0] - above[1]).max(initial=0)
    if share < 0.5:
        return np.inf
    return float(cuts[(share * above[0] - (1 - share) * above[1]).argmax()])


def _best_matches(one: NDArray[np.float32], two: NDArray[np.float32]) -> list[float]:
    cosine = one @ two.T
    return [float(x) for x in cosine[linear_sum_assignment(cosine, maximize=True)]]


def _objects(samples: Samples, images: list[Ints], least: float) -> list[list[int]]:
    """The rows of each object on the images of one source, image after image."""
    every = np.concatenate(images)
    v = samples.vectors[every].astype(np.float64)
    xy, size = _places(samples, every)
    ends = np.cumsum([len(rows) for rows in images])
    objects = [[at] for at in range(len(images[0]))]
    total, centre = v[: len(images[0])].copy(), xy[: len(images[0])]
    for start, end in pairwise(ends.tolist()):
        cosine = (total / np.maximum(np.linalg.norm(total, axis=1), 1e-9)[:, None]) @ v[start:end].T
        pairs = _assigned(cosine, cosine >= least)
        moved = _aligned(xy[start:end], centre, size[start:end], cosine >= least, pairs)
        if moved is not None:
            away = _away(centre, size[[own[0] for own in objects]], moved, size[start:end])
            pairs = _assigned(cosine - away, ((cosine >= least) & (away < 1)) | (away < 0.5))
        taken = {box: thing for thing, box in pairs}
        for box in range(end - start):
            if box in taken:
                objects[taken[box]].append(start + box)
                total[taken[box]] += v[start + box]
        new = np.array([box for box in range(end - start) if box not in taken], np.int64)
        objects += [[start + int(box)] for box in new]
        total = np.vstack([total, v[start + new]])
        centre = np.vstack([centre, np.full((len(new), 2), np.nan) if moved is None else moved[new]])
    return [every[np.array(own)].tolist() for own in objects]


def _places(samples: Samples, rows: Ints) -> tuple[Floats, Floats]:
    """((m, 2), (m,)) centre, seen from the image's, and side of boxes, in roots of the image's area."""
    image = samples.image_row[rows]
    pixels = np.column_stack([samples.images.width_px[image], samples.images.height_px[image]])
    unit = np.maximum(pixels, 1) / np.sqrt(np.maximum(pixels, 1).prod(axis=1))[:, None]
    place = samples.boxes.xywhn[rows]
    return (place[:, :2] - 0.5) * unit, np.maximum(np.sqrt((place[:, 2:] * unit).prod(axis=1)), 1e-6)


def _assigned(worth: Floats, possible: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Pairs (object, box) of the best one to one assignment, only `possible` ones."""
    rows, columns = linear_sum_assignment(np.where(possible, worth, -1e3), maximize=True)
    return [(int(a), int(b)) for a, b in zip(rows, columns, strict=True) if possible[a, b]]


def _away(one: Floats, one_size: Floats, other: Floats, other_size: Floats) -> Floats:
    """(k, m) how far boxes lie apart, in sides of the smaller and doublings of its side; inf if unknown."""
    apart = np.linalg.norm(one[:, None] - other[None], axis=2)
    scale = np.minimum(one_size[:, None], other_size[None])
    away = np.hypot(apart / scale, np.log2(one_size)[:, None] - np.log2(other_size)[None])
    return np.asarray(np.where(np.isfinite(away), away, np.inf))


def _aligned(
    here: Floats, there: Floats, size: Floats, alike: NDArray[np.bool_], pairs: list[tuple[int, int]]
) -> Floats | None:
    """(m, 2) places `here` in the frame of the k objects `there`, by the turn and shift that most boxes fit.

    `alike` (k, m) says which could be one. A few matched pairs are tried as the one that lies right
    (Fischler, Bolles 1981); four boxes that fit refine it to an affine map, since copies are also zoomed and
    sheared. None where fewer than two boxes fit, or less than half of those matched.
    """
    known = [(a, b) for a, b in pairs if np.isfinite(there[a]).all()]
    if len(known) < 2:
        return None
    a, b = np.array(known[:_ANCHORS]).T
    turned = here @ _TURNS.transpose(0, 2, 1)  # (8, m, 2)
    shift = np.concatenate([np.zeros((8, 1, 2)), there[a] - turned[:, b]], axis=1)  # (8, 1 + pairs, 2)
    ways = (turned[:, None] + shift[:, :, None]).reshape(-1, len(here), 2)
    could = np.flatnonzero(alike.any(axis=1) & np.isfinite(there).all(axis=1))
    apart = np.linalg.norm(there[could, None] - ways[:, None], axis=3) / size  # (ways, objects, m)
    apart = np.where(alike[could], apart, np.inf)
    nearest = np.minimum(apart.min(axis=1), 1.0)  # (ways, m)
    fit = (nearest < 0.5).sum(axis=1)
    turns = np.repeat(np.arange(8), shift.shape[1])
    best = np.lexsort((nearest.sum(axis=1), turns > 0, -fit))[0]
    if fit[best] < max(2, len(known) / 2):
        return None
    moved, boxes = ways[best], np.flatnonzero(nearest[best] < 0.5)
    if len(boxes) >= _AFFINE:
        plane = np.column_stack([here, np.ones(len(here))])
        to = there[could[apart[best].argmin(axis=0)[boxes]]]
        moved = plane @ np.linalg.lstsq(plane[boxes], to, rcond=None)[0]
    return np.asarray(moved)


def vouched(number: Ints, code: Ints, classes: int) -> Floats:
    """(n, c) log likelihood of what the same object is called on the other images of its source.

    `number` is that of `same_objects`, `code` (n,) the classes given. Zero where all agree: copies repeat an
    error and must not confirm it, so only disagreement speaks. How often one label is wrong is learned from
    how often two of one object differ.
    """
    n = len(code)
    out = np.zeros((n, classes))
    order = np.argsort(number, kind="stable")
    ends = np.flatnonzero(np.diff(number[order])) + 1
    pairs = differing = 0.0
    doubtful: list[Ints] = []
    for rows in np.split(order, ends):
        if len(rows) < 2:
            continue
        often = np.unique(code[rows], return_counts=True)[1]
        pairs += len(rows) * (len(rows) - 1) / 2
        if len(often) > 1:
            differing += (len(rows) ** 2 - (often**2).sum()) / 2
            doubtful.append(rows)
    wrong = (differing / 2 + _PRIOR_COUNT * _PRIOR_RATE) / (pairs + _PRIOR_COUNT)
    gain = np.log((1 - wrong) * max(classes - 1, 1) / wrong)
    for rows in doubtful:
        for row in rows:
            others = np.bincount(code[rows[rows != row]], minlength=classes)
            out[row] = gain * (others - others.mean())
    return out
