"""Planted errors: where they are planted, that nothing else changes, and that good signals find them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from healtheat.core.corners import outlines
from healtheat.core.errors import InputError
from healtheat.planting import KINDS, selftest
from healtheat.planting.plant import WHOLE_SIDE, Planting
from healtheat.signals import Samples, Scores, Signal
from healtheat.signals.evidence.trust import trust
from healtheat.signals.geometry import Geometry
from healtheat.signals.samples import MEASURES
from tests.signals.synthetic_samples import clusters, unit

SETUP = "_0_2_0_2_70_000_200"
NAMES = [kind.name for kind in KINDS]


class FakeCrops:
    """Vectors that lie where the tiles of `clusters` lie; remembers what it was asked for."""

    def __init__(self, dim: int = 16, direction: int = 4, gone: Sequence[int] = ()) -> None:
        self.dim, self.direction, self.gone = dim, direction, set(gone)
        self.asked: list[tuple[int, NDArray[np.float64]]] = []

    def __call__(
        self, image_row: int, xywhn: NDArray[np.float64], corners: NDArray[np.object_]
    ) -> tuple[NDArray[np.float32], NDArray[Any]] | None:
        self.asked.append((image_row, xywhn.copy()))
        if image_row in self.gone:
            return None
        rng = np.random.default_rng(len(self.asked))
        vectors = unit(np.eye(self.dim)[self.direction] + 0.2 * rng.standard_normal((len(xywhn), self.dim)))
        measures = np.zeros(len(xywhn), [*MEASURES.descr, ("more", "f4")])
        measures["sharpness"] = 77
        return vectors, measures


def planted(name: str, samples: Samples, count: int = 12, crops: FakeCrops | None = None) -> Planting:
    kind = next(kind for kind in KINDS if kind.name == name)
    return kind.plant(samples, count, np.random.default_rng(0), crops or FakeCrops())


@pytest.mark.parametrize("name", NAMES)
def test_planting_changes_only_what_it_says(name: str) -> None:
    samples = clusters()
    before = {f: getattr(samples.boxes, f).copy() for f in ("class_id", "xywhn", "line", "box_id")}
    vectors = samples.vectors.copy()
    planting = planted(name, samples)
    for field, value in before.items():
        assert (getattr(samples.boxes, field) == value).all()  # the given samples are as they were
    assert (samples.vectors == vectors).all()
    new, old = planting.samples, samples
    assert 0 < len(planting.wrong) <= 12 and len(np.unique(new.boxes.box_id)) == len(new)
    common = np.intersect1d(new.boxes.box_id, old.boxes.box_id)
    right = np.setdiff1d(common, planting.wrong)
    a, b = np.isin(new.boxes.box_id, right), np.isin(old.boxes.box_id, right)
    for field in ("class_id", "xywhn", "line", "image_id"):
        assert (getattr(new.boxes, field)[a] == getattr(old.boxes, field)[b]).all()
    assert (new.vectors[a] == old.vectors[b]).all() and (new.group[a] == old.group[b]).all()
    assert len(right) == len(old) - (len(planting.wrong) if name not in ("spurious", "duplicate") else 0)


def test_flips_and_confusions_have_another_class() -> None:
    samples = clusters(class_ids=[3, 70, 71, 900])
    for name in ("flips", "confuse"):
        planting = planted(name, samples)
        rows = np.isin(samples.boxes.box_id, planting.wrong)
        given, now = samples.boxes.class_id[rows], planting.samples.boxes.class_id[rows]
        assert (given != now).all() and set(now.tolist()) <= {3, 70, 71, 900}


def test_confusions_are_between_classes_that_look_alike() -> None:
    rng = np.random.default_rng(0)
    code = np.tile(np.arange(8), 30)
    centres = np.eye(4, 16)[np.arange(8) // 2]  # 0 and 1 look alike, 2 and 3, …
    samples = Samples.of(
        code, unit(centres[code] + 0.1 * rng.standard_normal((240, 16))), image_id=np.arange(240) // 8
    )
    planting = planted("confuse", samples, 240)
    given, now = samples.boxes.class_id, planting.samples.boxes.class_id
    twin = given // 2 == now // 2
    assert 0.2 < twin.mean() < 0.5  # one of three look-alikes is the twin, by chance it would be 1 in 7
    assert trust(samples).look_alikes() == [(0, 1), (2, 3), (4, 5), (6, 7)]


def test_bad_boxes_are_whole_images_or_off_the_object() -> None:
    samples = clusters()
    crops = FakeCrops()
    planting = planted("boxes", samples, crops=crops)
    rows = np.flatnonzero(np.isin(samples.boxes.box_id, planting.wrong))
    new = planting.samples
    whole = (new.boxes.xywhn[rows, 2:] >= WHOLE_SIDE).all(axis=1)
    assert 0 < whole.sum() < len(rows)
    for row in rows[~whole]:
        others = samples.boxes.xywhn[samples.boxes.image_id == samples.boxes.image_id[row]]
        apart = (
            np.abs(others[:, :2] - new.boxes.xywhn[row, :2])
            >= (others[:, 2:] + new.boxes.xywhn[row, 2:]) / 2 - 1e-9
        )
        assert apart.any(axis=1).all()
    assert (new.measures["sharpness"][rows] == 77).all() and new.measures.dtype == samples.measures.dtype
    asked = np.concatenate([boxes for _, boxes in crops.asked])
    assert {tuple(box) for box in asked} == {tuple(box) for box in new.boxes.xywhn[rows]}


def test_a_second_box_overlaps_the_first_which_counts_as_neither() -> None:
    samples = clusters()
    planting = planted("duplicate", samples)
    boxes = planting.samples.boxes
    for box, first in zip(planting.wrong, planting.ignored, strict=True):
        new, old = boxes[boxes.box_id == box], boxes[boxes.box_id == first]
        assert new.image_id == old.image_id and new.class_id == old.class_id
        assert np.abs(new.xywhn - old.xywhn).max() < 0.1 * old.xywhn[:, 2:].max()


def test_images_that_are_gone_are_left_out() -> None:
    samples = clusters()
    gone = range(0, len(samples.images), 2)
    for name in ("boxes", "spurious", "duplicate"):
        planting = planted(name, samples, crops=FakeCrops(gone=gone))
        b = planting.samples.boxes
        assert len(planting.wrong) and not np.isin(b.image_id[np.isin(b.box_id, planting.wrong)], gone).any()
    everything = FakeCrops(gone=range(len(samples.images)))
    for name in ("boxes", "spurious", "duplicate"):
        assert len(planted(name, samples, crops=everything).wrong) == 0


class Perfect(Signal):
    """Knows the right class by heart and misses nothing."""

    name = "perfect"
    issues = ("mislabel",)

    def __init__(self, right: dict[int, int]) -> None:
        self._right = right

    def measure(self, queries: Samples, store: Samples) -> list[Scores]:
        wrong = [
            self._right[int(b)] != c
            for b, c in zip(queries.boxes.box_id, queries.boxes.class_id, strict=True)
        ]
        return [
            Scores.of(
                self,
                "mislabel",
                queries,
                raw=np.array(wrong, float),
                score=np.array(wrong, float),
                reason=[""] * len(queries),
            )
        ]


class Blind(Signal):
    """Abstains on everything."""

    name = "blind"
    issues = ("mislabel",)

    def measure(self, queries: Samples, store: Samples) -> list[Scores]:
        n = len(queries)
        return [
            Scores.of(
                self,
                "mislabel",
                queries,
                raw=np.zeros(n),
                score=np.zeros(n),
                reason=[""] * n,
                abstain=["dark"] * n,
            )
        ]


def test_a_perfect_signal_gets_one_and_a_blind_one_chance() -> None:
    samples = clusters()
    right = dict(zip(samples.boxes.box_id.tolist(), samples.boxes.class_id.tolist(), strict=True))
    good = selftest(samples, kinds=["flips"], signals=[Perfect(right)]).results[0]
    assert (good.average_precision.value, good.precision.value, good.flag_precision, good.flag_recall) == (
        1,
        1,
        1,
        1,
    )
    assert good.planted == round(0.05 * len(samples)) and good.abstained == 0
    blind = selftest(samples, kinds=["flips"], signals=[Blind()]).results[0]
    assert blind.average_precision.value == pytest.approx(blind.base_rate)
    assert blind.abstained == 1 and blind.flagged == 0 and np.isnan(blind.flag_precision)


@pytest.mark.slow
def test_the_real_signals_find_what_can_be_found() -> None:
    samples = clusters(per_class=60)
    report = selftest(samples, FakeCrops(), plantings=2, rate=0.08)
    by_kind = {r.kind: r for r in report.results}
    assert not report.failures
    assert by_kind["flips"].average_precision.value > 0.8
    assert by_kind["boxes"].average_precision.value > 0.7
    assert by_kind["spurious"].average_precision.value > 0.7
    assert by_kind["duplicate"].average_precision.value > 0.9
    assert report.skipped == {"missing": "no signal can judge it on this data"}


@pytest.mark.slow
def test_missing_boxes_are_found_where_names_tell() -> None:
    # AI Hub's category ids: drug code - 1; every image lists the classes of its three boxes
    samples = clusters(class_ids=[0, 1, 2, 3])
    names = [
        "K-"
        + "-".join(f"{c + 1:06d}" for c in samples.boxes.class_id[samples.image_row == i])
        + SETUP
        + f"_{i}.png"
        for i in range(len(samples.images))
    ]
    named = Samples.of(
        samples.boxes.class_id,
        samples.vectors,
        image_id=samples.boxes.image_id,
        image_path=names,
        names={c: str(c) for c in range(4)},
    )
    result = selftest(named, kinds=["missing"]).results[0]
    assert result.average_precision.value == 1 and result.flag_recall == 1 and result.flag_precision == 1


@pytest.mark.slow
def test_the_same_seed_gives_the_same_report() -> None:
    samples = clusters(per_class=15)
    first = selftest(
        samples, FakeCrops(), kinds=["flips", "boxes"], plantings=2, signals=[Geometry(), Blind()]
    )
    again = selftest(
        samples, FakeCrops(), kinds=["flips", "boxes"], plantings=2, signals=[Geometry(), Blind()]
    )
    assert repr(first) == repr(again)
    other = selftest(samples, FakeCrops(), kinds=["boxes"], plantings=2, signals=[Geometry()], seed=1)
    assert repr(other.results) != repr(first.results[1:])


def test_a_crash_is_told_and_does_not_stop_the_rest() -> None:
    class Crash(Blind):
        name = "crash"

        def measure(self, queries: Samples, store: Samples) -> list[Scores]:
            raise RuntimeError("boom")

    report = selftest(clusters(per_class=10), kinds=["flips"], signals=[Crash(), Blind()], plantings=2)
    assert report.failures == ("crash: RuntimeError: boom",) and report.results[0].plantings == 2


def test_what_cannot_be_tested_is_said() -> None:
    report = selftest(clusters(classes=1, per_class=12), kinds=["flips", "confuse", "spurious"], plantings=1)
    assert set(report.skipped) == {"flips", "confuse", "spurious"} and report.results == ()
    with pytest.raises(InputError, match="no kind of error"):
        selftest(clusters(), kinds=["typo"])
    with pytest.raises(InputError, match="rate"):
        selftest(clusters(), rate=0)
    with pytest.raises(InputError, match="two boxes"):
        selftest(Samples.of([], np.zeros((0, 3))))


def test_planted_boxes_take_their_outline_along() -> None:
    samples = clusters()
    b = samples.boxes
    corners = [np.stack([box[:2] - box[2:] / 2, box[:2] + box[2:] / 2, box[:2]]) for box in b.xywhn]
    outlined = replace(samples, boxes=replace(b, corners=outlines(corners)))
    for name in ("boxes", "spurious", "duplicate"):
        new = planted(name, outlined).samples.boxes
        for box, outline in zip(new.xywhn, new.corners, strict=True):
            assert np.allclose(outline[:2], [box[:2] - box[2:] / 2, box[:2] + box[2:] / 2])
