"""Find the single pills on an official appearance photo (pills beside a ruler, plain ground).

Many cheap segmentations of one image are pooled (colour distance from the local ground, adaptive
thresholds, closed edges, MSER), every blob is scored as a pill, and the best pair of look-alike blobs wins:
these images nearly always show the front and the back of one product, side by side. What is known
about the product (shape, colour) is evidence, too. Merged pairs are cut at their two deepest concavities.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]

MIN_AREA_PX = 280
MIN_SIDE_PX = 15
# Score of a pair below which an image is left out: chosen by eye on two contact sheets of 48 images.
MIN_PAIR_SCORE = 11.0
MIN_SINGLE_SCORE = 4.6
COLOURED = {"橘", "粉", "紅", "紫", "綠", "藍", "黃", "藍綠"}
MAY_BE_DARK = {"黑", "棕", "紅", "藍", "紫"}


@dataclass(frozen=True)
class Blob:
    """One candidate: outline (n, 1, 2) in image pixels, score (more is more pill-like), Lab mean, aspect."""

    outline: Array
    score: float
    area: float
    aspect: float
    mean_lab: Array
    xywh: tuple[int, int, int, int]


def _ellipse(size: int) -> Array:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))


def _outlines(mask: Array, mode: int, offset: tuple[int, int] = (0, 0)) -> list[Array]:
    contours, _ = cv2.findContours(mask, mode, cv2.CHAIN_APPROX_NONE, offset=offset)
    return list(contours)


def _ground(lab: Array) -> Array:
    """The local ground colour: a wide median on the quarter-size image, (h, w, 3) float32."""
    h, w = lab.shape[:2]
    small = cv2.resize(lab, (max(8, w // 4), max(8, h // 4)), interpolation=cv2.INTER_AREA)
    kernel = min(int(min(small.shape[:2]) * 0.45) | 1, 99)
    median = np.stack([cv2.medianBlur(small[..., c], kernel) for c in range(3)], -1)
    return cv2.resize(cv2.GaussianBlur(median, (0, 0), 3), (w, h)).astype(np.float32)


def _masks(lab: Array) -> list[tuple[Array, int]]:
    """Binary masks of one image and the contour mode to read each with."""
    delta = lab.astype(np.float32) - _ground(lab)
    chroma = 1.6 * np.hypot(delta[..., 1], delta[..., 2])
    distance = np.hypot(0.6 * delta[..., 0], chroma)
    light = lab[..., 0]
    found = [
        cv2.adaptiveThreshold(light, 1, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, block, c)
        for block, c in ((61, -5), (121, -8), (121, -16))
    ]
    found += [(distance > t).astype(np.uint8) for t in (5, 8, 13, 21, 34, 55)]
    found += [(chroma > t).astype(np.uint8) for t in (6, 12, 24)]
    found += [(delta[..., 0] > t).astype(np.uint8) for t in (6, 14, 28)]
    masks = [(m, cv2.RETR_EXTERNAL) for m in found]
    for low, high in ((8, 20), (20, 50), (40, 100)):
        edges = np.zeros(lab.shape[:2], np.uint8)
        for c in range(3):
            gain = 1.0 if c == 0 else 0.7
            edges |= cv2.Canny(lab[..., c], low * gain, high * gain)
        closed = cv2.morphologyEx(edges, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
        masks.append(((closed > 0).astype(np.uint8), cv2.RETR_CCOMP))
    return masks


def _stable_regions(light: Array) -> list[Array]:
    """Outlines of maximally stable extremal regions (Matas et al. 2002), opened to drop ruler ticks."""
    mser = cv2.MSER_create(3, 350, int(0.12 * light.size))
    regions, boxes = mser.detectRegions(light)
    outlines: list[Array] = []
    seen: set[tuple[int, ...]] = set()
    for region, box in zip(regions, boxes, strict=True):
        x, y, w, h = (int(v) for v in box)
        if min(w, h) < MIN_SIDE_PX or max(w, h) > 4 * min(w, h) or len(region) < 0.35 * w * h:
            continue
        key = (x // 3, y // 3, w // 3, h // 3)
        if key in seen:
            continue
        seen.add(key)
        points = np.asarray(region).reshape(-1, 2)
        mask = np.zeros((h + 4, w + 4), np.uint8)
        mask[points[:, 1] - y + 2, points[:, 0] - x + 2] = 1
        mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, _ellipse(7))
        outlines += _outlines(mask, cv2.RETR_EXTERNAL, (x - 2, y - 2))
    return outlines


def _candidate_outlines(lab: Array) -> list[Array]:
    h, w = lab.shape[:2]
    outlines = _stable_regions(lab[..., 0])
    for mask, mode in _masks(lab):
        regions = [c for c in _outlines(mask, mode) if 250 < cv2.contourArea(c) < 0.25 * h * w]
        for opening in (5, 11):
            filled = np.zeros((h, w), np.uint8)
            for contour in regions:
                cv2.drawContours(filled, [contour], -1, 1, -1)
            filled = cv2.morphologyEx(filled, cv2.MORPH_OPEN, _ellipse(opening))
            outlines += _outlines(filled, cv2.RETR_EXTERNAL)
    return [c for c in outlines if cv2.contourArea(c) > MIN_AREA_PX]


def split_pair(outline: Array) -> list[Array]:
    """Cut two touching pills apart between the two deepest facing concavities; [] if it is one shape."""
    hull = cv2.convexHull(outline, returnPoints=False)
    try:
        defects = cv2.convexityDefects(outline, hull)
    except cv2.error:  # a self-crossing outline has no ordered hull
        return []
    if defects is None:
        return []
    defects = np.asarray(defects).reshape(-1, 4)
    defects = defects[np.argsort(-defects[:, 3])][:6]
    points = outline.reshape(-1, 2)
    least = 0.02 * np.sqrt(cv2.contourArea(outline)) + 1
    best: tuple[float, Array, Array] | None = None
    for i in range(len(defects)):
        for j in range(i + 1, len(defects)):
            depth = min(defects[i, 3], defects[j, 3]) / 256
            if depth < least:
                continue
            p, q = sorted((int(defects[i, 2]), int(defects[j, 2])))
            one, two = points[p : q + 1], np.concatenate([points[q:], points[: p + 1]])
            if min(len(one), len(two)) < 10:
                continue
            areas = sorted(cv2.contourArea(part.reshape(-1, 1, 2)) for part in (one, two))
            if areas[0] < 0.7 * areas[1]:
                continue
            merit = float(depth / (np.linalg.norm(points[p] - points[q]) + 1))
            if best is None or merit > best[0]:
                best = (merit, one, two)
    return [] if best is None else [best[1].reshape(-1, 1, 2), best[2].reshape(-1, 1, 2)]


def _shape_score(shape: str | None, aspect: float, roundness: float, extent: float) -> float:
    if shape == "圓形":
        return 1.2 if aspect < 1.15 and roundness > 0.84 else (-0.8 if aspect > 1.3 else 0.0)
    if shape == "膠囊":
        return 1.6 if 1.7 < aspect < 3.4 and extent > 0.8 else (-2.0 if aspect < 1.6 else 0.0)
    if shape == "橢圓形":
        return 1.0 if 1.25 < aspect < 3 else -0.5
    return 0.3 if shape else 0.0


def _colour_score(colour: str | None, inside: Array, outside: Array) -> float:
    chroma = float(np.hypot(inside[1] - 128, inside[2] - 128))
    dark = bool(inside[0] < 70)
    score = 0.0
    if colour in COLOURED:
        score += 1.0 if np.hypot(inside[1] - outside[1], inside[2] - outside[2]) > 8 else -1.2
    elif colour in {"白", "灰"}:
        score += -1.5 if dark or chroma > 35 else 0.4
    if dark and colour not in MAY_BE_DARK:
        score -= 1.0
    return score


def _judge(outline: Array, lab: Array, gradient: Array, shape: str | None, colour: str | None) -> Blob | None:
    """Score an outline as a pill, or None where it cannot be one."""
    h, w = lab.shape[:2]
    x, y, bw, bh = (int(v) for v in cv2.boundingRect(outline))
    if x <= 1 or y <= 1 or x + bw >= w - 1 or y + bh >= h - 1:
        return None
    area, hull = cv2.contourArea(outline), cv2.convexHull(outline)
    hull_area = cv2.contourArea(hull)
    solidity = area / max(hull_area, 1)
    (_, sides, _) = cv2.minAreaRect(outline)
    short, long = sorted(sides)
    if area < MIN_AREA_PX or solidity < 0.88 or short < MIN_SIDE_PX or long / short > 4:
        return None
    if long > 0.45 * max(h, w):
        return None
    x0, y0, x1, y1 = max(0, x - 8), max(0, y - 8), min(w, x + bw + 8), min(h, y + bh + 8)
    mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
    cv2.drawContours(mask, [outline], -1, 1, -1, offset=(-x0, -y0))
    inner = cv2.erode(mask, np.ones((5, 5), np.uint8)) > 0
    ring = (cv2.dilate(mask, np.ones((3, 3), np.uint8)) - cv2.erode(mask, np.ones((3, 3), np.uint8))) > 0
    outer = (cv2.dilate(mask, np.ones((11, 11), np.uint8)) - cv2.dilate(mask, np.ones((5, 5), np.uint8))) > 0
    if inner.sum() < 50 or outer.sum() < 20:
        return None
    part, slope = lab[y0:y1, x0:x1].astype(np.float32), gradient[y0:y1, x0:x1]
    inside, outside = np.median(part[inner], 0), np.median(part[outer], 0)
    step = (inside - outside) * np.float32([0.6, 1.6, 1.6])
    aspect = long / short
    roundness = 4 * np.pi * hull_area / cv2.arcLength(hull, True) ** 2
    score = 2 * (solidity - 0.88) / 0.12
    score += min(float(np.median(slope[ring])) / 12, 2.0) + min(float(np.linalg.norm(step)) / 12, 1.5)
    score -= min(float(part[outer][:, 0].std()) / 25, 1.2)
    # Digits and ruler parts: ink inside, busy texture, small.
    ink = float(inside[0] - np.percentile(part[inner][:, 0], 6))
    score -= float(np.clip((ink - 35) / 30, 0, 1.5) + np.clip((slope[inner].mean() - 14) / 10, 0, 1.5))
    score += float(np.clip(0.5 * np.log(area / 900), -0.8, 0.6))
    score += _shape_score(shape, aspect, float(roundness), area / (short * long))
    score += _colour_score(colour, inside, outside)
    return Blob(hull, float(score), float(area), float(aspect), inside, (x, y, bw, bh))


def _overlap(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> float:
    """Intersection over the smaller box."""
    w = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    h = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return 0.0 if w <= 0 or h <= 0 else w * h / min(a[2] * a[3], b[2] * b[3])


def _best_pair(blobs: list[Blob]) -> tuple[float, Blob, Blob] | None:
    best: tuple[float, Blob, Blob] | None = None
    for i, a in enumerate(blobs):
        for b in blobs[i + 1 :]:
            ratio = min(a.area, b.area) / max(a.area, b.area)
            apart = float(np.linalg.norm(a.mean_lab - b.mean_lab))
            if ratio < 0.6 or apart > 45 or _overlap(a.xywh, b.xywh) > 0.3:
                continue
            score = a.score + b.score + 5 * (ratio - 0.6) + 1.5 * (1 - apart / 45)
            score += 0.25 * np.log(a.area / 900) - 2 * abs(np.log(a.aspect / b.aspect))
            if best is None or score > best[0]:
                best = (float(score), a, b)
    return best


def find_pills(bgr: Array, shape: str | None = None, colour: str | None = None) -> list[Blob]:
    """The single pills of an image (h, w, 3 uint8 BGR), convex outlines; [] where none is sure enough."""
    lab = cv2.cvtColor(cv2.bilateralFilter(bgr, 5, 18, 3), cv2.COLOR_BGR2LAB)
    gradient = np.zeros(lab.shape[:2], np.float32)
    for c, gain in enumerate((1, 3, 3)):
        gx, gy = cv2.Sobel(lab[..., c], cv2.CV_32F, 1, 0) / 4, cv2.Sobel(lab[..., c], cv2.CV_32F, 0, 1) / 4
        gradient += gain * (gx * gx + gy * gy)
    gradient = np.sqrt(gradient)
    blobs: list[Blob] = []
    seen: set[tuple[int, ...]] = set()
    for outline in _candidate_outlines(lab):
        for part in [outline, *split_pair(outline)]:
            key = tuple(int(v) for v in cv2.boundingRect(part))
            if key not in seen:
                seen.add(key)
                blob = _judge(part, lab, gradient, shape, colour)
                if blob:
                    blobs.append(blob)
    blobs.sort(key=lambda b: -b.score)
    pair = _best_pair([b for b in blobs if b.score > 0.5][:60])
    if pair and pair[0] > MIN_PAIR_SCORE:
        found = [pair[1], pair[2]]
    else:
        found = [b for b in blobs if b.score > MIN_SINGLE_SCORE][:1]
    for blob in blobs:  # more of the same, on images with three to six
        if not found or len(found) >= 6:
            break
        alike = 0.75 < blob.area / found[0].area < 1.33 and abs(np.log(blob.aspect / found[0].aspect)) < 0.2
        alike = alike and bool(np.linalg.norm(blob.mean_lab - found[0].mean_lab) < 20)
        if alike and blob.score > 4.0 and all(_overlap(blob.xywh, f.xywh) < 0.2 for f in found):
            found.append(blob)
    return found
