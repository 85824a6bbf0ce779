"""Fast keys, and verdicts that are kept while the server is down: in a real browser, against the log."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.reviewing.test_review_browser import (
    WAIT_MS,
    Server,
    expect,
    finding_of,
    open_page,
    press,
    server,
    settled,
)

__all__ = ["server"]  # a fixture


def lines(index_path: Path) -> list[dict[str, Any]]:
    """The log, oldest first."""
    file = index_path / "verdicts.jsonl"
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    return [json.loads(line) for line in text.splitlines()]


def judged(index_path: Path) -> list[tuple[str, str]]:
    """(what it is about, verdict) of every line that is a verdict."""
    return [(row["box_key"], row["verdict"]) for row in lines(index_path) if row["undoes"] is None]


def all_sent(page: Any) -> None:
    """Wait until no verdict of this tab waits for an answer."""
    until(page, "sessionStorage.getItem('healtheat-outbox') === null")


def until(page: Any, true: str) -> None:
    """Wait for an expression; playwright's own way to wait for one is forbidden by the page's policy."""
    for _ in range(WAIT_MS // 50):
        if page.evaluate(true):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never: {true}")


class Held:
    """Holds up what matches an address until it is let go."""

    def __init__(self, page: Any, pattern: str) -> None:
        self._routes: list[Any] | None = []
        page.route(pattern, self._hold)

    def _hold(self, route: Any) -> None:
        if self._routes is None:
            route.continue_()
        else:
            self._routes.append(route)

    def let_go(self) -> None:
        routes, self._routes = self._routes or [], None
        for route in routes:
            route.continue_()


@pytest.fixture
def at_start(browser: Any, server: Server) -> Iterator[Any]:
    page, wrong = open_page(browser, server)
    yield page
    assert not wrong
    page.context.close()


def test_fast_keys_decide_no_sample_twice(at_start: Any, server: Server, index_path: Path) -> None:
    for keys in ("odd", "dooou", "uuuuuuuu"):
        before = len(judged(index_path))
        at_start.goto(f"{server.base}/queue/mislabel/start")
        for key in keys:
            at_start.keyboard.press(key)
        settled(at_start)
        all_sent(at_start)
        found = judged(index_path)
        assert found[before][1] == {"o": "ok", "d": "drop", "u": "unsure"}[keys[0]]
        assert len({about for about, _ in found}) == len(found), "one verdict a sample"
        assert at_start.inner_text("#queue .meter .done") == str(len(found))


def test_while_the_next_sample_is_on_its_way_keys_wait_and_say_so(
    at_start: Any, server: Server, index_path: Path
) -> None:
    held = Held(at_start, "**/queue/**part=1*")
    at_start.goto(f"{server.base}/queue/mislabel/start")
    first = finding_of(at_start)
    at_start.keyboard.press("o")
    for key in ("d", "ArrowRight", "ArrowLeft", "r", "z", "u"):
        at_start.keyboard.press(key)
        assert finding_of(at_start) == first
        expect(at_start.locator("#sample-place")).to_have_attribute("aria-busy", "true")
        assert not at_start.locator("#relabel[open]").count()
    all_sent(at_start)
    at_start.keyboard.press("d")
    assert at_start.inner_text("#status").startswith("wait")
    held.let_go()
    expect(at_start.locator("#sample")).not_to_have_attribute("data-finding", first)
    settled(at_start)
    assert "wait" not in at_start.inner_text("#status")
    second = finding_of(at_start)
    press(at_start, "d", "saved: drop")
    assert [verdict for _, verdict in judged(index_path)] == ["ok", "drop"]
    # Undo leads back to the second one; a key that comes before it is there decides nothing.
    held = Held(at_start, f"**/queue/mislabel/{second}?part=1")
    at_start.keyboard.press("z")
    at_start.keyboard.press("u")
    expect(at_start.locator("#status")).to_have_text("taken back: drop")
    at_start.keyboard.press("u")
    held.let_go()
    expect(at_start.locator("#sample")).to_have_attribute("data-finding", second)
    settled(at_start)
    all_sent(at_start)
    assert len(judged(index_path)) == 2
    press(at_start, "u", "saved: unsure")
    assert [verdict for _, verdict in judged(index_path)] == ["ok", "drop", "unsure"]
    assert judged(index_path)[1][0] == judged(index_path)[2][0]


def test_a_sample_without_its_picture_is_not_judged(at_start: Any, server: Server, index_path: Path) -> None:
    held = Held(at_start, "**/image/*/large")
    at_start.goto(f"{server.base}/queue/bad_box/start", wait_until="domcontentloaded")
    until(at_start, "document.documentElement.classList.contains('scripted')")
    at_start.keyboard.press("o")
    expect(at_start.locator("#status")).to_contain_text("wait")
    assert not lines(index_path)
    held.let_go()
    settled(at_start)
    press(at_start, "o", "saved: ok")
    assert len(lines(index_path)) == 1


def test_the_last_card_of_the_grid_is_not_decided_twice(
    at_start: Any, server: Server, index_path: Path
) -> None:
    at_start.goto(f"{server.base}/queue/missing_box")
    at_start.wait_for_load_state("networkidle")
    cards = at_start.locator(".finding")
    for _ in range(cards.count()):
        at_start.keyboard.press("ArrowRight")
    at_start.keyboard.press("o")
    at_start.keyboard.press("d")
    expect(at_start.locator("#status")).to_have_text("saved: ok")
    assert [verdict for _, verdict in judged(index_path)] == ["ok"]
    at_start.keyboard.press("d")
    expect(at_start.locator("#status")).to_contain_text("this one is decided")
    at_start.keyboard.press("ArrowRight")
    at_start.keyboard.press("d")
    expect(at_start.locator("#status")).to_have_text("saved: drop")
    at_start.keyboard.press("r")
    expect(at_start.locator("#status")).to_contain_text("no box could get another class")
    assert not at_start.locator("#relabel[open]").count()


def test_the_stop_message_counts_samples(at_start: Any, server: Server, index_path: Path) -> None:
    at_start.goto(f"{server.base}/queue/mislabel/start")
    settled(at_start)
    press(at_start, "o", "saved: ok")
    at_start.keyboard.press("ArrowLeft")
    settled(at_start)
    press(at_start, "d", "saved: drop")
    press(at_start, "d", "saved: drop")
    assert len(judged(index_path)) == 3
    assert at_start.inner_text("#queue .meter .done") == "2"
    _, errors = server.stop()
    assert "2 verdicts stand" in errors


def down(server: Server) -> int:
    server.process.kill()
    server.process.wait()
    return int(server.base.rpartition(":")[2])


def says(page: Any, text: str) -> None:
    expect(page.locator("#failed-text")).to_contain_text(text)


@pytest.mark.parametrize("reload", [False, True])
def test_verdicts_wait_for_a_server_that_was_killed(
    browser: Any, server: Server, index_path: Path, reload: bool
) -> None:
    page, _ = open_page(browser, server)
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(f"{server.base}/queue/mislabel/start")
    page.wait_for_load_state("networkidle")  # the samples behind it are here
    settled(page)
    given = {}
    port = down(server)
    for number, key in enumerate("odu"):
        given[finding_of(page)] = {"o": "ok", "d": "drop", "u": "unsure"}[key]
        page.keyboard.press(key)
        says(page, f"NOT saved: {number + 1} verdict{'s' if number else ''} (the server does not answer)")
        settled(page)
    page.keyboard.press("z")  # the last one was never sent: it is taken out again
    says(page, "NOT saved: 2 verdicts")
    settled(page)
    assert finding_of(page) == list(given)[2]
    given[finding_of(page)] = "drop"
    page.keyboard.press("d")
    says(page, "NOT saved: 3 verdicts")
    assert not lines(index_path)

    again = Server(index_path, port=port)
    try:
        assert again.base == server.base
        page.click("#retry")
        says(page, "NOT saved: 3 verdicts (the server was started again)")
        page.click("#retry")
        says(page, "NOT saved: 3 verdicts (the server was started again)")
        page.context.clear_cookies()
        if reload:  # in the very tab: the page that refuses holds no script, and what waits survives it
            page.reload()
            assert "This page is closed" in page.inner_text("h1")
            page.goto(again.link)
            page.wait_for_url(f"{again.base}/")
        else:
            tab = page.context.new_page()
            tab.goto(again.link)
            tab.wait_for_url(f"{again.base}/")
            page.click("#retry")
        all_sent(page)
        expect(page.locator("#failed")).to_be_hidden()
        assert len(lines(index_path)) == 3
        page.goto(f"{again.base}/queue/mislabel?state=decided")
        shown = page.eval_on_selector_all(
            ".finding", "all => all.map(e => [e.dataset.finding, e.querySelector('.verdict').textContent])"
        )
        assert dict(shown) == given
    finally:
        again.stop()


def test_what_can_never_be_saved_is_named_and_holds_up_nothing(
    browser: Any, server: Server, index_path: Path
) -> None:
    page, _ = open_page(browser, server)
    page.goto(f"{server.base}/queue/mislabel/start")
    page.wait_for_load_state("networkidle")
    settled(page)
    about = page.locator("#sample").get_attribute("data-title")
    page.route("**/verdict", lambda route: route.abort())
    page.keyboard.press("o")
    says(page, "NOT saved: 1 verdict")
    settled(page)
    page.keyboard.press("d")
    says(page, "NOT saved: 2 verdicts")
    # A full disk, or whatever else passes: everything waits.
    page.unroute("**/verdict")
    page.route(
        "**/verdict", lambda route: route.fulfill(status=500, json={"saved": False, "error": "disk full"})
    )
    page.click("#retry")
    says(page, "NOT saved: 2 verdicts (disk full)")
    # The first one is about another build of the index.
    page.unroute("**/verdict")
    seen: list[str] = []

    def other_build(route: Any) -> None:
        data = route.request.post_data
        seen.append(data)
        if len(seen) == 1:
            data = data.replace("build=", "build=x")
        route.continue_(post_data=data)

    page.route("**/verdict", other_build)
    page.click("#retry")
    expect(page.locator("#refused li")).to_have_count(1)
    told = page.inner_text("#refused")
    assert "ok on" in told and about in told and "not the one it was given on" in told
    all_sent(page)
    assert [verdict for _, verdict in judged(index_path)] == ["drop"]
    page.click("#failed-close")
    expect(page.locator("#failed")).to_be_hidden()


def test_leaving_the_page_loses_no_verdict_on_its_way(browser: Any, server: Server, index_path: Path) -> None:
    page, _ = open_page(browser, server)
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(f"{server.base}/queue/mislabel/start")
    settled(page)
    page.route("**/verdict", lambda route: route.abort())
    page.keyboard.press("d")
    says(page, "NOT saved: 1 verdict")
    page.unroute("**/verdict")
    page.goto(f"{server.base}/")
    all_sent(page)
    assert [verdict for _, verdict in judged(index_path)] == ["drop"]
