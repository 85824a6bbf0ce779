"""The pages as a browser without JavaScript meets them: forms, pictures, lists."""

import csv
import io
import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from healtheat.reviewing.session import Review
from healtheat.view.views import View
from tests.reviewing.conftest import BASE, WHO
from tests.reviewing.review_set import IMAGES, NAMES

JSON = {"Accept": "application/json"}


def picture(client: TestClient, path: str) -> Image.Image:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/jpeg"
    return Image.open(io.BytesIO(answer.content))


def first(review: Review, queue: str = "mislabel") -> int:
    return review.work.page(View(queue=queue), offset=0, limit=1)[0]


def places_of(review: Review, queue: str) -> int:
    """How many places the leading rows of this issue are, by the rows of the index."""
    rows = review.index.sql("SELECT DISTINCT place_id FROM findings WHERE flagged AND issue = ?", [queue])
    return len(rows)


def test_overview_counts(client: TestClient, undecided: Review) -> None:
    text = client.get("/").text
    queues = dict.fromkeys(re.findall(r'<h2><a href="/queue/(\w+)"', text))
    assert "not asked on this set by planned: no tiles &amp; no words" in text
    assert list(queues) == ["all", "mislabel", "bad_box", "missing_box", "unreadable"]
    places = places_of(undecided, "mislabel")
    assert places < IMAGES * 3, "the others are led by another issue"
    assert f'of <span class="of">{places}</span>' in text
    for finding_id in undecided.work.page(View(queue="mislabel"), offset=0, limit=8):
        undecided.work.decide(finding_id, "drop", WHO)
    text = client.get("/").text
    assert "8 drop" in text and "100\u00a0% were errors" in text and "likely left" in text


def test_going_on_is_advised_after_some_verdicts_only(client: TestClient, undecided: Review) -> None:
    for number, finding_id in enumerate(undecided.work.page(View(queue="mislabel"), offset=0, limit=11)):
        assert ("Go on: of the last" in client.get("/").text) == (number >= 10)
        undecided.work.decide(finding_id, "drop", WHO)


def test_judging_without_javascript(client: TestClient, undecided: Review) -> None:
    answer = client.get("/queue/mislabel/start?split=train")
    plain = TestClient(client.app, base_url=BASE, cookies=client.cookies, follow_redirects=False)
    for verdict in ("ok", "drop", "unsure"):
        assert answer.status_code == 303, answer.text
        to = answer.headers["location"]
        assert to.startswith("/queue/mislabel/") and "split=train" in to
        text = plain.get(to).text
        form = re.search(r'<form method="post" action="/verdict" class="decide">(.*?)</form>', text, re.S)
        assert form
        fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form.group(1).split("<button")[0]))
        sent = {**fields, "next": fields["next"].replace("&amp;", "&"), "verdict": verdict}
        answer = plain.post("/verdict", data=sent, headers={"Origin": BASE})
    assert undecided.work.progress(View(queue="mislabel"))[0] == 3


def test_relabel_is_advice_with_a_known_class(client: TestClient, undecided: Review) -> None:
    finding_id = first(undecided)

    def relabel(to: str) -> tuple[int, dict[str, object]]:
        data = {"finding_id": str(finding_id), "verdict": "relabel", "relabel_to": to}
        answer = client.post("/verdict", data=data, headers=JSON)
        return answer.status_code, answer.json()

    for text, class_id in (("7", 7), ("7 plain", 7), ("plain", 7), ("0 타이레놀정500mg", 0), (NAMES[3], 3)):
        status, result = relabel(text)
        assert (status, result["saved"], result["relabel_to"]) == (200, True, class_id)
    for text in ("", "5", "99", "-1", "7 other", "no such"):
        status, result = relabel(text)
        assert (status, result["saved"]) == (422, False), text
    decision = undecided.work.decision(finding_id)
    assert decision is not None and (decision.relabel_to, decision.who) == (3, WHO)


@pytest.mark.parametrize("verdict", ["", "delete", "OK", "none"])
def test_unknown_verdicts_are_refused(client: TestClient, undecided: Review, verdict: str) -> None:
    answer = client.post("/verdict", data={"finding_id": "0", "verdict": verdict}, headers=JSON)
    assert answer.status_code == 422 and not answer.json()["saved"]
    assert undecided.work.decisions == 0


