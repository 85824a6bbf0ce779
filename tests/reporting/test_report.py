"""The report: one file, bounded, escaped, whole or not at all, readable in a real browser."""

import hashlib
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from healtheat.cli import run
from healtheat.index import Index, NewVerdict
from healtheat.reporting import collect, write_report
from healtheat.reporting import page as report_page
from healtheat.reporting import worst as report_worst
from tests.browser import serious
from tests.hostile.forged import forge
from tests.reviewing.review_set import SILENT, build_planned

VOID = {"meta", "img", "rect", "br"}


class Page(HTMLParser):
    """Checks that tags nest; collects attributes and the text that is shown."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.shown = ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.shown += data if self.open and self.open[-1] != "style" else ""

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def hashes(folder: Path) -> dict[str, str]:
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index with Korean and hostile class names, and a verdict of each kind."""
    path = build_planned(tmp_path_factory.mktemp("report"))
    with Index.open(path) as index:
        rows = index.sql(
            "SELECT box_id FROM findings WHERE issue = 'mislabel' AND flagged ORDER BY score DESC LIMIT 4"
        )
        for box_id, verdict in zip(
            rows["box_id"].to_pylist(), ("drop", "relabel", "ok", "unsure"), strict=False
        ):
            more = {"relabel_to": 7} if verdict == "relabel" else {}
            index.judging.append(
                NewVerdict(
                    issue="mislabel", verdict=verdict, who="김약사 <b>", box_id=box_id, image_id=None, **more
                )
            )
    return path


