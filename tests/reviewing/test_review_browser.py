"""A real browser: judge by keyboard, reload, undo, filter, stop and start again, export."""

import csv
import hashlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import serious
from tests.reviewing.conftest import ROOT

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (the dev extra)")

expect = sync_api.expect
expect.set_options(timeout=60_000)

WAIT_MS = 60_000


class Server:
    """`healtheat review` as a user starts it."""

    def __init__(self, index_path: Path, *more: str, port: int = 0) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"}
        command = [sys.executable, str(ROOT / "cli.py"), "review", "--index", str(index_path)]
        command += ["--port", str(port)]
        self.process = subprocess.Popen(
            [*command, "--name", "김약사", *more],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        assert self.process.stdout
        self.link = self.process.stdout.readline().strip()
        assert self.link.startswith("http://127.0.0.1:"), self.process.communicate(timeout=60)
        self.base = self.link.partition("/?")[0]

    def stop(self) -> tuple[int, str]:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT if os.name != "nt" else signal.SIGTERM)
        _, errors = self.process.communicate(timeout=60)
        return self.process.returncode, errors


@pytest.fixture
def server(index_path: Path) -> Iterator[Server]:
    (index_path / "verdicts.jsonl").unlink(missing_ok=True)
    (index_path / "verdicts.head.json").unlink(missing_ok=True)
    running = Server(index_path)
    yield running
    running.stop()


def open_page(browser: Any, server: Server, **context: Any) -> tuple[Any, list[str]]:
    """A signed-in page on the overview, and what went wrong on it."""
    page = browser.new_context(**context).new_page()
    page.set_default_timeout(WAIT_MS)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.goto(server.link)
    page.wait_for_url(f"{server.base}/")
    return page, wrong


def finding_of(page: Any) -> str:
    return str(page.locator("#sample").get_attribute("data-finding"))


def press(page: Any, key: str, says: str) -> None:
    """Press a key and wait until the next sample is there and the page says that the verdict is saved."""
    before = finding_of(page)
    page.keyboard.press(key)
    expect(page.locator("#sample")).not_to_have_attribute("data-finding", before)
    expect(page.locator("#status")).to_have_text(says)
    settled(page)


def settled(page: Any) -> None:
    """Wait until the keys decide about what is on the screen."""
    expect(page.locator("#sample-place")).to_have_attribute("aria-busy", "false")