def test_undo_says_where_it_leads(client: TestClient, undecided: Review) -> None:
    assert client.post("/undo", headers=JSON).status_code == 422
    finding_id = first(undecided, "bad_box")
    undecided.work.decide(finding_id, "drop", WHO)
    result = client.post("/undo", data={"queue": "mislabel"}, headers=JSON).json()
    assert (result["finding_id"], result["queue"], result["decided"]) == (finding_id, "bad_box", 0)


def test_a_sample_shows_what_one_needs(client: TestClient, undecided: Review) -> None:
    finding_id = first(undecided)
    row = undecided.samples.get(finding_id)
    text = client.get(f"/queue/mislabel/{finding_id}").text
    box = row.finding["box_id"]
    for wanted in (f"/crop/{box}/large", f"/image/{row.finding['image_id']}/large", "typical of its class",
                   "nearest in its class", "p own", "0.25", "sharpness", "score"):  # fmt: skip
        assert wanted in text, wanted
    assert text.count("<rect") == 2 * len(row.boxes) == 6
    own = next(drawn for drawn in row.boxes if drawn.box_id == box)
    scaled = [row.finding[k] * s for k, s in (("w", 80), ("h", 60))]
    assert abs(own.width - scaled[0]) <= 1 and abs(own.height - scaled[1]) <= 1
    assert str(10**9) not in text, "evidence that names no box of this index is left out"
    for key in ("o", "d", "r", "u"):
        assert f'aria-keyshortcuts="{key}"' in text


def test_a_missing_pill_shows_the_image(client: TestClient, undecided: Review) -> None:
    finding_id = first(undecided, "missing_box")
    text = client.get(f"/queue/missing_box/{finding_id}").text
    assert "/image/0/large" in text and "/large" in text and 'class="crop"' not in text
    assert "typical of the missing class" in text


@pytest.mark.parametrize("queue", ["missing_box", "unreadable"])
def test_a_finding_about_an_image_says_what_the_keys_do(
    client: TestClient, undecided: Review, queue: str
) -> None:
    finding_id = first(undecided, queue)
    text = client.get(f"/queue/{queue}/{finding_id}").text
    beside = re.search(r'<p class="whole">(.*?)</p>', text, re.S)
    assert beside
    assert "takes the image and its label file out" in beside[1] and "no box could get another" in beside[1]
    assert ("no box is missing" in beside[1]) == (queue == "missing_box")
    assert re.search(r"<button[^>]*data-relabel[^>]*disabled", text)
    assert 'name="verdict" value="relabel"' not in text, "nor without JavaScript"
    assert "drop image" in client.get(f"/queue/{queue}").text
    data = {"finding_id": str(finding_id), "verdict": "relabel", "relabel_to": "7"}
    answer = client.post("/verdict", data=data, headers=JSON)
    assert answer.status_code == 422 and "whole image" in answer.json()["error"]
    assert undecided.work.decisions == 0
    box = client.get(f"/queue/mislabel/{first(undecided)}").text
    assert 'class="whole"' not in box and "disabled" not in box.partition("<dialog")[0]


def test_a_verdict_sent_again_is_written_once(client: TestClient, undecided: Review) -> None:
    data = {"finding_id": str(first(undecided)), "verdict": "drop", "build": undecided.build}
    before = undecided.index.judging.lines
    for _ in range(3):
        answer = client.post("/verdict", data={**data, "again": "1"}, headers=JSON)
        assert answer.json()["saved"]
    assert undecided.index.judging.lines == before + 1
    client.post("/verdict", data={**data, "verdict": "ok"}, headers=JSON)
    assert client.post("/verdict", data={**data, "again": "1"}, headers=JSON).json()["saved"]
    assert undecided.index.judging.lines == before + 3, "another one stood"


