"""Boxes assigned to what a name lists: flips, exchanges, boxes too many or missing, names of other images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import product

import numpy as np
import pytest

from healtheat.core.boxes import NO_CLASS
from healtheat.findings.inputs import Inputs
from healtheat.signals import Samples
from healtheat.signals.contents import Contents
from healtheat.signals.evidence.listed import Assigned, Rates, Tray, _chances, assign, trays_of
from healtheat.signals.evidence.objects import same_objects, vouched
from healtheat.signals.label import Label
from tests.signals.synthetic_samples import unit

SETUP = "_0_2_0_2_{}_000_200.png"
PRODUCTS, IMAGES = 12, 80
PLACES = [[0.25, 0.25, 0.2, 0.2], [0.75, 0.25, 0.2, 0.2], [0.25, 0.75, 0.2, 0.2], [0.75, 0.75, 0.2, 0.2]]


class Trays:
    """Trays of four of twelve products under AI Hub's names; the last two products look almost the same."""

    def __init__(self, images: int = IMAGES, copies: int = 1, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        looks = np.eye(PRODUCTS, 24)
        looks[-1] = looks[-2]
        looks[-1, -1] = 0.3
        trays = [np.sort(rng.permutation(PRODUCTS)[:4]) for _ in range(images // copies)]
        self.true = np.concatenate([trays[i // copies] for i in range(images)])
        self.given = self.true.copy()
        self.image = np.repeat(np.arange(images), 4)
        self.vectors = unit(looks[self.true] + 0.12 * rng.standard_normal((len(self.true), 24)))
        self.xywhn = np.array(PLACES * images)
        self.paths = [
            f"K-{'-'.join(f'{c + 1:06d}' for c in trays[i // copies])}" + SETUP.format(70 + i % copies)
            for i in range(images)
        ]
        self.keep = np.ones(len(self.true), bool)

    def samples(self) -> Samples:
        """With their listing."""
        made = Samples.of(
            self.given[self.keep],
            self.vectors[self.keep],
            xywhn=self.xywhn[self.keep],
            image_id=self.image[self.keep],
            image_path=self.paths,
            group_key=[path.split("_", 1)[0] for path in self.paths],
            names={c: f"product {c}" for c in range(PRODUCTS)},
        )
        return Inputs().joined(Label(), made)

    def flags(self) -> tuple[dict[int, int], list[int], list[tuple[int, int]]]:
        """Rows called wrong and their suggestion, rows too many, and (image, class) missing."""
        samples = self.samples()
        (label,) = Label().measure(samples, samples)
        unexpected, missing = Contents().measure(samples, samples)
        rows = np.flatnonzero(self.keep)
        free = np.array([why is None for why in label.withheld])
        wrong = np.flatnonzero((label.score >= 0.5) & free)
        gone = missing.score >= 0.5
        return (
            dict(zip(rows[wrong].tolist(), label.suggestion[wrong].tolist(), strict=True)),
            rows[unexpected.score >= 0.5].tolist(),
            list(zip(missing.image_id[gone].tolist(), missing.class_id[gone].tolist(), strict=True)),
        )


def test_labels_that_the_name_confirms_are_not_flagged() -> None:
    assert Trays().flags() == ({}, [], [])


def test_a_wrong_label_is_one_finding_with_the_listed_product_as_correction() -> None:
    made = Trays()
    made.given[5] = next(c for c in range(PRODUCTS) if c not in made.true[4:8])
    made.given[42] = made.true[41]  # a product that lies there too
    assert made.flags() == ({5: made.true[5], 42: made.true[42]}, [], [])


def test_two_exchanged_labels_suggest_each_other() -> None:
    made = Trays()
    made.given[[8, 10]] = made.given[[10, 8]]
    assert made.flags() == ({8: made.true[8], 10: made.true[10]}, [], [])


def test_what_is_left_is_too_many_or_missing() -> None:
    made = Trays()
    made.keep[[13, 101]] = False  # two pills without a box
    made.vectors[60] = unit(np.random.default_rng(1).standard_normal((1, 24)))[0]
    extra = next(c for c in range(PRODUCTS) if c not in made.true[80:84])
    for name in ("true", "given", "image", "vectors", "xywhn", "keep"):  # a box on bare ground
        old = getattr(made, name)
        new = {"true": extra, "given": extra, "image": 20, "xywhn": [0.5, 0.5, 0.1, 0.1], "keep": True}
        setattr(made, name, np.concatenate([old, [new.get(name, made.vectors[60])]]))
    wrong, too_many, missing = made.flags()
    assert wrong == {} and too_many == [len(made.true) - 1]
    assert missing == [(3, made.true[13]), (25, made.true[101])]


def test_one_of_three_images_of_a_tray_that_disagrees_is_the_suspect() -> None:
    """The two look-alikes are exchanged on one image: the crop cannot tell, the other two images can."""
    made = Trays(copies=2 + 1, images=90)
    both = [i for i in range(0, 90, 3) if {PRODUCTS - 2, PRODUCTS - 1} <= set(made.true[4 * i : 4 * i + 4])]
    at = 4 * both[0]
    pair = [at + j for j in range(4) if made.true[at + j] >= PRODUCTS - 2]
    made.given[pair] = made.given[pair[::-1]]
    wrong, too_many, missing = made.flags()
    assert wrong == {row: made.true[row] for row in pair} and not too_many and not missing


def test_copies_speak_only_where_they_differ() -> None:
    number = np.array([0, 0, 0, 1, 1, 1, 2])
    said = vouched(number, np.array([1, 1, 1, 1, 1, 2, 0]), 3)
    assert not said[[0, 1, 2, 6]].any()
    assert said[5].argmax() == 1 and said[5, 1] > said[3, 1] > 0
    assert vouched(np.zeros(0, np.int64), np.zeros(0, np.int64), 3).shape == (0, 3)


def test_an_error_repeated_on_all_copies_is_not_confirmed() -> None:
    made = Trays(copies=3, images=90)
    wrong = next(c for c in range(PRODUCTS) if c not in made.true[:4])
    made.given[[0, 4, 8]] = wrong
    assert vouched(same_objects(made.samples()), made.given, PRODUCTS).any() == np.False_
    assert made.flags()[0] == dict.fromkeys([0, 4, 8], made.true[0])


def test_names_of_other_images_weigh_nothing() -> None:
    """With names dealt out at random the labels stand: what they disagree with is the name."""
    made = Trays()
    made.paths = [made.paths[i] for i in np.random.default_rng(5).permutation(IMAGES)]
    wrong, _, missing = made.flags()
    assert len(wrong) < 0.02 * len(made.true) and len(missing) < 0.1 * IMAGES


def test_a_class_with_a_single_box_gets_its_correction_from_the_name() -> None:
    made = Trays()
    made.given[5] = 40  # a class no other box has
    assert made.flags() == ({5: made.true[5]}, [], [])


# --- the sums, against trying all ways ---


def slow(
    weight: np.ndarray, none: np.ndarray, counts: tuple[int, ...], lost: float
) -> tuple[np.ndarray, ...]:
    m, k = weight.shape
    box, extra, missing, total = np.zeros((m, k)), np.zeros(m), np.zeros(k), 0.0
    for way in product(range(-1, k), repeat=m):
        taken = Counter(c for c in way if c >= 0)
        if any(n > counts[c] for c, n in taken.items()):
            continue
        left = [counts[c] - taken[c] for c in range(k)]
        w = lost ** sum(left) * np.prod([none[i] if c < 0 else weight[i, c] for i, c in enumerate(way)])
        total += w
        missing += w * np.array([n > 0 for n in left])
        for i, c in enumerate(way):
            if c < 0:
                extra[i] += w
            else:
                box[i, c] += w
    return box / total, extra / total, missing / total, np.array(total)


@pytest.mark.parametrize("counts", [(1, 1, 1), (2, 1), (3,), ()])
@pytest.mark.parametrize("m", [0, 2, 4])
def test_the_sums_equal_trying_all_ways(counts: tuple[int, ...], m: int) -> None:
    rng = np.random.default_rng(m)
    weight, none = rng.random((2, m, len(counts))), 0.1 * rng.random((2, m))
    nothing = np.zeros((2, len(counts)), np.int64), np.ones((2, len(counts)))
    box, extra, missing, total = _chances(weight, none, counts, (0, 0), 0.05, nothing)
    for at in range(2):
        expected = slow(weight[at], none[at], counts, 0.05)
        first = missing[at][:, 0] if counts else np.zeros(0)
        for found, right in zip((box[at], extra[at], first, total[at]), expected, strict=True):
            np.testing.assert_allclose(found, right, atol=1e-12)


def assigned(listed: Mapping[int, int], labels: list[int], broken: int = 0) -> Assigned:
    """One image among many that agree with their names; crops tell nothing."""
    right = [Tray(i, np.arange(2 * i, 2 * i + 2), {0: 1, 1: 1}) for i in range(50)]
    one = Tray(50, np.arange(100, 100 + len(labels)), listed, broken)
    code = np.array([0, 1] * 50 + labels)
    flat = np.full((len(code), 4), -np.log(4.0))
    return assign([*right, one], flat, np.full(4, 0.25), np.arange(4), code, 51)


def test_a_line_that_cannot_be_read_is_no_missing_box() -> None:
    assert not any(p > 0.2 for image, _, p in assigned({0: 1, 1: 1}, [0], broken=1).missing if image == 50)
    gone = {c: p for image, c, p in assigned({0: 1, 1: 1}, [0]).missing if image == 50}
    assert gone[1] > 0.8


def test_a_thing_without_a_class_is_never_missed_and_takes_a_box() -> None:
    found = assigned({0: 1, NO_CLASS: 1}, [0, 3])
    assert not [p for image, _, p in found.missing if image == 50 and p > 0.2]
    assert found.suggestion[101] in (NO_CLASS, 0) and found.extra[101] < 0.5
    assert not [1 for image, c, _ in assigned({0: 1, NO_CLASS: 1}, [0]).missing if image == 50]


def test_an_image_that_lists_too_much_is_left_to_counting() -> None:
    found = assigned(dict.fromkeys(range(4), 9), [0, 1])
    assert not found.images[50] and not found.known[100:].any() and found.images[:50].all()


def test_rates_are_counted_where_an_extra_and_a_missing_box_are_one_wrong_label() -> None:
    trays = [Tray(i, np.array([2 * i, 2 * i + 1]), {0: 1, 1: 1}) for i in range(100)]
    label = np.array([0, 1] * 100)
    right = Rates.of(trays, label)
    label[1] = 3
    wrong = Rates.of(trays, label)
    assert wrong.wrong > right.wrong and (wrong.extra, wrong.missing) == (right.extra, right.missing)


@pytest.mark.parametrize(("second", "things"), [(1, 4), (0, 3), (7, 3)])
def test_of_two_boxes_on_one_place_both_count_only_where_the_name_lists_both(
    second: int, things: int
) -> None:
    path = "K-000001-000002-000003-000004" + SETUP.format(70)
    places = np.array([PLACES[0], PLACES[0], PLACES[2], PLACES[3]])
    made = Samples.of(
        [0, second, 2, 3],
        np.eye(4),
        xywhn=places,
        image_id=np.zeros(4, np.int64),
        image_path=[path],
        names={c: str(c) for c in range(8)},
    )
    [tray] = trays_of(Inputs().joined(Label(), made))
    assert len(tray.rows) == things and 0 in tray.rows