def hashes(folder: Path) -> dict[str, str]:
    files = sorted(folder.rglob("*.txt")) + sorted(folder.rglob("*.png"))
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_a_session(browser: Any, server: Server, index_path: Path, planned: Path, tmp_path: Path) -> None:
    labels = hashes(planned.parent / "자료")
    page, wrong = open_page(browser, server)
    page.click("text=Look one by one: Wrong class")
    page.wait_for_selector("#sample")
    settled(page)

    judged: dict[str, str] = {}
    for number in range(20):
        finding = finding_of(page)
        if number % 5 == 4:  # relabel asks for the class, with the suggestion filled in
            page.keyboard.press("r")
            page.wait_for_selector("#relabel[open]")
            page.fill("#relabel-to", "no such class")
            page.keyboard.press("Enter")
            expect(page.locator("#relabel-error")).to_contain_text("no such class")
            page.fill("#relabel-to", "7 plain")
            press(page, "Enter", "saved: relabel to plain")
            judged[finding] = "relabel"
        else:
            key, verdict = (("o", "ok"), ("d", "drop"), ("u", "unsure"))[number % 3]
            press(page, key, f"saved: {verdict}")
            judged[finding] = verdict
    assert len(judged) == 20
    assert page.inner_text("#queue .meter .done") == "20"
    page.keyboard.press("ArrowLeft")
    settled(page)
    page.keyboard.press("?")
    page.wait_for_selector("#help[open]")
    page.keyboard.press("?")
    page.wait_for_selector("#help[open]", state="hidden")

    page.reload()
    assert page.inner_text("#queue .meter .done") == "20"
    last = list(judged)[-1]
    settled(page)
    page.keyboard.press("z")
    expect(page.locator("#status")).to_have_text("taken back: relabel")
    expect(page.locator("#sample")).to_have_attribute("data-finding", last)
    assert page.inner_text("#queue .meter .done") == "19"
    del judged[last]

    page.goto(f"{server.base}/queue/mislabel")
    page.select_option("select[name=state]", "drop")
    page.click(".filters button")
    page.wait_for_url("**state=drop*")
    shown = page.eval_on_selector_all(".finding", "all => all.map(e => e.dataset.finding)")
    assert sorted(shown) == sorted(i for i, v in judged.items() if v == "drop")
    assert not [line for line in wrong if "favicon" not in line]

    code, errors = server.stop()
    assert code == 0, errors
    assert "19 verdicts stand" in errors
    again = Server(index_path)
    try:
        page, wrong = open_page(browser, again)
        page.goto(f"{again.base}/queue/mislabel?state=decided")
        shown = page.eval_on_selector_all(
            ".finding", "all => all.map(e => [e.dataset.finding, e.querySelector('.verdict').textContent])"
        )
        assert dict(shown) == judged
        with page.expect_download() as download:
            page.click("text=Cleanup list (CSV)")
        rows = list(csv.DictReader(download.value.path().read_text(encoding="utf-8").splitlines()))
        assert {row["finding_id"]: row["verdict"] for row in rows} == judged
        assert {row["class_name"] for row in rows} == {"타이레놀정500mg", "<script>", "plain"}
        assert not wrong
    finally:
        again.stop()

    to = tmp_path / "list.csv"
    command = [sys.executable, str(ROOT / "cli.py"), "export", "--index", str(index_path)]
    more = ["--format", "csv", "--to", str(to), "--verdict", "drop", "--verdict", "relabel"]
    subprocess.run([*command, *more], check=True)
    rows = list(csv.DictReader(to.read_text(encoding="utf-8").splitlines()))
    exported = {row["finding_id"]: row["verdict"] for row in rows}
    assert exported == {i: v for i, v in judged.items() if v in ("drop", "relabel")}
    assert hashes(planned.parent / "자료") == labels, "label files and images are as they were"


def test_the_grid_by_keyboard(browser: Any, server: Server) -> None:
    page, wrong = open_page(browser, server)
    page.goto(f"{server.base}/queue/mislabel")
    page.keyboard.press("ArrowRight")
    first = page.evaluate("document.activeElement.closest('.finding').dataset.finding")
    # a key decides nothing about a picture that is not there yet, and a busy machine takes its time to cut it
    page.locator(f'.finding[data-finding="{first}"] img').evaluate("picture => picture.decode()")
    page.keyboard.press("d")
    expect(page.locator("#status")).to_have_text("saved: drop")
    card = page.locator(f'.finding[data-finding="{first}"]')
    assert "is-drop" in str(card.get_attribute("class"))
    assert page.evaluate("document.activeElement.closest('.finding').dataset.finding") != first
    page.keyboard.press("z")
    expect(page.locator("#status")).to_have_text("taken back: drop")
    assert "is-drop" not in str(card.get_attribute("class"))
    page.keyboard.press("Enter")
    page.wait_for_selector("#sample")
    assert finding_of(page) == first
    assert not wrong


def test_an_unsaved_verdict_is_never_called_saved(browser: Any, server: Server) -> None:
    page, _ = open_page(browser, server)
    page.goto(f"{server.base}/queue/mislabel/start")
    page.wait_for_selector("#sample")
    page.wait_for_load_state("networkidle")
    settled(page)
    server.process.kill()
    server.process.wait()
    page.keyboard.press("d")
    page.wait_for_selector("#failed", state="visible")
    assert page.inner_text("#failed-text").startswith("NOT saved: 1 verdict")
    assert "saved:" not in page.inner_text("#status")
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_phone_width_and_twice_the_size(browser: Any, server: Server, scheme: str) -> None:
    """390 px is a phone; 640 px is what is left of 1280 at 200 %. Nothing has to be scrolled sideways."""
    page, wrong = open_page(browser, server, color_scheme=scheme)
    for width in (390, 640):
        page.set_viewport_size({"width": width, "height": 800})
        for path in ("/", "/queue/mislabel", "/queue/mislabel/start", "/queue/missing_box/start", "/map"):
            page.goto(server.base + path)
            if path == "/map":
                page.wait_for_selector("#map[data-points]")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (path, width)
            for table in page.locator(".side table").all():
                box = table.bounding_box()
                assert box["x"] + box["width"] <= width, "the regions of the map need no scrolling"
    assert not wrong


