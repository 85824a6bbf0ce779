"""One verdict for a whole place, or for one box of it: the page without and with JavaScript."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from healtheat.index import Index
from healtheat.reviewing.app import create_app
from healtheat.reviewing.serve import guard_of
from healtheat.reviewing.session import Review
from healtheat.view import worktable
from healtheat.view.views import View
from tests.reviewing.conftest import WHO, served

JSON = {"Accept": "application/json"}


@pytest.fixture
def placed(index_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Review, list[int]]]:
    """A review whose three worst findings of one class and queue are copies of each other, and those."""
    (index_path / "verdicts.jsonl").unlink(missing_ok=True)
    (index_path / "verdicts.head.json").unlink(missing_ok=True)
    with Index.open(index_path) as index:
        rows = index.sql(
            "SELECT finding_id FROM findings WHERE flagged AND issue = 'mislabel' AND class_id = "
            "(SELECT class_id FROM findings WHERE flagged AND issue = 'mislabel' ORDER BY score DESC, "
            "finding_id LIMIT 1) ORDER BY score DESC, finding_id LIMIT 3"
        )
        ids = rows["finding_id"].to_pylist()
        assert len(ids) == 3
        place = (
            f"CASE WHEN f.finding_id IN ({', '.join(map(str, ids))}) THEN -1 ELSE f.place_id END AS place_id"
        )
        monkeypatch.setattr(worktable, "_FINDINGS", worktable._FINDINGS.replace("f.place_id", place))
        yield Review(index, WHO), ids


def said(review: Review, ids: list[int]) -> list[str | None]:
    words = [review.work.decision(one) for one in ids]
    return [None if word is None else word.verdict for word in words]


def test_a_form_decides_the_whole_place_or_one_box(placed: tuple[Review, list[int]]) -> None:
    review, ids = placed
    guard = guard_of("127.0.0.1", 8765)
    client = TestClient(create_app(review, guard), base_url="http://127.0.0.1:8765", follow_redirects=False)
    assert client.get(f"/?token={guard.token}").status_code == 200
    client.headers.update({"Origin": "http://127.0.0.1:8765", "X-CSRF-Token": guard.csrf})
    text = client.get(f"/queue/mislabel/{ids[0]}").text
    assert 'name="only"' in text and "else with 2 copies" in text and text.count("<li>copy:") == 2
    assert "+ 2 copies" in client.get("/queue/mislabel").text

    def decide(**more: str) -> dict[str, Any]:
        data = {"finding_id": str(ids[0]), "verdict": "drop", "queue": "mislabel", **more}
        return dict(client.post("/verdict", data=data, headers=JSON).json())

    total = review.work.total(View(queue="mislabel"))
    assert decide()["left"] is None and said(review, ids) == ["drop"] * 3
    assert review.work.total(View(queue="mislabel")) == total - 1
    undone = client.post("/undo", data={"queue": "mislabel"}, headers=JSON).json()
    assert undone["finding_id"] == ids[0] and said(review, ids) == [None] * 3
    assert decide(only="1")["left"] == ids[1], "the strongest of those that are left"
    assert said(review, ids) == ["drop", None, None]
    assert review.work.total(View(queue="mislabel")) == total
    assert "else with 1 copy" in client.get(f"/queue/mislabel/{ids[1]}").text


@pytest.mark.slow
def test_b_is_only_this_box_and_the_others_come_next(placed: tuple[Review, list[int]], browser: Any) -> None:
    review, ids = placed
    with served(review) as link:
        page = browser.new_page()
        page.goto(link)
        page.goto(f"{link.partition('/?')[0]}/queue/mislabel/{ids[0]}")
        page.wait_for_selector("#sample-place[aria-busy=false], #sample")
        page.keyboard.press("b")
        assert page.is_checked(".decide [name=only]")
        page.keyboard.press("d")
        page.wait_for_selector(f'#sample[data-finding="{ids[1]}"]')
        page.wait_for_selector("#sample-place[aria-busy=false]")
        assert said(review, ids) == ["drop", None, None]
        assert not page.is_checked(".decide [name=only]")
        page.keyboard.press("o")
        page.wait_for_selector(f'#sample:not([data-finding="{ids[1]}"])')
        for _ in range(100):
            if said(review, ids) == ["drop", "ok", "ok"]:
                break
            page.wait_for_timeout(50)
        assert said(review, ids) == ["drop", "ok", "ok"]
        page.wait_for_selector("#sample-place[aria-busy=false]")
        page.keyboard.press("z")
        page.wait_for_selector(f'#sample[data-finding="{ids[1]}"]')
        assert said(review, ids) == ["drop", None, None]
        page.close()
