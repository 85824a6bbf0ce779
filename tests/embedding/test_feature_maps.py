"""Feature maps: the strides are what they say, and an image gives the same whatever stands beside it."""

import numpy as np
import pytest

from healtheat.embedding.feature_maps import CHANNELS, FeatureMaps


@pytest.fixture(scope="module")
def maps():
    return FeatureMaps()


def test_shapes_follow_the_strides(maps):
    found = maps(np.zeros((2, 64, 96, 3), np.uint8))
    assert [one.shape for one in found] == [(2, c, 64 // s, 96 // s) for s, c in CHANNELS.items()]


def test_images_do_not_depend_on_each_other(maps):
    pixels = np.random.default_rng(0).integers(0, 256, (19, 32, 32, 3), np.uint8)
    together = maps(pixels)
    for at in (0, 7, 18):
        for one, alone in zip(together, maps(pixels[at : at + 1]), strict=True):
            np.testing.assert_allclose(one[at], alone[0], atol=1e-4)
    assert np.abs(together[2][0] - together[2][1]).max() > 0.1


def test_a_place_sees_its_own_surroundings(maps):
    pixels = np.full((1, 128, 128, 3), 127, np.uint8)
    plain = maps(pixels)[1][0]
    pixels[0, 8:24, 8:24] = 255
    change = np.abs(maps(pixels)[1][0] - plain).max(axis=0)
    assert change[:4, :4].max() > 10 * max(change[12:, 12:].max(), 1e-6)


@pytest.mark.parametrize("shape", [(1, 60, 64, 3), (64, 64, 3), (1, 64, 40, 3)])
def test_other_sizes_are_refused(maps, shape):
    with pytest.raises(ValueError, match="16"):
        maps(np.zeros(shape, np.uint8))
