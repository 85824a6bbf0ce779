"""How fast the review page is: `python -m benchmarks.review [--findings 1000 100000] [--out FILE.md]`.

Two kinds of index of drawn images. `trays`: 60 images of 976 × 1280 with four boxes each, whose catalog is
filled with as many findings as asked for, several on one box: what grows is the list. `crowded`: as many
boxes as asked for, 400 on an image, a tenth of them flagged, for the map. A server of its own for
each, driven with Chromium. Every wait has a limit; progress goes to stderr. Writes benchmarks/review.md.
"""

from __future__ import annotations

import argparse
import datetime
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.review_data import crowded, fill, trays
from benchmarks.review_server import serving
from benchmarks.throughput import machine

HERE = Path(__file__).resolve().parent
KEYS = 40
PAUSE_MS = 250  # between a verdict and the next key: nobody decides faster
WAIT_S = 30.0  # the longest anything in the browser may take
PLACING_S = 150.0  # and the map's projection
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
]
# Milliseconds from a key to the next sample with its crop decoded and painted, and to "saved".
WATCH = """
() => { window.times = { next: [], saved: [] };
  let pressed = 0, shown = '', saved = false;
  addEventListener('keydown', () => { pressed = performance.now(); saved = false;
    shown = document.getElementById('sample').dataset.finding; }, true);
  new MutationObserver(async () => {
    const sample = document.getElementById('sample');
    if (!sample || sample.dataset.finding === shown) return;
    const start = pressed;
    shown = sample.dataset.finding;
    try { await sample.querySelector('img').decode(); } catch {}
    requestAnimationFrame(() => setTimeout(() => times.next.push(performance.now() - start)));
  }).observe(document.getElementById('sample-place'), { childList: true });
  new MutationObserver(() => {
    if (saved || !document.getElementById('status').textContent.startsWith('saved')) return;
    saved = true;
    times.saved.push(performance.now() - pressed);
  }).observe(document.getElementById('status'), { childList: true });
}
"""
PAGE = """# Speed of the review page

{date} UTC. {machine}.
`python -m benchmarks.review --findings {sizes}`; what the indexes hold stands in [review.py](review.py).
{note}
A first page is timed from going there to `load`, every picture included, or to the condition it names; the
server has just started. A key is timed to the next sample with its crop decoded and painted, and to the word
“saved”, which follows the write to the disk.

{lists}
{maps}
The number of open issues that the map counts inside the drawn area equals the length of the queue it opens;
the benchmark stops where it does not.
"""
SHOWN = (
    "document.querySelector('.crop img')?.complete && document.querySelector('.crop img').naturalWidth > 0"
)
DRAWN = "document.getElementById('map')?.dataset.points"


def say(text: str) -> None:
    """Progress, for a person who waits."""
    print(f"{datetime.datetime.now():%H:%M:%S} {text}", file=sys.stderr, flush=True)


@contextmanager
def limited(what: str) -> Iterator[None]:
    """Say what was waited for in vain."""
    from playwright.sync_api import Error

    try:
        yield
    except Error as error:
        raise SystemExit(f"{what}: {error.message.splitlines()[0]}") from None


class Tab:
    """A page of the browser, signed in, that measures in seconds."""

    def __init__(self, browser: Any, link: str, started: float) -> None:
        self.seconds: dict[str, float] = {}
        self.base = link.partition("/?")[0]
        self.page = browser.new_page(
            viewport={"width": 1280, "height": 800},
            bypass_csp=True,  # the page forbids eval, which waiting for a condition needs
        )
        self.page.set_default_timeout(WAIT_S * 1000)
        with limited("signing in"):
            self.page.goto(link)
            self.page.wait_for_url(f"{self.base}/")
        self.seconds["server start, to the first page"] = time.perf_counter() - started

    def first(self, name: str, path: str, until: str = "") -> None:
        """Open a page; wait for its `load`, or earlier for a condition."""
        with limited(f"{name} ({path})"):
            at = time.perf_counter()
            self.page.goto(self.base + path, wait_until="commit" if until else "load")
            if until:
                self.page.wait_for_function(until)
            self.seconds[name] = time.perf_counter() - at
            self.page.wait_for_load_state("load")

    def placed(self) -> bool:
        """Whether the map is there; asked beside the page, which loads itself again meanwhile."""
        with limited("asking for the map's points"):
            return bool(self.page.request.get(f"{self.base}/map/points").ok)

    def keys(self) -> None:
        """Decide `KEYS` findings."""
        with limited("opening the queue to decide"):
            self.page.goto(f"{self.base}/queue/mislabel/start?state=any")
            self.page.wait_for_timeout(1500)  # as one looks at the first sample
            self.page.evaluate(WATCH)
        for number in range(KEYS):
            with limited(f"key press {number + 1} of {KEYS}"):
                self.page.wait_for_selector('#sample-place[aria-busy="false"]')  # until then keys wait
                self.page.keyboard.press("od"[number % 2])
                for kind in ("next", "saved"):
                    self.page.wait_for_function(f"times.{kind}.length > {number}")
                self.page.wait_for_timeout(PAUSE_MS)
        for kind, found in self.page.evaluate("times").items():
            words = {"next": "key to the next sample", "saved": "key to “saved”"}[kind]
            self.seconds[f"{words}, median of {KEYS}"] = float(np.median(found)) / 1000
            self.seconds[f"{words}, 95 %"] = float(np.quantile(found, 0.95)) / 1000

    def lasso(self) -> None:
        """Draw an area around the middle half of the map, open it as a queue, compare the counts."""
        with limited("drawing an area"):
            box = self.page.locator("#map").bounding_box()
            at = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in _RING]
            self.page.mouse.move(*at[0])
            self.page.mouse.down()
            for x, y in at[1:]:
                self.page.mouse.move(x, y, steps=3)
            begun = time.perf_counter()
            self.page.mouse.up()
            self.page.wait_for_selector("#map-queue")
            self.seconds["area drawn to its counts"] = time.perf_counter() - begun
            counted = self.page.inner_text("#map-chosen").split(" boxes in the area, ")[1].split()[0]
        with limited("opening the area as a queue"):
            begun = time.perf_counter()
            self.page.click("#map-queue")
            self.page.wait_for_selector(".finding")
            self.page.wait_for_load_state("load")
            self.seconds["area as a queue, first page"] = time.perf_counter() - begun
            listed = self.page.inner_text(".actions strong")
        if counted != listed:
            raise SystemExit(f"the map counted {counted} issues in the area, the queue lists {listed}")


