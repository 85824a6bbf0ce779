"""A contact sheet: crops of suspicious boxes with captions, for a README or a quick look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from PIL import Image, ImageDraw, ImageFont, ImageOps

from healtheat.core.atomic import replacing_file

CELL_PX, CAPTION_PX, GAP_PX = 220, 66, 14
INK, PAPER, SOFT, MARK = "#1f2328", "#ffffff", "#59636e", "#d1242f"
# Fonts with Korean letters, where Linux, Windows and macOS keep them.
KOREAN_FONTS = (
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/opentype/noto/NotoSerifCJK-Regular.ttc",
    "/usr/share/fonts/truetype/nanum/NanumGothic.ttf",
    "C:/Windows/Fonts/malgun.ttf",
    "/System/Library/Fonts/AppleSDGothicNeo.ttc",
)
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def korean_font(size_px: int) -> ImageFont.FreeTypeFont | None:
    """A system font with Korean letters, or None where there is none."""
    for path in KOREAN_FONTS:
        try:
            return ImageFont.truetype(path, size_px)
        except OSError:
            continue
    return None


def _names(root: Path) -> dict[int, str]:
    spec = yaml.safe_load((root / "data.yaml").read_text(encoding="utf-8"))
    names = spec["names"]
    return dict(names) if isinstance(names, dict) else dict(enumerate(names))


def _xywhn(root: Path, image: str, line: int) -> tuple[float, ...] | None:
    """The box at a 0-based line of the image's label file; None for a line that holds no box."""
    path = (root / image.replace("images/", "labels/", 1)).with_suffix(".txt")
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    if not 0 <= line < len(lines):
        return None
    try:
        cx, cy, w, h = (float(v) for v in lines[line].split()[1:5])
    except ValueError:
        return None
    sound = all(0 <= v <= 1 for v in (cx, cy, w, h)) and w > 0 and h > 0  # False for NaN, too
    return (cx, cy, w, h) if sound else None


def _picture(root: Path, image: str, line: int) -> Image.Image:
    """A square cell: the box with its surroundings, framed; the whole image where there is no box."""
    cell = Image.new("RGB", (CELL_PX, CELL_PX), "#d8dee4")
    try:
        with Image.open(root / image) as opened:
            whole = ImageOps.exif_transpose(opened).convert("RGB")
    except (OSError, SyntaxError):
        ImageDraw.Draw(cell).text((12, 12), "unreadable file", fill=MARK, font=ImageFont.load_default(18))
        return cell
    box = _xywhn(root, image, line)
    cx, cy, w, h = box or (0.5, 0.5, 1.0, 1.0)
    side = max(w * whole.width, h * whole.height) * (1.35 if box and max(w, h) < 0.95 else 1.0)
    x0, y0 = cx * whole.width - side / 2, cy * whole.height - side / 2
    crop = Image.new("RGB", (max(1, round(side)),) * 2, "#d8dee4")  # what lies outside the image stays grey
    crop.paste(whole, (-round(x0), -round(y0)))
    cell = crop.resize((CELL_PX, CELL_PX), Image.Resampling.LANCZOS)
    if box:
        scale = CELL_PX / side
        half_w, half_h = w * whole.width / 2 * scale, h * whole.height / 2 * scale
        frame = (
            max(1, CELL_PX / 2 - half_w), max(1, CELL_PX / 2 - half_h),
            min(CELL_PX - 2, CELL_PX / 2 + half_w), min(CELL_PX - 2, CELL_PX / 2 + half_h),
        )  # fmt: skip
        ImageDraw.Draw(cell).rectangle(frame, outline=MARK, width=3)
    return cell


def _fit(draw: ImageDraw.ImageDraw, text: str, font: Font, width_px: int) -> str:
    """The text, cut with an ellipsis where it is too long."""
    if draw.textlength(text, font=font) <= width_px:
        return text
    while text and draw.textlength(text + "…", font=font) > width_px:
        text = text[:-1]
    return text + "…"


def _caption(row: Mapping[str, Any], names: Mapping[int, str], korean: bool) -> tuple[str, str, str]:
    def name(class_id: Any) -> str:
        if class_id is None or class_id == "" or int(class_id) < 0:
            return ""
        return names.get(int(class_id), str(class_id)) if korean else str(class_id)

    score = row.get("score")
    head = str(row["issue"]) if score is None else f"{row['issue']}  {float(score):.2f}"
    advice = name(row.get("suggestion"))
    label, said = name(row.get("class_id")), "missing" if row["issue"] == "missing_box" else "label"
    return head, f"{said}: {label}" if label else "", f"looks like: {advice}" if advice else ""


def contact_sheet(
    root: Path,
    rows: Iterable[Mapping[str, Any]],
    out_png: Path,
    *,
    columns: int = 5,
    names: Mapping[int, str] | None = None,
) -> Path:
    """Draw one cell a row of findings (image, line, class_id, issue, score, suggestion) to a PNG.

    `root` is the YOLO dataset (data.yaml, images/, labels/). Class names are written where a font with
    Korean letters is at hand, else class ids. Returns `out_png`; it is replaced in one step.
    """
    chosen: Sequence[Mapping[str, Any]] = list(rows)
    names = _names(root) if names is None else names
    korean = korean_font(17)
    font: Font = korean or ImageFont.load_default(17)
    bold: Font = ImageFont.load_default(18)
    deep = -(-max(len(chosen), 1) // columns)
    size = (
        GAP_PX + columns * (CELL_PX + GAP_PX),
        GAP_PX + deep * (CELL_PX + CAPTION_PX + GAP_PX),
    )
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    for i, row in enumerate(chosen):
        x = GAP_PX + (i % columns) * (CELL_PX + GAP_PX)
        y = GAP_PX + (i // columns) * (CELL_PX + CAPTION_PX + GAP_PX)
        line = row.get("line")
        sheet.paste(_picture(root, str(row["image"]), -1 if line in (None, "") else int(line)), (x, y))
        head, label, advice = _caption(row, names, korean is not None)
        draw.text((x, y + CELL_PX + 3), head, fill=MARK, font=bold)
        draw.text((x, y + CELL_PX + 23), _fit(draw, label, font, CELL_PX), fill=INK, font=font)
        draw.text((x, y + CELL_PX + 43), _fit(draw, advice, font, CELL_PX), fill=SOFT, font=font)
    out_png = Path(out_png)
    with replacing_file(out_png) as staged:
        sheet.save(staged, "PNG", optimize=True)
    return out_png
