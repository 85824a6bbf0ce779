"""The label signal: planted labels, look-alikes, images that hold each class once, when to keep quiet."""

from __future__ import annotations

import numpy as np

from healtheat.signals import Samples
from healtheat.signals.evidence.beliefs import Beliefs, class_beliefs
from healtheat.signals.evidence.context import missing_class, repetition
from healtheat.signals.label import Label, foreign_share, surprise
from healtheat.signals.samples import Pool
from tests.signals.synthetic_samples import by_itself, clusters, unit


def beliefs_of(samples: Samples) -> Beliefs:
    return class_beliefs(Pool.of(samples, samples))


def test_planted_labels_come_first_with_the_right_suggestion() -> None:
    wrong = [(0, 2), (17, 0), (50, 3), (81, 0)]
    samples = clusters(wrong=wrong)
    truth = clusters().boxes.class_id
    (answer,) = Label().measure(samples, samples)
    top = np.argsort(-answer.score)[:4]
    assert sorted(top.tolist()) == [row for row, _ in wrong]
    assert (answer.score[top] > 0.5).all()
    assert answer.suggestion[top].tolist() == truth[top].tolist()
    others = np.delete(answer.score, top)
    assert others.max() < 0.5
    assert "of its 10 nearest crops from other images are" in answer.reason[top[0]]
    neighbours = answer.evidence[top[0]]["suggested_neighbours"]
    assert neighbours and (samples.boxes.class_id[neighbours] == answer.suggestion[top[0]]).all()