@pytest.mark.parametrize(("scheme", "width"), [("light", 390), ("dark", 1280)])
def test_axe_finds_nothing_serious(browser: Any, server: Server, scheme: str, width: int) -> None:
    look = {"color_scheme": scheme, "viewport": {"width": width, "height": 800}, "bypass_csp": True}
    page, _ = open_page(browser, server, **look)
    stranger = browser.new_context(**look).new_page()
    paths = (
        "/",
        "/queue/mislabel",
        "/queue/mislabel/start",
        "/queue/missing_box/start",
        "/classes",
        "/map",
        "/no",
    )
    for tab, path in [(stranger, "/"), *((page, path) for path in paths)]:
        tab.goto(server.base + path)
        if path == "/classes":
            tab.wait_for_selector("table.classes, .empty:not([role])")
        if path == "/map":
            tab.wait_for_selector("#map[data-points]")
        found = serious(tab)
        assert not found, f"{path}: {found}"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_what_opens(browser: Any, server: Server, scheme: str) -> None:
    """Keys, the question for a class, the enlarged image, and the banners of what is not saved."""
    page, _ = open_page(browser, server, color_scheme=scheme, bypass_csp=True)
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(f"{server.base}/queue/mislabel/start")
    page.wait_for_load_state("networkidle")
    settled(page)
    for key, opened in (("?", "#help"), ("r", "#relabel"), ("f", "#large")):
        page.keyboard.press(key)
        page.wait_for_selector(f"{opened}[open]")
        assert not serious(page), opened
        page.keyboard.press("Escape")
        page.wait_for_selector(f"{opened}[open]", state="hidden")
    page.route("**/verdict", lambda route: route.abort())
    page.keyboard.press("d")
    expect(page.locator("#failed-text")).to_contain_text("NOT saved: 1 verdict")
    assert not serious(page)
    page.unroute("**/verdict")
    refusal = {"saved": False, "error": "another build"}
    page.route("**/verdict", lambda route: route.fulfill(status=409, json=refusal))
    page.click("#retry")
    expect(page.locator("#refused")).to_contain_text("another build")
    assert not serious(page)
    page.context.close()


def test_the_map_by_mouse_and_keyboard(browser: Any, server: Server) -> None:
    page, wrong = open_page(browser, server, viewport={"width": 1280, "height": 1100})
    page.goto(f"{server.base}/map")
    canvas = page.locator("#map[data-points]")
    assert canvas.get_attribute("data-points") == "60"
    box = canvas.bounding_box()
    corners = [(2, 2), (box["width"] - 2, 2), (box["width"] - 2, box["height"] - 2), (2, box["height"] - 2)]
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    page.mouse.down()
    for x, y in corners[1:]:
        page.mouse.move(box["x"] + x, box["y"] + y, steps=6)
    page.mouse.up()
    expect(page.locator("#map-chosen")).to_contain_text("boxes in the area")
    said = int(re.match(r"\d+", page.inner_text("#map-chosen")).group())  # type: ignore[union-attr]
    assert 50 <= said <= 60
    page.click("#map-queue")
    page.wait_for_url("**/queue/all?area=*")
    assert page.locator(".finding").count() == 48, "the first page of them"
    page.goto(f"{server.base}/map?class=3")
    page.wait_for_selector("#map[data-points]")
    page.focus("#map")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#map-tip")).to_be_visible()
    page.keyboard.press("Enter")
    page.wait_for_selector("#sample")
    assert not wrong


def test_the_command_says_what_listening_to_others_means(index_path: Path) -> None:
    command = [sys.executable, str(ROOT / "cli.py"), "review", "--index", str(index_path), "--port", "0"]
    with subprocess.Popen(
        [*command, "--host", "0.0.0.0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    ) as process:
        assert process.stdout and process.stderr
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=\S+\n", process.stdout.readline())
        process.terminate()
        assert "listening on 0.0.0.0: whoever can reach this machine" in process.communicate(timeout=60)[1]
