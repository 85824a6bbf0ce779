"""How fast the review page is: `python -m benchmarks.review [--findings 1000 100000]`.

Builds a small index of drawn photos (976 × 1280, four boxes each), fills its catalog with as many findings as
asked for (several on one box: what is measured is the list, not the photos), starts `healtheat review` and
drives it with Chromium. Printed: seconds until the server answers, first pages (navigation to `load`), and
from a key press to the next sample with its large crop decoded and painted, and to "saved".
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from PIL import Image, ImageDraw

from healtheat.build import build
from healtheat.encoders import load_encoder
from healtheat.sources.yolo import YoloSource

ROOT = Path(__file__).resolve().parents[1]
PHOTOS, CLASSES, KEYS = 60, 12, 40
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
]
WATCH = """
() => { window.times = []; let at = 0, before = '';
  addEventListener('keydown', () => { at = performance.now(); before = document.getElementById('sample').dataset.finding; }, true);
  const look = async () => { const s = document.getElementById('sample');
    if (at && s.dataset.finding !== before) { const start = at; at = 0;
      const image = s.querySelector('img'); try { await image.decode(); } catch {}
      requestAnimationFrame(() => setTimeout(() => times.push(['next', performance.now() - start]))); }
  };
  new MutationObserver(look).observe(document.getElementById('sample-place'), { childList: true });
  let pressed = 0; addEventListener('keydown', () => { pressed = performance.now(); }, true);
  new MutationObserver(() => { if (document.getElementById('status').textContent.startsWith('saved'))
    times.push(['saved', performance.now() - pressed]); }).observe(document.getElementById('status'), { childList: true });
}
"""  # noqa: E501


def make_index(folder: Path) -> Path:
    """A small real index."""
    random = np.random.default_rng(0)
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    for number in range(PHOTOS):
        image = Image.fromarray(random.integers(150, 170, (1280, 976, 3), dtype=np.uint8))
        draw, lines = ImageDraw.Draw(image), []
        for box in range(4):
            class_id = (number + box) % CLASSES
            x, y = 244 + 488 * (box % 2), 320 + 640 * (box // 2)
            draw.ellipse((x - 90, y - 60, x + 90, y + 60), fill=(20 * class_id, 255 - 20 * class_id, 128))
            lines.append(f"{class_id} {x / 976} {y / 1280} {190 / 976} {130 / 1280}")
        image.save(folder / f"images/{number:03}.jpg", quality=90)
        (folder / f"labels/{number:03}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    names = "\n".join(f"  {i}: 약 {i}" for i in range(CLASSES))
    text = f"path: .\ntrain: images\nnames:\n{names}\n"
    (folder / "data.yaml").write_text(text, encoding="utf-8")
    build(YoloSource(folder / "data.yaml"), folder / "index", encoder=load_encoder("imagenet"), signals=())
    return folder / "index"


def fill(index: Path, findings: int) -> None:
    """Replace the findings of the catalog."""
    with duckdb.connect(str(index / "catalog.duckdb")) as catalog:
        catalog.execute("DELETE FROM findings")
        catalog.execute(
            "INSERT INTO findings SELECT n, 0, b.box_id, b.image_id, b.line, b.class_id, 'mislabel', "
            "0.5 + hash(n) % 100000 / 200000, 0.5, 'label', 'made up', (b.class_id + 1) % ?, '{}', true "
            "FROM range(?) t(n) JOIN boxes b ON b.box_id = n % ?",
            [CLASSES, findings, PHOTOS * 4],
        )
        catalog.execute("CHECKPOINT")


def measure(index: Path, browser: Any) -> dict[str, float]:
    """Seconds by what was waited for."""
    started = time.perf_counter()
    out: dict[str, float] = {}
    command = [sys.executable, "-c", _SERVE, str(index)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, encoding="utf-8") as server:
        assert server.stdout
        link = server.stdout.readline().strip()
        base = link.partition("/?")[0]
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(link)
        page.wait_for_url(f"{base}/")
        out["start"] = time.perf_counter() - started
        far = {"grid, far down": "/queue/mislabel?state=any&page=2000"}
        for name, path in {
            "queues": "/",
            "grid": "/queue/mislabel",
            **far,
            "sample": "/queue/all/start",
        }.items():
            at = time.perf_counter()
            page.goto(base + path)
            out[f"first page: {name}"] = time.perf_counter() - at
        page.goto(f"{base}/queue/mislabel/start?state=any")
        page.wait_for_load_state("networkidle")
        page.evaluate(WATCH)
        for number in range(KEYS):
            page.keyboard.press("od"[number % 2])
            page.wait_for_timeout(500)
        times = page.evaluate("times")
        for what in ("next", "saved"):
            found = [value / 1000 for kind, value in times if kind == what]
            out[f"key to {what}, median of {len(found)}"] = float(np.median(found))
            out[f"key to {what}, 95 %"] = float(np.quantile(found, 0.95))
        page.close()
        server.terminate()
    return out


_SERVE = """
import sys
from pathlib import Path
from healtheat.index import Index
from healtheat.review.serve import address, guard_of, listen, serve
from healtheat.review.state import Review
bound = listen("127.0.0.1", 0)
guard = guard_of("127.0.0.1", bound.getsockname()[1])
with Index.open(Path(sys.argv[1]), verify=False) as index:
    link = address("127.0.0.1", guard)
    serve(Review(index, "bench"), guard, bound, started=lambda: print(link, flush=True))
"""


def main() -> None:
    """Measure and print a Markdown table."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--findings", type=int, nargs="+", default=[1_000, 100_000])
    wanted = parser.parse_args().findings
    columns: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        index = make_index(Path(folder) / "set")
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        for findings in wanted:
            fill(index, findings)
            columns.append(measure(index, browser))
        browser.close()
    print("| seconds | " + " | ".join(f"{n:,} findings" for n in wanted) + " |")
    print("|---" * (len(wanted) + 1) + "|")
    for name in columns[0]:
        print(f"| {name} | " + " | ".join(f"{c.get(name, float('nan')):.3f}" for c in columns) + " |")


if __name__ == "__main__":
    main()
