"""Preparation: interpolation around the region, re-segmentation, bins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from igdd.errors import InputError
from igdd.kernels import regrid
from igdd.metrics.ibsi_configuration import Bins, Interpolation, Resegmentation, configuration
from igdd.metrics.ibsi_prepare import box_of, grey_levels, prepare, volume_bins

SPACING = np.array([1.0, 1.0, 3.0])
PLAIN = configuration("volume")


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    image = rng.normal(100, 20, (60, 56, 40))
    mask = np.zeros(image.shape, bool)
    mask[20:34, 22:30, 15:21] = True
    return image, mask


def at(spacing, order):
    return replace(PLAIN, interpolate=Interpolation(spacing_mm=spacing, image=order))


@pytest.mark.parametrize("order", ["nearest", "linear", "cubic"])
def test_interpolating_the_surroundings_is_interpolating_the_whole(case, order):
    image, mask = case
    found = prepare(image, mask, SPACING, at((1.7, 1.7, 2.0), order))
    points = [
        regrid.places(n, old, new)
        for n, old, new in zip(image.shape, SPACING, (1.7, 1.7, 2.0), strict=True)
    ]
    whole = regrid.resample(image, points, order)
    region = regrid.resample(mask, points, "linear") >= 0.5 - 1e-9
    assert found.shape == whole.shape
    np.testing.assert_allclose(found.values, whole[region], atol=1e-8)  # the spline's cut tails


def test_a_wanted_size_that_is_the_old_one_changes_nothing(case):
    image, mask = case
    same = prepare(image, mask, SPACING, at((1.0, 1.0, 3.0), "cubic"))
    np.testing.assert_array_equal(same.values, image[mask])


def test_two_sizes_keep_the_slices(case):
    found = prepare(*case, SPACING, at((2.0, 2.0), "linear"))
    assert found.spacing.tolist() == [2, 2, 3]
    assert found.shape == (30, 28, 40)


def test_a_voxel_half_covered_belongs_to_the_region():
    image = np.ones((4, 3, 3))
    mask = np.zeros(image.shape, bool)
    mask[1, 1, 1] = True
    # New centres lie half-way between old ones: shares of exactly one half.
    found = prepare(image, mask, np.ones(3), at((2.0, 1.0, 1.0), "linear"))
    assert found.region.sum() == 1


def test_a_region_between_the_new_voxels_is_none():
    image = np.ones((40, 40, 40))
    mask = np.zeros(image.shape, bool)
    mask[20, 20, 20] = True
    assert prepare(image, mask, np.ones(3), at((10.0, 10.0, 10.0), "linear")) is None


@pytest.mark.parametrize("order", ["nearest", "linear", "cubic"])
def test_a_voxel_without_a_value_spoils_only_its_neighbours(case, order):
    image, mask = case
    whole = prepare(image, mask, SPACING, at((2.0, 2.0, 2.0), order))
    holed = image.copy()
    holed[25, 25, 17] = np.nan
    found = prepare(holed, mask, SPACING, at((2.0, 2.0, 2.0), order))
    np.testing.assert_array_equal(found.region, whole.region)
    lost = found.region & ~found.before
    assert 0 < lost.sum() <= 27
    if order != "cubic":
        kept = found.before
        np.testing.assert_allclose(found.image[kept], whole.image[kept], rtol=1e-12)


def test_a_voxel_size_that_fills_the_memory_is_refused(case):
    with pytest.raises(InputError, match="choose larger voxels"):
        prepare(*case, SPACING, at((1e-3, 1e-3, 1e-3), "linear"))


def test_both_ranges_are_those_of_the_whole_region(case):
    image, mask = case
    image[20, 22, 15] = 1e4
    values = image[mask]
    settings = replace(PLAIN, resegment=Resegmentation(range=(50.0, 500.0), sigma=3.0))
    found = prepare(image, mask, SPACING, settings)
    kept = (values >= 50) & (values <= 500) & (np.abs(values - values.mean()) <= 3 * values.std())
    assert found.inside.sum() == kept.sum() < found.before.sum() == values.size


def test_the_ends_of_a_range_belong_to_it():
    image = np.arange(27.0).reshape(3, 3, 3)
    settings = replace(PLAIN, resegment=Resegmentation(range=(5.0, 9.0)))
    found = prepare(image, np.ones(image.shape, bool), np.ones(3), settings)
    assert found.values.tolist() == [5, 6, 7, 8, 9]


def test_the_smallest_box():
    mask = np.zeros((5, 6, 7), bool)
    assert box_of(mask) is None
    mask[1, 2, 3] = mask[3, 2, 6] = True
    assert box_of(mask) == (slice(1, 4), slice(2, 3), slice(3, 7))


def test_levels_and_their_number():
    values = np.array([0.0, 1.0, 30.0])
    assert grey_levels(values, Bins(method="fixed_number", number=4))[1] == 4
    levels, number = grey_levels(values, Bins(method="fixed_size", width=10.0, anchor=-10.0))
    assert levels.tolist() == [2, 2, 5]
    assert number == 5


def test_a_volume_histogram_in_hounsfield_units_spans_the_range():
    bins, last, first, step = volume_bins(
        np.array([-500.0, 0.0, 377.0]), Bins(method="direct"), (-500.0, 400.0)
    )
    assert (bins.tolist(), last, first, step) == ([0, 500, 877], 900, -500, 1)


def test_a_half_open_range_ends_with_the_intensities():
    width = Bins(method="fixed_size", width=0.1, anchor=0.0)
    bins, last, first, step = volume_bins(np.array([0.05, 7.77]), width, (0.0, np.inf))
    assert (bins.tolist(), last) == ([0, 77], 77)
    assert (first, step) == (0.05, 0.1)


def test_the_upper_end_of_a_closed_range_lies_in_its_last_bin():
    width = Bins(method="fixed_size", width=2.5, anchor=-1000.0)
    bins, last, _, _ = volume_bins(np.array([-1000.0, 400.0]), width, (-1000.0, 400.0))
    assert bins.tolist() == [0, 559]
    assert last == 559


def test_an_anchor_above_the_intensities_is_refused():
    with pytest.raises(InputError, match=r"volume_histogram\.anchor"):
        volume_bins(np.array([-1.0]), Bins(method="fixed_size", width=1.0, anchor=0.0), None)
