"""Draw the pictures in docs/ anew: `python -m benchmarks.screenshots [--index DIR] [--out DIR]`.

Opens the review page and the report of the demo set in Chromium and takes their pictures. Without `--index`
it runs `healtheat demo` first, in a folder of its own. Works on a copy of the index: the verdicts it gives
are gone afterwards.
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.review import ARGUMENTS, WAIT_S, say
from benchmarks.review_server import ROOT, serving
from healtheat.index import Index
from healtheat.reporting import write_report

DESKTOP, PHONE = (1280, 800), (390, 844)
KEYS = "dddoddduddddodd"  # judged before the pictures, so that figures stand on them
READY_S = 300.0
COLOURS = 256


class Camera:
    """A browser that writes small pictures."""

    def __init__(self, browser: Any, out: Path) -> None:
        self._browser = browser
        self._out = out

    @contextmanager
    def tab(self, size: tuple[int, int], scheme: str = "light") -> Iterator[Any]:
        """A page of this size; a phone is one that is touched."""
        context = self._browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme=scheme,
            is_mobile=size == PHONE,
            has_touch=size == PHONE,
        )
        context.set_default_timeout(WAIT_S * 1000)
        yield context.new_page()
        context.close()

    def shoot(self, tab: Any, name: str, *, height_px: int = 0) -> None:
        """Write `name`.png: what is on the screen, or the page down to `height_px`."""
        tab.wait_for_load_state("networkidle")
        options: dict[str, Any] = {}
        if height_px:
            width = tab.viewport_size["width"]
            high = min(height_px, tab.evaluate("document.documentElement.scrollHeight"))
            options = {"full_page": True, "clip": {"x": 0, "y": 0, "width": width, "height": high}}
        picture = Image.open(io.BytesIO(tab.screenshot(**options))).convert("RGB")
        file = self._out / f"{name}.png"
        picture.quantize(COLOURS, dither=Image.Dither.FLOYDSTEINBERG).save(file, optimize=True)
        say(f"{file.name}: {picture.width} × {picture.height}, {file.stat().st_size >> 10} KiB")


def wait_for(tab: Any, address: str, while_it_says: str) -> None:
    """Until a page that is worked out in the background is there. Raises SystemExit after `READY_S`."""
    for _ in range(int(READY_S)):
        if while_it_says not in tab.request.get(address).text():
            return
        tab.wait_for_timeout(1000)
    raise SystemExit(f"{address} was not ready within {READY_S:g} s")


def review_pages(camera: Camera, index: Path) -> None:
    """Pictures of the review page."""
    with serving(index) as link:
        base = link.partition("/?")[0]
        with camera.tab(DESKTOP) as tab:
            tab.goto(link)
            tab.wait_for_url(f"{base}/")
            tab.goto(f"{base}/queue/mislabel/start")
            for number, key in enumerate(KEYS):
                tab.wait_for_selector('#sample-place[aria-busy="false"]')  # until then keys wait
                before = tab.get_attribute("#sample", "data-finding")
                tab.keyboard.press(key)
                tab.wait_for_selector(f'#sample:not([data-finding="{before}"])')
                tab.get_by_role("status").filter(has_text="saved: ").wait_for()
                say(f"verdict {number + 1} of {len(KEYS)}")
            tab.goto(f"{base}/queue/mislabel/start")
            camera.shoot(tab, "review-one")
            tab.goto(f"{base}/")
            camera.shoot(tab, "review-queues")
            tab.goto(f"{base}/queue/all?state=any")
            camera.shoot(tab, "review-grid")
            for path, words in (("/classes", "Being computed"), ("/map", "being placed")):
                wait_for(tab, base + path, words)
                tab.goto(base + path)
                if path == "/map":
                    tab.wait_for_selector("#map[data-points]")
                    tab.focus("#map")
                    tab.keyboard.press("ArrowRight")
                    tab.wait_for_selector("#map-tip:not([hidden])")
                camera.shoot(tab, f"review{path.replace('/', '-')}")
        for name, scheme in (("review-one-phone", "light"), ("review-one-phone-dark", "dark")):
            with camera.tab(PHONE, scheme) as tab:
                tab.goto(link)
                tab.wait_for_url(f"{base}/")
                tab.goto(f"{base}/queue/mislabel/start")
                camera.shoot(tab, name)


def report_pages(camera: Camera, index: Path, folder: Path) -> None:
    """Pictures of the report."""
    file = folder / "report.html"
    with Index.open(index) as opened:
        write_report(opened, file, title="Labels of the demo set", overwrite=True)
    for name, size, scheme in (("report", DESKTOP, "light"), ("report-phone-dark", PHONE, "dark")):
        with camera.tab(size, scheme) as tab:
            tab.goto(file.resolve().as_uri())
            camera.shoot(tab, name, height_px=1500 if size == DESKTOP else 0)


def main() -> None:
    """Take all pictures."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--index", type=Path, help="of the demo set; left out: make both anew")
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder, index = Path(name), chosen.index
        if index is None:
            say("running healtheat demo")
            command = [sys.executable, str(ROOT / "cli.py"), "demo"]
            subprocess.run(command, cwd=folder, check=True, stdout=sys.stderr, timeout=1800)
            index = folder / "index/demo"
        index = Path(shutil.copytree(index, folder / "demo"))
        for verdicts in index.glob("verdicts.*"):
            verdicts.unlink()
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        camera = Camera(browser, chosen.out)
        review_pages(camera, index)
        report_pages(camera, index, folder)
        browser.close()


if __name__ == "__main__":
    main()
