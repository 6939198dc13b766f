"""The moving window: what it says of a voxel is what IBSI says of the region around it."""

from __future__ import annotations

import time

import numpy as np
import pytest
from numpy.testing import assert_allclose

from igdd.errors import InputError
from igdd.kernels import heterogeneity, intensity_features
from igdd.kernels.discretise import fixed_number
from igdd.kernels.moving_window import SPREAD, ball, spread_map, texture_map
from igdd.kernels.texture_features import Texture

SPACING = np.array([1.0, 1.5, 2.0])


@pytest.fixture(scope="module")
def lesion():
    """Values, region and grey levels of a lesion that touches the image's edge and has a hole."""
    rng = np.random.default_rng(3)
    values = rng.gamma(2.0, 1.0, (9, 8, 7))
    region = ((np.indices(values.shape) - np.array([2, 4, 3]).reshape(3, 1, 1, 1)) ** 2).sum(
        axis=0
    ) <= 14
    region[3, 4, 3] = False
    levels = np.zeros(values.shape, np.int64)
    levels[region] = fixed_number(values[region], 8)
    return values, region, levels


def around(place, region, window):
    """The part of a region in the window around a voxel, as a region of the whole image."""
    inside = np.zeros(region.shape, bool)
    reach = np.array(window.shape) // 2
    for offset in np.argwhere(window):
        at = tuple(np.array(place) + offset - reach)
        if all(0 <= n < size for n, size in zip(at, region.shape, strict=True)):
            inside[at] = region[at]
    return inside


@pytest.mark.parametrize(("merged", "ending"), [(True, "3D_comb"), (False, "3D_avg")])
def test_texture_of_a_window_is_that_of_the_window_as_a_region(lesion, merged, ending):
    _, region, levels = lesion
    window = ball(5.0, SPACING)
    found = texture_map(levels, window, 8, merged=merged)
    for row, place in enumerate(np.argwhere(region)):
        part = around(place, region, window)
        wanted = Texture(np.where(part, levels, 0), part, 8).pairs(ending)
        # The same arithmetic, merged in another order: rounding only.
        assert_allclose(found[row], list(wanted.values()), rtol=1e-10, atol=1e-12)


def test_spread_of_a_window_is_that_of_the_window_as_a_region(lesion):
    values, region, levels = lesion
    window = ball(5.0, SPACING)
    found = spread_map(values, levels, window)
    for row, place in enumerate(np.argwhere(region)):
        part = around(place, region, window)
        chosen = values[part]
        histogram = intensity_features.histogram(levels[part])
        wanted = [
            *intensity_features.statistics(chosen).values(),
            histogram["entropy"],
            histogram["uniformity"],
            heterogeneity.gini(chosen, np.ones(chosen.size)),
            chosen.size,
        ]
        assert_allclose(found[row], wanted, rtol=1e-9, atol=1e-12)


def test_the_order_of_the_spread_is_that_of_the_statistics():
    assert SPREAD[:16] == tuple(intensity_features.statistics(np.array([1.0, 2.0])))


def test_a_window_as_large_as_the_region_says_the_same_everywhere(lesion):
    values, region, levels = lesion
    window = ball(60.0, SPACING)
    found = texture_map(levels, window, 8)
    assert_allclose(found, np.broadcast_to(found[0], found.shape), rtol=1e-12)
    spread = spread_map(values, levels, window)
    assert (spread[:, SPREAD.index("count")] == region.sum()).all()


def test_the_unit_of_the_image_does_not_change_shares(lesion):
    values, region, levels = lesion
    window = ball(5.0, SPACING)
    plain, scaled = (spread_map(factor * values, levels, window) for factor in (1.0, 1e6))
    for name in ("skew", "kurt", "cov", "qcod", "entropy", "gini"):
        column = SPREAD.index(name)
        assert_allclose(plain[:, column], scaled[:, column], rtol=1e-9, atol=1e-12)
    assert_allclose(1e6 * plain[:, 0], scaled[:, 0], rtol=1e-12)
    assert region.sum() == plain.shape[0]


def test_one_voxel_alone_has_no_texture_and_no_spread():
    levels = np.zeros((3, 3, 3), np.int64)
    levels[0, 2, 1] = 1
    window = ball(5.0, np.ones(3))
    assert np.isnan(texture_map(levels, window, 1)).all()
    spread = dict(zip(SPREAD, spread_map(np.full((3, 3, 3), 4.0), levels, window)[0], strict=True))
    assert (spread["mean"], spread["var"], spread["count"], spread["entropy"]) == (4.0, 0.0, 1, 0)


def test_a_flat_region_is_of_one_level_without_contrast_or_correlation():
    levels = np.ones((4, 4, 4), np.int64)
    found = texture_map(levels, ball(3.0, np.ones(3)), 1)
    assert_allclose(found[:, 0], 1.0)  # joint maximum
    assert_allclose(found[:, 11], 0.0)  # contrast
    assert np.isnan(found[:, 18]).all()  # correlation
    spread = spread_map(np.full((4, 4, 4), 0.1), levels, ball(3.0, np.ones(3)))
    assert_allclose(spread[:, SPREAD.index("cov")], 0.0, atol=1e-15)


def test_values_outside_the_region_are_in_no_window(lesion):
    values, region, levels = lesion
    window = ball(5.0, SPACING)
    spoiled = np.where(region, values, np.nan)
    assert_allclose(spread_map(spoiled, levels, window), spread_map(values, levels, window), rtol=0)


def test_a_ball_has_the_voxels_within_its_radius():
    window = ball(9.0, np.array([2.0, 2.0, 3.0]))
    assert window.shape == (5, 5, 3)
    place = (np.argwhere(window) - [2, 2, 1]) * [2.0, 2.0, 3.0]
    assert np.linalg.norm(place, axis=1).max() <= 4.5
    assert window.sum() == 21 + 2 * 9  # offsets (i, j) with 4 (i2 + j2) <= 20.25, and <= 11.25


@pytest.mark.parametrize("diameter", [0.0, 1.9, -3.0, np.nan, np.inf, 1e6])
def test_a_window_without_a_neighbour_or_of_billions_is_refused(diameter):
    with pytest.raises(InputError, match="window of"):
        ball(diameter, np.ones(3))


def test_a_window_of_even_sides_has_no_middle():
    with pytest.raises(InputError, match="odd"):
        texture_map(np.ones((3, 3, 3), np.int64), np.ones((2, 3, 3), bool), 1)


def test_a_window_that_would_take_hours_is_refused():
    levels = np.ones((60, 60, 60), np.int64)
    with pytest.raises(InputError, match="smaller window"):
        texture_map(levels, np.ones((101, 101, 101), bool), 1)


def test_a_map_of_ten_thousand_voxels_takes_seconds():
    place = np.indices((29, 29, 29)) - 14
    region = (place**2).sum(axis=0) <= 13.4**2
    values = np.random.default_rng(0).gamma(3.0, 1.0, region.shape)
    levels = np.zeros(region.shape, np.int64)
    levels[region] = fixed_number(values[region], 32)
    window = ball(9.0, np.full(3, 2.0))
    texture_map(levels[:5, :5, :5], window, 32)
    start = time.perf_counter()
    found = texture_map(levels, window, 32)
    # The target is 10 s on two cores (issue: Evenness); it takes a tenth of a second.
    assert time.perf_counter() - start < 10
    assert found.shape == (region.sum(), 25)
    assert region.sum() > 10_000