def test_a_verdict_on_another_build_is_refused(client: TestClient, undecided: Review) -> None:
    data = {"finding_id": str(first(undecided)), "verdict": "drop", "build": "another"}
    for path in ("/verdict", "/undo"):
        answer = client.post(path, data=data, headers=JSON)
        assert answer.status_code == 409 and not answer.json()["saved"]
    assert undecided.work.decisions == 0


def test_decisions_are_samples_not_lines(undecided: Review) -> None:
    work = undecided.work
    one, two = work.page(View(queue="mislabel"), offset=0, limit=2)
    for verdict in ("ok", "drop", "drop"):
        work.decide(one, verdict, WHO)
    work.decide(two, "ok", WHO)
    assert work.decisions == 2
    work.undo(WHO)
    assert work.decisions == 1
    work.undo(WHO)
    assert work.decisions == 1, "the verdict before it stands again"


def test_pictures_are_encoded_again_and_small(client: TestClient, undecided: Review) -> None:
    crop, image = picture(client, "/crop/0/large"), picture(client, "/image/0/large")
    assert image.size == (80, 60)
    row = undecided.index.sql("SELECT * FROM boxes WHERE box_id = 0").to_pylist()[0]
    assert abs(crop.width - row["w"] * 80 * 1.24) <= 2
    assert not image.info.get("exif")
    assert max(picture(client, "/crop/0/small").size) <= 192


def test_grid_pages_and_filters(client: TestClient, review: Review) -> None:
    text = client.get("/queue/all").text
    assert text.count('class="finding"') == 48 and "Page 1 of 2" in text
    rest = review.work.total(View()) - 48
    assert client.get("/queue/all?page=2").text.count('class="finding"') == rest > 0
    for page in ("0", "-3", "x", "99", "9" * 30):
        assert client.get(f"/queue/all?page={page}").status_code == 200
    only = client.get("/queue/mislabel?class=3&min_score=0.7&state=any&sort=image").text
    assert set(re.findall(r'<span class="id">(\d+)</span></span>', only)) == {"3"}


def test_what_else_was_found_on_a_box_stands_below_the_leading_reason(
    client: TestClient, undecided: Review
) -> None:
    finding_id = first(undecided, "bad_box")
    text = client.get(f"/queue/bad_box/{finding_id}").text
    assert "also: <b>Wrong class</b>" in text.partition('class="look"')[0]
    assert "also wrong class" in client.get("/queue/bad_box").text
    assert 'name="only"' not in text, "it stands alone"


def test_the_list_downloads_as_the_command_writes_it(client: TestClient, undecided: Review) -> None:
    finding_id = first(undecided)
    undecided.work.decide(finding_id, "relabel", WHO, 7)
    answer = client.get("/cleanup.csv?queue=mislabel&state=relabel")
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["verdict"], row["relabel_to"]) for row in rows] == [("relabel", "7")]
    assert answer.text.startswith("image,line,class_id,issue,score,")
    assert rows[0]["class_id"] == str(undecided.samples.get(finding_id).finding["class_id"])


def test_a_changed_or_missing_image_says_so(client: TestClient, undecided: Review, tmp_path: Path) -> None:
    file = undecided.index.image_file(19)
    kept = file.read_bytes()
    try:
        file.write_bytes(kept + b"x")
        changed = client.get("/image/19/small")
        assert changed.headers["content-type"] == "image/svg+xml" and b"changed" in changed.content
        assert changed.headers["cache-control"] == "no-store"
        file.unlink()
        assert b"was when the index was" in client.get("/image/19/small").content
        assert client.get(f"/crop/{undecided.index.boxes().box_id[-1]}/small").status_code == 200
    finally:
        file.write_bytes(kept)
    assert client.get("/image/19/small").headers["content-type"] == "image/jpeg"


def test_findings_without_an_image_are_left_to_problems(undecided: Review) -> None:
    assert undecided.work.total(View(queue="unreadable", state="any")) == 1


def test_a_rebuilt_index_is_told(client: TestClient, undecided: Review) -> None:
    manifest = undecided.index.path / "manifest.json"
    assert "built again" not in client.get("/").text
    before = manifest.stat()
    manifest.touch()
    assert "built again" in client.get("/").text
    import os

    os.utime(manifest, ns=(before.st_atime_ns, before.st_mtime_ns))
