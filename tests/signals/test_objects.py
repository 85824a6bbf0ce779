"""Same objects on images of one source: matched by looks and arrangement, never by label, one to one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from healtheat.index import Index
from healtheat.signals import Samples, samples_from
from healtheat.signals.evidence.objects import same_objects
from healtheat.sources.groups import group_codes
from tests.signals.synthetic_samples import reordered, unit

PRODUCTS = 20


def trays(
    count: int = 30, *, copies: int = 3, noise: float = 0.1, twins: bool = False, mirrored: bool = False
) -> tuple[Samples, np.ndarray]:
    """Trays of four things on `copies` images each, and the thing each box shows.

    `twins`: two things of a tray look the same. `mirrored`: the second image of a tray is a mirror image.
    """
    rng = np.random.default_rng(0)
    looks = unit(rng.standard_normal((PRODUCTS, 16)))
    places = np.array([[0.25, 0.25], [0.75, 0.3], [0.3, 0.8], [0.7, 0.7]])
    code, vectors, xywhn, thing = [], [], [], []
    for tray in range(count):
        chosen = rng.permutation(PRODUCTS)[:4]
        chosen[1] = chosen[0] if twins else chosen[1]
        laid = places + rng.uniform(-0.05, 0.05, (4, 2))
        for copy in range(copies):
            at = laid + rng.uniform(-0.01, 0.01, (4, 2))
            if mirrored and copy == 1:
                at[:, 0] = 1 - at[:, 0]
            order = rng.permutation(4)
            code += chosen[order].tolist()
            vectors.append(looks[chosen[order]] + noise * rng.standard_normal((4, 16)))
            xywhn.append(np.column_stack([at[order], np.full((4, 2), 0.1)]))
            thing += (4 * tray + order).tolist()
    images = count * copies
    samples = Samples.of(
        code,
        unit(np.concatenate(vectors)),
        xywhn=np.concatenate(xywhn),
        image_id=np.repeat(np.arange(images), 4),
        image_path=[f"{i}.jpg" for i in range(images)],
        group_key=[f"tray {i // copies}" for i in range(images)],
    )
    return samples, np.array(thing)


def partition(number: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(number == k).tolist()) for k in np.unique(number)}


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("twins", [False, True])
def test_every_thing_is_found_again_twins_by_their_place(twins: bool, mirrored: bool) -> None:
    samples, thing = trays(twins=twins, mirrored=mirrored)
    assert partition(same_objects(samples)) == partition(thing)


def test_labels_do_not_matter() -> None:
    samples, thing = trays()
    samples.boxes.class_id[:] = np.random.default_rng(1).permutation(samples.boxes.class_id)
    assert partition(same_objects(samples)) == partition(thing)


def test_a_box_without_counterpart_stands_alone() -> None:
    samples, thing = trays()
    samples.vectors[5] = unit(np.random.default_rng(2).standard_normal((1, 16)))[0]  # a box on bare ground
    samples.boxes.xywhn[5] = [0.5, 0.05, 0.1, 0.1]
    gone = np.delete(np.arange(len(samples)), [17, 30])  # two boxes are missing
    number = same_objects(reordered(samples, gone))
    thing[5] = thing.max() + 1
    assert partition(number) == partition(thing[gone])


def test_an_object_has_one_box_an_image_and_stays_within_its_source() -> None:
    samples, _ = trays(twins=True, noise=0.6)
    number = same_objects(samples)
    for k in np.unique(number):
        own = number == k
        assert len(np.unique(samples.image_row[own])) == own.sum()
        assert len(np.unique(samples.group[own])) == 1


def test_numbers_follow_the_first_box_and_do_not_depend_on_the_order_of_rows() -> None:
    samples, _ = trays(10)
    number = same_objects(samples)
    first = [int(np.flatnonzero(number == k)[0]) for k in range(number.max() + 1)]
    assert first == sorted(first)
    order = np.random.default_rng(3).permutation(len(samples))
    again = same_objects(reordered(samples, order))
    back = np.empty(len(samples), np.int64)
    back[order] = again
    assert partition(back) == partition(number)


def test_without_sources_of_several_images_all_boxes_are_their_own() -> None:
    samples, _ = trays(5, copies=1)
    assert same_objects(samples).tolist() == list(range(20))
    nothing = reordered(samples, np.zeros(0, np.int64))
    assert same_objects(nothing).tolist() == []


@pytest.mark.parametrize("images", [2, 10, 40])
def test_sources_that_show_other_things_each_time_share_no_object(images: int) -> None:
    samples, _ = trays(40, copies=1)
    samples.vectors[:] = unit(np.random.default_rng(4).standard_normal(samples.vectors.shape))
    keys = [f"folder {i // images}" for i in range(40)]
    apart = replace(samples, group=group_codes(keys)[samples.image_row])
    number = same_objects(apart)
    assert len(np.unique(number)) > 0.95 * len(samples)


def test_copies_of_real_photos_match_box_for_box(pushin_index: Path) -> None:
    """82 photos in three augmented copies: shifted, zoomed, sheared; up to 22 pills, four of one product."""
    with Index.open(pushin_index, verify=False) as index:
        samples = samples_from(index)
    number = same_objects(samples)
    size = np.bincount(number)[number]
    copies = np.array([len(np.unique(samples.image_row[samples.group == g])) for g in samples.group])
    whole = [(size[samples.group == g] == 3).all() for g in np.unique(samples.group[copies == 3])]
    assert len(whole) == 82 and sum(whole) >= 80
    assert (size[copies == 1] == 1).all()
    for k in np.unique(number):
        assert len(np.unique(samples.boxes.class_id[number == k])) == 1