@pytest.fixture(scope="module")
def written(judged: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("written") / "보고서.html"
    before = hashes(judged.parent)
    assert run(["report", str(judged), "--out", str(out)]) == 0
    assert hashes(judged.parent) == before, "index, images and labels are only read"
    assert [file.name for file in out.parent.iterdir()] == [out.name]
    return out


def test_the_file_stands_alone(written: Path) -> None:
    text = written.read_text(encoding="utf-8")
    assert text.lstrip().startswith("<!doctype html>")
    page = Page(text)
    assert not page.all("script") and not page.all("link") and not page.all("iframe")
    for tag, attributes in page.tags:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in ("src", "srcset", "data", "action", "poster", "background"):
                assert str(value).startswith("data:image/"), (tag, name)
            if name in ("href", "xlink:href"):
                assert str(value).startswith("#"), (tag, value)
    ids = [a["id"] for _, a in page.tags if a.get("id")]
    assert len(ids) == len(set(ids))
    assert {str(a["href"])[1:] for a in page.all("a")} <= set(ids)
    assert "url(" not in text and "@import" not in text and "http://" not in text and "https://" not in text
    assert page.all("img") and all(image.get("alt") for image in page.all("img"))
    assert all(head.get("scope") in ("col", "row") for head in page.all("th"))


def test_names_and_reasons_are_shown_as_they_are(written: Path) -> None:
    page = Page(written.read_text(encoding="utf-8"))
    hostile = ("<script>", 'looks like <b>another</b> & "more"', "김약사 <b>")
    for expected in (SILENT, "타이레놀정500mg", *hostile):
        assert expected in page.shown
    assert any("타이레놀정500mg" in str(image["alt"]) for image in page.all("img"))
    assert not page.all("b")


def test_no_name_acts_on_who_reads_the_page(judged: Path, tmp_path: Path) -> None:
    index = Path(shutil.copytree(judged, tmp_path / "index"))
    odd = "chr(27) || '[2J' || chr(7) || chr(8238) || chr(8294) || chr(8232)"
    forge(index, f"UPDATE classes SET name = {odd} || name", f"UPDATE findings SET reason = {odd} || reason")
    out = tmp_path / "report.html"
    assert run(["report", str(index), "--out", str(out), "--title", "a\x1b\u202eb"]) == 0
    text = out.read_text(encoding="utf-8")
    assert {c for c in text if not c.isprintable()} <= {"\n", "\u00a0"}
    assert text.count("\\x1b[2J\\x07\\u202e\\u2066\\u2028") > 10 and "a\\x1b\\u202eb" in text


def test_it_tells_what_people_decided(judged: Path, written: Path) -> None:
    text = written.read_text(encoding="utf-8")
    assert re.search(r"<td>67 % \(\d+ % to \d+ %\)</td>", text), "two errors among three"
    with Index.open(judged) as index:
        rows = index.sql(
            "SELECT finding_id FROM findings WHERE issue = 'mislabel' AND flagged ORDER BY score DESC LIMIT 4"
        )
        facts = collect(index, title="t")
    assert facts.stats["mislabel"].decided == 4
    first, second, cleared, fourth = rows["finding_id"].to_pylist()
    shown = [one.sample.finding["finding_id"] for one in facts.worst["mislabel"]]
    assert {first, second, fourth} <= set(shown) and cleared not in shown
    scores = [one.sample.finding["score"] for one in facts.worst["mislabel"]]
    assert scores == sorted(scores, reverse=True)
    assert [(r["who"], r["drop"], r["ok"]) for r in facts.reviewers] == [("김약사 <b>", 1, 1)]


@pytest.mark.parametrize("limit", [100, 130, 200, 400])
def test_the_size_is_bounded(judged: Path, tmp_path: Path, limit: int) -> None:
    with Index.open(judged) as index:
        done = write_report(index, tmp_path / "r.html", title="t", limit_bytes=limit << 10)
    size = (tmp_path / "r.html").stat().st_size
    assert size == done.size_bytes <= limit << 10
    page = Page((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert ("pictures were left out" in page.shown) == (done.pictures_left_out > 0)
    assert limit > 130 or done.pictures_left_out


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.1, 0.9])
def test_the_size_that_is_allowed_is_used(judged: Path, share: float) -> None:
    with Index.open(judged) as index:
        facts = collect(index, title="t", per_issue=100)
    every = report_worst.pictures(facts.worst)
    whole, none_lost = report_page.bounded(facts, 100 << 20)
    assert none_lost == 0 and all(picture in whole for picture in every)
    bare = report_page.render(facts, worst=report_worst.keep(facts.worst, 0))
    sizes = [len(text.encode("utf-8", "replace")) for text in (bare, whole)]
    limit = int(sizes[0] + share * (sizes[1] - sizes[0]))
    text, lost = report_page.bounded(facts, limit)
    assert 0.85 * limit < len(text.encode("utf-8", "replace")) <= limit
    assert 0 < lost < len(every) and f"{lost} pictures were left out" in Page(text).shown
    kept = report_worst.keep(facts.worst, len(every) - lost)
    assert report_worst.pictures(kept) == every[: len(every) - lost], "the most important ones"
    more = report_page.render(facts, worst=report_worst.keep(facts.worst, len(every) - lost + 1))
    assert len(more.encode("utf-8", "replace")) > limit - 200, "not one more would fit"
    assert report_page.bounded(facts, sizes[1])[1] == 0


def test_a_limit_below_the_text_is_refused(judged: Path, tmp_path: Path) -> None:
    from healtheat.core.errors import InputError

    with Index.open(judged) as index, pytest.raises(InputError, match="raise max_mb or lower per_issue"):
        write_report(index, tmp_path / "r.html", title="t", limit_bytes=1000)
    assert not list(tmp_path.iterdir())


def test_whole_or_not_at_all(judged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "r.html"
    out.write_bytes(b"mine")
    assert run(["report", "--index", str(judged), "--out", str(out)]) == 2
    assert out.read_bytes() == b"mine"

    def broken(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", broken)
        assert run(["report", str(judged), "--out", str(out), "--overwrite"]) == 2
    assert [file.name for file in tmp_path.iterdir()] == ["r.html"] and out.read_bytes() == b"mine"
    assert run(["report", str(judged), "--out", str(out), "--overwrite", "--per-issue", "0"]) == 0
    assert out.read_bytes().startswith(b"<!doctype html>")


def test_bad_input_exits_with_2(judged: Path, tmp_path: Path) -> None:
    assert run(["report", str(tmp_path / "none")]) == 2
    assert run(["report", str(judged), "--out", str(tmp_path)]) == 2
    assert run(["report", str(judged), "--out", str(judged / "r.html")]) == 2
    assert run(["report", str(judged), "--max-mb", "0"]) == 2


def test_images_that_changed_are_not_shown(judged: Path, tmp_path: Path) -> None:
    moved = Path(shutil.move(judged.parent / "자료", tmp_path / "away"))
    try:
        with Index.open(judged) as index:
            write_report(index, tmp_path / "r.html", title="t")
    finally:
        shutil.move(moved, judged.parent / "자료")
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "no picture of the image" in text and "data:image/jpeg" not in text


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser(browser: Any, written: Path, scheme: str) -> None:
    page = browser.new_context(color_scheme=scheme, offline=True, bypass_csp=True).new_page()
    wrong: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("request", lambda request: asked.append(request.url.split(":")[0]))
    page.goto(written.as_uri())
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    broken = "all => all.filter(i => !i.complete || !i.naturalWidth).length"
    assert page.eval_on_selector_all("img", broken) == 0
    back = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (int(re.findall(r"\d+", back)[0]) < 128) == (scheme == "dark")
    assert set(asked) <= {"file", "data"} and not wrong
    assert not serious(page)
