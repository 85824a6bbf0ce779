"""The data set of the indexes in data/, drawn again byte for byte, without any library."""

from __future__ import annotations

import struct
from pathlib import Path

SIDE_PX = 48
NAMES = {0: "타이레놀정500mg", 3: "<script>", 7: "plain", 12: "never used"}
COLOURS = {0: (200, 40, 40), 3: (40, 180, 60), 7: (60, 60, 220)}
BROKEN = "train/images/깨진 것.bmp"


def draw_set(root: Path) -> Path:
    """Eight images with three boxes each and one that cannot be read; returns data.yaml."""
    for number in range(8):
        folder = "valid" if number % 4 == 3 else "train"
        _write(root, folder, f"사진 {number}", number)
    broken = root / BROKEN
    broken.write_bytes(b"BM and nothing more")
    (root / "train" / "labels" / f"{broken.stem}.txt").write_bytes(b"3 0.5 0.5 0.25 0.25\n")
    names = "\n".join(f"  {class_id}: {name!r}" for class_id, name in NAMES.items())
    text = f"path: .\ntrain: train/images\nval: valid/images\nnames:\n{names}\n"
    (root / "data.yaml").write_bytes(text.encode())
    return root / "data.yaml"


def add_image(root: Path, name: str) -> None:
    """One more image, unlike the others."""
    _write(root, "train", name, 11)


def _write(root: Path, folder: str, name: str, number: int) -> None:
    for part in ("images", "labels"):
        (root / folder / part).mkdir(parents=True, exist_ok=True)
    pixels = bytearray([150 + number] * (SIDE_PX * SIDE_PX * 3))
    lines = []
    for box in range(3):
        class_id = (0, 3, 7)[(number + box) % 3]
        left, top = 2 + 15 * box, 4 + 3 * ((number * 5 + box * 7) % 9)
        for y in range(top, top + 12):
            for x in range(left, left + 12):
                start = (y * SIDE_PX + x) * 3
                pixels[start : start + 3] = bytes(
                    (c + 4 * number + x - left) % 256 for c in COLOURS[class_id]
                )
        place = " ".join(f"{v / SIDE_PX:.6f}" for v in (left + 6, top + 6, 12, 12))
        lines.append(f"{class_id} {place}\n")
    (root / folder / "images" / f"{name}.bmp").write_bytes(_bmp(bytes(pixels)))
    (root / folder / "labels" / f"{name}.txt").write_bytes("".join(lines).encode())


def _bmp(rgb: bytes) -> bytes:
    """An uncompressed bitmap: rows from the lowest up, pixels as blue, green, red."""
    row = SIDE_PX * 3
    rows = [rgb[y * row : (y + 1) * row] for y in reversed(range(SIDE_PX))]
    data = b"".join(bytes(c for x in range(0, row, 3) for c in reversed(line[x : x + 3])) for line in rows)
    header = struct.pack("<IiiHHIIiiII", 40, SIDE_PX, SIDE_PX, 1, 24, 0, len(data), 2835, 2835, 0, 0)
    return struct.pack("<2sIHHI", b"BM", 54 + len(data), 0, 0, 54) + header + data
