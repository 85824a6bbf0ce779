"""What is a copy: pictures of one thing are not, whatever they look like."""

from __future__ import annotations

import numpy as np
import pytest

from healtheat.crops.grey import grey_copies, grey_crops
from healtheat.signals.evidence.copies import verify
from healtheat.signals.evidence.pixels import likeness
from tests.signals.photos import tablet

WHOLE = np.array([[0.5, 0.5, 0.9, 0.9]])


def crop(seed: int, **more: float) -> np.ndarray:
    return grey_crops(tablet(seed, **more), WHOLE)[0]


def test_a_copy_is_alike_and_another_photo_of_the_same_tablet_is_not() -> None:
    copies = [likeness(crop(s), grey_copies(tablet(s), WHOLE, seed=s)[0]) for s in range(8)]
    others = [likeness(crop(s), crop(s + 100)) for s in range(8)]
    assert min(copies) > max(others) + 0.1


def test_turned_copies_are_found_only_where_turns_are_asked_for() -> None:
    one = crop(0)
    turned = np.ascontiguousarray(np.rot90(one[:, ::-1], 3))
    assert likeness(one, turned, turns=True) > 0.95
    assert likeness(one, turned) < 0.8


def test_flat_pictures_are_no_copies_of_each_other() -> None:
    flat = np.full((64, 64), 128, np.uint8)
    assert likeness(flat, flat) < 0.1


def chances(found: list[float], copies: np.ndarray, others: np.ndarray) -> list[float]:
    verified = verify(np.array(found), copies, others, np.ones(len(found), bool))
    assert verified.why is None
    return verified.chance.tolist()


def test_the_limit_is_learned_from_copies_and_from_pairs_that_are_none() -> None:
    random = np.random.default_rng(0)
    copies, low, high = (np.clip(random.normal(m, 0.01, 40), -1, 0.99) for m in (0.97, 0.2, 0.85))
    assert chances([0.9], copies, low)[0] > 0.9
    assert chances([0.9], copies, high)[0] < 0.5, "here, other pictures score that as well"
    assert np.isnan(chances([0.97, np.nan], copies, low)[1]), "an image is gone"


def test_candidates_that_are_alike_teach_what_look_alikes_score() -> None:
    random = np.random.default_rng(0)
    copies, others = random.normal(0.97, 0.01, 40).clip(-1, 0.99), random.normal(0.1, 0.05, 40)
    alike = random.normal(0.75, 0.05, 300).tolist()
    assert max(chances(alike, copies, others)) < 0.5
    assert chances([*alike, 0.97], copies, others)[-1] > 0.9


@pytest.mark.parametrize(("copies", "others"), [(9, 40), (40, 9), (0, 0)])
def test_too_few_pictures_teach_nothing(copies: int, others: int) -> None:
    verified = verify(np.array([0.9]), np.full(copies, 0.95), np.full(others, 0.1), np.ones(1, bool))
    assert verified.why and np.isnan(verified.chance).all()


def test_where_everything_is_drawn_alike_pixels_cannot_tell() -> None:
    verified = verify(np.array([0.99]), np.full(20, 0.97), np.full(20, 0.99), np.ones(1, bool))
    assert verified.why and "of cases only" in verified.why
