"""Cut the training material out of the official photos: single pills with outline, and tiles without one.

Writes to a work folder outside the repository: `pills.npy` (n, 160, 160, 4) uint8 RGB + coverage,
`pills.jsonl` one line a pill, `tiles.npy` (m, 160, 160, 3) uint8. The images themselves are only read.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from healtheat.core.atomic import write_file
from training.segment import Blob, find_pills

CANVAS_PX = 160
PILL_PX = 112  # the longer side of a pill's box on the canvas; the rest is its surroundings
LIQUID = "液劑"
LOOSE = "顆粒劑"
HELD_OUT_PERCENT = 15


def image_root() -> Path:
    """Folder of the appearance photos: `HEALTHEAT_SHARED` (default `../shared`) + `data/tfda-pills`."""
    return Path(os.environ.get("HEALTHEAT_SHARED", "../shared")) / "data" / "tfda-pills"


def is_held_out(product: str) -> bool:
    """Whether a product belongs to the 15 % that training never sees: fixed by a hash of its id."""
    return int(hashlib.sha256(product.encode("utf-8")).hexdigest(), 16) % 100 < HELD_OUT_PERCENT


def cut(bgr: NDArray[Any], blob: Blob) -> NDArray[Any]:
    """A pill on its canvas, (160, 160, 4) uint8: RGB and coverage 0..255, longer box side 112 px."""
    x, y, w, h = blob.xywh
    scale = PILL_PX / max(w, h)
    shift = CANVAS_PX / 2
    affine = np.float32([[scale, 0, shift - scale * (x + w / 2)], [0, scale, shift - scale * (y + h / 2)]])
    size = (CANVAS_PX, CANVAS_PX)
    how = cv2.INTER_CUBIC if scale > 0.8 else cv2.INTER_AREA
    rgb = cv2.warpAffine(bgr[..., ::-1], affine, size, flags=how, borderMode=cv2.BORDER_REPLICATE)
    mask = np.zeros(bgr.shape[:2], np.uint8)
    cv2.drawContours(mask, [blob.outline], -1, 255, -1)
    cover = cv2.warpAffine(mask, affine, size, flags=cv2.INTER_LINEAR)
    return np.dstack([rgb, cover])


def empty_tiles(
    bgr: NDArray[Any], blobs: list[Blob], count: int, rng: np.random.Generator
) -> list[NDArray[Any]]:
    """Up to `count` square tiles that touch no pill; half of them must hold ink or texture."""
    h, w = bgr.shape[:2]
    taken = np.zeros((h, w), np.uint8)
    for blob in blobs:
        cv2.drawContours(taken, [blob.outline], -1, 1, -1)
    tiles: list[NDArray[Any]] = []
    for attempt in range(count * 12):
        side = int(rng.uniform(0.07, 0.3) * max(h, w))
        if side >= min(h, w) or side < 24:
            continue
        x, y = int(rng.integers(0, w - side)), int(rng.integers(0, h - side))
        tile = bgr[y : y + side, x : x + side, ::-1]
        if taken[y : y + side, x : x + side].any() or (
            len(tiles) % 2 and tile.std() < 12 and attempt < count * 8
        ):
            continue
        tiles.append(cv2.resize(tile, (CANVAS_PX, CANVAS_PX), interpolation=cv2.INTER_AREA))
        if len(tiles) == count:
            break
    return tiles


def _one(
    job: tuple[str, dict[str, Any], int],
) -> tuple[list[NDArray[Any]], list[dict[str, Any]], list[NDArray[Any]]]:
    root, item, index = job
    cv2.setNumThreads(1)
    image = item["imgs"][index]["file"]
    bgr = cv2.imread(str(Path(root) / image))
    if bgr is None:
        return [], [], []
    shapes, colours = item["shape"], item["color"]
    rng = np.random.default_rng(zlib.crc32(image.encode("utf-8")))
    if any(LIQUID in s for s in shapes):
        return [], [], empty_tiles(bgr, [], 2, rng)
    if not shapes or any(LOOSE in s for s in shapes):
        return [], [], []
    blobs = find_pills(bgr, shapes[0], colours[0] if colours else None)
    rows = [
        {
            "product": item["id"], "image": image, "sha256": item["imgs"][index]["sha256"], "side": k,
            "held_out": is_held_out(item["id"]), "score": round(b.score, 3), "aspect": round(b.aspect, 3),
            "xywh": b.xywh, "shape": shapes, "colour": colours, "score_mark": item["score_mark"],
            "size_mm": item["size"], "mark1": item["mark1"], "mark2": item["mark2"],
        }
        for k, b in enumerate(blobs)
    ]  # fmt: skip
    # Without a pill found, a tile might hold one: only images that were understood give empty tiles.
    tiles = empty_tiles(bgr, blobs, 1, rng) if len(blobs) >= 2 and not rows[0]["held_out"] else []
    return [cut(bgr, b) for b in blobs], rows, tiles


def _jobs(root: Path) -> Iterator[tuple[str, dict[str, Any], int]]:
    listing = json.loads((root / "appearance.json").read_text(encoding="utf-8"))
    for item in listing["items"]:
        for index in range(len(item["imgs"])):
            yield str(root), item, index


def prepare(work: Path, root: Path, processes: int = 2) -> dict[str, int]:
    """Cut all images of `root` into `work`; returns the counts of images, pills, products and tiles."""
    work.mkdir(parents=True, exist_ok=True)
    pills: list[NDArray[Any]] = []
    rows: list[dict[str, Any]] = []
    tiles: list[NDArray[Any]] = []
    jobs = list(_jobs(root))
    with ProcessPoolExecutor(processes) as pool:
        for cuts, found, empty in pool.map(_one, jobs, chunksize=16):
            pills += cuts
            rows += found
            tiles += empty
    np.save(work / "pills.npy", np.stack(pills))
    np.save(work / "tiles.npy", np.stack(tiles))
    lines = (json.dumps(r, ensure_ascii=False) + "\n" for r in rows)
    # Last and at once: the file says that all of them are done.
    write_file(work / "pills.jsonl", "".join(lines).encode())
    return {
        "images": len(jobs), "images_with_pills": len({r["image"] for r in rows}), "pills": len(rows),
        "products": len({r["product"] for r in rows}),
        "held_out_pills": sum(r["held_out"] for r in rows), "tiles": len(tiles),
    }  # fmt: skip