def trays(images: int = 40, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each image holds classes 0 to 4 once; 3 and 4 look almost the same."""
    rng = np.random.default_rng(seed)
    code = np.tile(np.arange(5), images)
    centres = np.eye(5, 12)
    centres[4] = centres[3]
    centres[4, 5] = 0.35
    vectors = unit(centres[code] + 0.18 * rng.standard_normal((len(code), 12)))
    return code, vectors, np.repeat(np.arange(images), 5)


def test_the_image_tells_look_alikes_apart() -> None:
    code, vectors, image = trays()
    given = code.copy()
    given[[3, 53, 104]] = [4, 4, 3]  # images 0, 10 and 20 now hold one of the two twice
    (answer,) = by_itself(Label(), Samples.of(given, vectors, image_id=image))
    (alone,) = by_itself(Label(), Samples.of(given, vectors))  # every box on an image of its own

    def rank(a: object) -> list[int]:
        return [int((a.score > a.score[row]).sum()) for row in (3, 53, 104)]  # type: ignore[attr-defined]

    assert sum(rank(answer)) < sum(rank(alone))
    assert max(rank(answer)) < 6  # the wrong ones and the twin each was mistaken for


def test_context_is_learned_and_worth_nothing_where_classes_mix_freely() -> None:
    code, vectors, image = trays()
    ordered = beliefs_of(Samples.of(code, vectors, image_id=image)).weights
    rng = np.random.default_rng(1)
    mixed = beliefs_of(Samples.of(code, vectors, image_id=rng.permutation(image))).weights
    assert ordered["missing"] + ordered["repetition"] > 0.2
    freely = Samples.of(code, vectors, image_id=rng.permutation(image))
    assert mixed["missing"] < 0.1
    belief = np.eye(5)[code]
    evidence = repetition(belief, freely.image_row, len(freely.images))
    told = np.ptp(evidence, axis=1)  # how much it can tell the classes of a box apart
    in_order = repetition(belief, Samples.of(code, vectors, image_id=image).image_row, 40)
    assert told.mean() < 0.2 * np.ptp(in_order, axis=1).mean()


def test_missing_class_against_a_loop() -> None:
    code, _, image = trays(images=6)
    belief = np.eye(5)[code]
    group = image.astype(np.int32)
    found = missing_class(belief, image, group, 6)
    base = belief.sum(axis=0) + 0.5
    base /= base.sum()
    for row in range(len(code)):
        rest = belief[image == image[row]].sum(axis=0) - belief[row]
        share = np.zeros(5)
        for other in range(6):
            if other == image[row]:
                continue
            holds = belief[image == other].sum(axis=0)
            cosine = rest @ holds / np.linalg.norm(rest) / np.linalg.norm(holds)
            left = np.maximum(holds - rest, 0)
            share += np.exp((cosine - 1) / 0.15) * left / max(left.sum(), 0.5)
        expected = np.log((share + 0.3 * base) / (share.sum() + 0.3))
        np.testing.assert_allclose(found[row], expected, atol=1e-9)
    assert found.argmax(axis=1).tolist() == code.tolist()


def test_a_box_alone_on_its_image_misses_nothing() -> None:
    image = np.array([0, 0, 1, 1, 2, 3])
    belief = np.eye(3)[[0, 1, 0, 1, 2, 2]]
    got = missing_class(belief, image, image.astype(np.int32), 4)
    assert not got[4:].any(), "a frequent class is no missing one"
    assert got[:4].any()


def test_what_counts_is_the_given_class_and_not_the_best_other_one() -> None:
    p = np.array([[0.4, 0.6, 0.0], [0.01, 0.5, 0.49], [1e-9, 1.0, 0.0], [1e-12, 1.0, 0.0]])
    got = surprise(p, np.zeros(4, np.int64), 0.1)
    assert got.tolist() == sorted(got.tolist())
    assert got[3] - got[2] < 1e-6 < got[2] - got[1] < got[1] - got[0]


def test_repetition_is_unlikely_where_nothing_repeats() -> None:
    code, _, image = trays()
    found = repetition(np.eye(5)[code], image, 40)
    assert (found[np.arange(len(code)), code] > found.min(axis=1)).all()


def test_it_keeps_quiet_where_it_must() -> None:
    (answer,) = by_itself(Label(), clusters(classes=1))
    assert all("only one class" in why for why in answer.abstain)
    rows = unit(np.random.default_rng(0).standard_normal((12, 6)))
    (answer,) = by_itself(Label(), Samples.of([0] * 5 + [1] * 5 + [2] * 2, rows))
    assert [why is None for why in answer.abstain] == [True] * 10 + [False] * 2
    (answer,) = by_itself(Label(), Samples.of([0] * 5 + [1] * 5, rows[:10], group_key=[*"abcde", *"zzzzz"]))
    assert all("one source only" in why for why in answer.abstain[5:])


def test_classes_that_look_the_same_are_withheld() -> None:
    rng = np.random.default_rng(0)
    code = np.arange(120) % 3
    centres = np.eye(2, 8)[[0, 0, 1]]  # 0 and 1 are one and the same to this encoder
    (answer,) = by_itself(
        Label(), Samples.of(code, unit(centres[code] + 0.2 * rng.standard_normal((120, 8))))
    )
    doubtful = answer.suggestion >= 0
    assert doubtful.any()
    assert np.mean([why is not None for why in answer.withheld[doubtful]]) > 0.9
    assert all(why is None for why in answer.withheld[code == 2])


def test_wrong_labels_of_a_rare_class_do_not_make_it_a_look_alike() -> None:
    rng = np.random.default_rng(3)
    code = np.r_[np.zeros(300, np.int64), np.ones(20, np.int64)]
    vectors = unit(np.eye(2, 8)[code] + 0.15 * rng.standard_normal((320, 8)))
    given = code.copy()
    given[:15] = 1  # nearly as many as are really of class 1
    (answer,) = by_itself(Label(), Samples.of(given, vectors))
    assert all(why is None for why in answer.withheld[:15])
    assert answer.score[:15].min() > answer.score[15:].max()


def test_flags_are_withheld_where_only_the_image_tells_classes_apart() -> None:
    """What decides is the crop alone: the images of this data say which twin it is, the encoder cannot."""
    rng = np.random.default_rng(2)
    code = np.tile([0, 1, 0, 2], 40)  # product 0 is on every image, the twins 1 and 2 on every other one
    image = np.repeat(np.arange(80), 2)
    centres = np.eye(3, 12)
    centres[2] = centres[1]
    companion = np.repeat(np.arange(80) % 2, 2)  # images with twin 2 hold another kind of product 0
    code = np.where((code == 0) & (companion == 1), 3, code)
    vectors = unit(np.vstack([centres, np.eye(4, 12)[3]])[code] + 0.1 * rng.standard_normal((160, 12)))
    given = code.copy()
    wrong = [1, 43, 85]
    given[wrong] = np.where(code[wrong] == 1, 2, 1)
    samples = Samples.of(given, vectors, image_id=image)
    (answer,) = Label().measure(samples, samples)
    p = np.exp(beliefs_of(samples).log_p)
    twins = np.isin(code, (1, 2))
    assert (samples.class_ids[p.argmax(axis=1)] == code)[twins].mean() > 0.9  # with everything: told apart
    assert (answer.raw[wrong] > 0).all()  # and so the order has them on top
    assert all("mixes up" in answer.withheld[row] for row in wrong)
    apart = np.isin(code, (0, 3))
    assert all(why is None for why in answer.withheld[apart])


def test_foreign_share_against_a_loop() -> None:
    rng = np.random.default_rng(0)
    code = rng.integers(0, 3, 40)
    other = rng.integers(-1, 40, (40, 8))
    other[0] = -1
    for row, found in enumerate(foreign_share(other, code)):
        near = [o for o in other[row, :5] if o >= 0]
        assert found == (sum(code[o] != code[row] for o in near) / len(near) if near else 0)