_RING = [(0.5 + 0.25 * np.cos(a), 0.5 + 0.25 * np.sin(a)) for a in np.linspace(0, 6.2, 16)]


def measure_list(index: Path, browser: Any) -> dict[str, float]:
    """Seconds by what was waited for, on the list of findings."""
    started = time.perf_counter()
    with serving(index) as link:
        tab = Tab(browser, link, started)
        tab.first("first page: queues", "/")
        tab.first("first page: grid of 48", "/queue/mislabel")
        tab.first("first page: grid, far down", "/queue/mislabel?state=any&page=2000")
        tab.first("first page: sample, crop shown", "/queue/all/start", SHOWN)
        say("deciding by keyboard")
        tab.keys()
        tab.first("queues again, after verdicts", "/")
        tab.page.close()
    return tab.seconds


def measure_map(index: Path, browser: Any) -> dict[str, float]:
    """Seconds by what was waited for, on the map."""
    started = time.perf_counter()
    with serving(index) as link:
        tab = Tab(browser, link, started)
        tab.seconds.clear()
        tab.first("map: first answer", "/map")
        started = time.perf_counter()
        while not tab.placed():
            if time.perf_counter() - started > PLACING_S:
                raise SystemExit(f"the boxes were not placed within {PLACING_S:g} s")
            time.sleep(0.25)
        tab.seconds["map: placing all boxes, once an index"] = time.perf_counter() - started
        tab.first("map: page with every point drawn", "/map", DRAWN)
        tab.lasso()
        tab.page.close()
    return tab.seconds


def table(sizes: list[int], what: str, columns: list[dict[str, float]]) -> str:
    """A Markdown table, one column a size."""
    lines = ["| seconds | " + " | ".join(f"{n:,} {what}" for n in sizes) + " |"]
    lines.append("|---" + "|---:" * len(sizes) + "|")
    for name in columns[0]:
        lines.append(f"| {name} | " + " | ".join(f"{column[name]:.3f}" for column in columns) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write the page."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--findings", type=int, nargs="+", default=[1_000, 100_000], metavar="N")
    parser.add_argument("--out", type=Path, default=HERE / "review.md")
    parser.add_argument("--note", default="", help="what else ran on the machine meanwhile")
    chosen = parser.parse_args()
    lists, maps = [], []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        say("building the index of trays")
        index = trays(Path(folder) / "trays")
        for size in chosen.findings:
            fill(index, size)
            say(f"{size:,} findings")
            lists.append(measure_list(index, browser))
        for size in chosen.findings:
            say(f"building an index of {size:,} boxes")
            index = crowded(Path(folder) / f"crowded-{size}", boxes=size)
            fill(index, size // 10, each=10)
            say(f"the map of {size:,} boxes")
            maps.append(measure_map(index, browser))
        version = browser.version
        browser.close()
    now = datetime.datetime.now(datetime.UTC)
    text = PAGE.format(
        date=f"{now:%Y-%m-%d %H:%M}",
        machine=f"{machine()}, Chromium {version}",
        sizes=" ".join(map(str, chosen.findings)),
        note=f"{chosen.note}\n" if chosen.note else "",
        lists=table(chosen.findings, "findings", lists),
        maps=table(chosen.findings, "boxes", maps),
    )
    chosen.out.write_text(text, encoding="utf-8", newline="\n")
    print(text)


if __name__ == "__main__":
    main()
