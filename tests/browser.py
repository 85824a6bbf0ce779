"""A real browser for the tests that look at pages, and what axe-core finds on one."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")


@contextmanager
def launched() -> Iterator[Any]:
    """A browser of this machine; skips, with the reason, where there is none or no playwright."""
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed (the dev extra)"
    )
    found = os.environ.get("HEALTHEAT_BROWSER") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("no browser found: install Chromium, or name one with HEALTHEAT_BROWSER")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield started
        started.close()


def serious(tab: Any) -> list[tuple[str, str, list[str]]]:
    """(rule, impact, first elements) of what axe-core calls serious or critical; needs the dev extra."""
    axe = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    tab.evaluate((Path(axe.__path__[0]) / "axe.min.js").read_text(encoding="utf-8"))
    result = tab.evaluate("axe.run(document)")
    assert result["passes"]
    return [
        (v["id"], v["impact"], [n["html"][:120] for n in v["nodes"]][:3])
        for v in result["violations"]
        if v["impact"] in ("serious", "critical")
    ]
