"""What a sample shows beside its box: crops to compare with, chosen by vectors and typed columns."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from healtheat.index import Index
from healtheat.index.cache import CACHE_FOLDER
from healtheat.reporting.facts import collect
from healtheat.view import samples as view_samples
from healtheat.view.alike import Alike
from healtheat.view.inspection import Inspection
from healtheat.view.places import places
from healtheat.view.samples import RowKind
from tests.reviewing.review_set import build_planned


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    with Index.open(build_planned(tmp_path_factory.mktemp("samples"))) as opened:
        yield opened


def test_nearest_crops_are_the_most_similar_of_other_sources(index: Index) -> None:
    boxes, images = index.boxes(), index.images()
    source = dict(zip(images.image_id.tolist(), images.group_key, strict=True))
    vectors = index.vectors(boxes.box_id)
    alike = Alike(index)
    for row in range(0, len(boxes.box_id), 7):
        own_image = int(boxes.image_id[row])
        for class_id in np.unique(boxes.class_id).tolist():
            rows = np.flatnonzero(boxes.class_id == class_id)
            rows = rows[np.argsort(-(vectors[rows] @ vectors[row]), kind="stable")]
            wanted: list[int] = []
            seen = set()
            for other in rows.tolist():
                image = int(boxes.image_id[other])
                if source[image] != source[own_image] and image not in seen:
                    seen.add(image)
                    wanted.append(int(boxes.box_id[other]))
            assert wanted, "else nothing is compared"
            assert alike.nearest(int(boxes.box_id[row]), own_image, class_id, 4) == wanted[:4]
    assert alike.nearest(0, 0, 10**6) == [] and alike.nearest(10**6, 0, 0) == []


@pytest.mark.slow
def test_rows_follow_columns_not_the_text_of_evidence(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    inspection = Inspection(index)

    def rows(issue: str) -> list[tuple[RowKind, list[int]]]:
        found = inspection.work.rows(
            "SELECT finding_id FROM work WHERE issue = ? ORDER BY finding_id", [issue]
        )
        return [(row.kind, list(row.box_ids)) for (one,) in found for row in inspection.samples.get(one).rows]

    before = {issue: rows(issue) for issue in ("mislabel", "bad_box", "missing_box")}
    twins = [boxes for kind, boxes in before["bad_box"] if kind == RowKind.TWIN]
    assert twins and all(boxes == [0] for boxes in twins)
    assert {kind for kind, _ in before["missing_box"]} == {RowKind.TYPICAL_MISSING}
    assert {RowKind.NEAREST_OWN, RowKind.NEAREST_SUGGESTED} <= {kind for kind, _ in before["mislabel"]}
    monkeypatch.setattr(view_samples, "_shown_evidence", lambda text: {})
    assert {issue: rows(issue) for issue in before} == before


def test_the_report_takes_the_map_of_the_page_where_it_is_there(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = collect(index, title="t", per_issue=0).map
    assert not list((index.path / CACHE_FOLDER).glob("map-*")), "a report writes nothing into the index"
    places(index, index.boxes().box_id)  # as the review page does

    def never(*_: object) -> None:
        raise AssertionError("projected again")

    monkeypatch.setattr("healtheat.view.places.project", never)
    assert collect(index, title="t", per_issue=0).map == fresh


def test_a_report_needs_no_reviewer(tmp_path: Path) -> None:
    assert not hasattr(Inspection, "who")
    with Index.open(build_planned(tmp_path)) as opened:
        assert list(Inspection(opened).stats()) == ["mislabel", "bad_box", "missing_box", "unreadable"]
