"""Peaks: exact volumes of overlap, spheres of known value at any offset, and regions that break."""

from __future__ import annotations

import numpy as np
import pytest

from igdd.errors import InputError
from igdd.kernels.intensity_peak import RADIUS, peaks
from igdd.kernels.sphere_overlap import box_shares
from igdd.kernels.sphere_peak import peak

VOXELS = [(2.0, 2.0, 2.0), (4.07, 4.07, 3.0), (5.47, 5.47, 3.27), (4.07, 4.07, 5.0)]
OFFSETS = [(0, 0, 0), (0.5, 0.5, 0.5), (0.3, 0.1, 0.25), (-0.5, 0, 0.2)]


def ball(radius, spacing, offset, value=7.0, fine=7):
    """A sphere on a voxel lattice, its centre `offset` voxels from a voxel's, border averaged."""
    spacing = np.array(spacing)
    half = np.ceil(1.6 * radius / spacing + 1).astype(int)
    sub = (np.arange(fine) + 0.5) / fine - 0.5
    square = [
        (((np.arange(-n, n + 1)[:, None] + sub).ravel() - c) * s) ** 2
        for n, s, c in zip(half, spacing, offset, strict=True)
    ]
    inside = square[0][:, None, None] + square[1][:, None] + square[2] <= radius**2
    a, b, c = 2 * half + 1
    return value * inside.reshape(a, fine, b, fine, c, fine).mean(axis=(1, 3, 5))


def shares_of(offset, spacing, reach=8):
    axes = [(np.arange(-reach, reach + 1) - c) * s for c, s in zip(offset, spacing, strict=True)]
    return box_shares(*axes, np.array(spacing, float), RADIUS)


@pytest.mark.parametrize("spacing", [*VOXELS, (20.0, 20.0, 20.0), (1.0, 1.7, 0.9)])
@pytest.mark.parametrize("offset", OFFSETS)
def test_the_shares_of_all_voxels_add_up_to_one_millilitre(spacing, offset):
    shares = shares_of(offset, spacing)
    assert shares.sum() * np.prod(spacing) == pytest.approx(1000, rel=1e-12)  # rounding


def test_a_share_is_that_of_a_fine_subdivision():
    spacing, offset, fine = np.array([4.07, 4.07, 3.0]), (0.3, -0.2, 0.45), 60
    shares = shares_of(offset, spacing, reach=3)
    sub = (np.arange(fine) + 0.5) / fine - 0.5
    for place in ((1, 3, 3), (2, 2, 5), (4, 4, 4), (3, 2, 1)):
        axes = [
            ((n - 3 + sub - c) * s) ** 2 for n, c, s in zip(place, offset, spacing, strict=True)
        ]
        inside = axes[0][:, None, None] + axes[1][:, None] + axes[2] <= RADIUS**2
        # 60^3 points: the surface passes through about 60^2 of them, half wrong at random
        assert shares[place] == pytest.approx(inside.mean(), abs=2e-3)


def test_half_a_sphere_lies_on_each_side_of_a_plane():
    shares = box_shares(
        np.array([-10.0, 10.0]), np.array([0.0]), np.array([0.0]), np.full(3, 20.0), RADIUS
    )
    np.testing.assert_allclose(shares.ravel() * 8.0, 0.5, rtol=1e-12)


@pytest.mark.parametrize("spacing", VOXELS)
@pytest.mark.parametrize("offset", OFFSETS)
def test_the_exact_peak_of_a_sphere_is_its_value_at_any_offset(spacing, offset):
    image = ball(15.0, spacing, offset)
    found = peak(image, image >= 3.5, np.array(spacing))
    assert found.value == pytest.approx(7.0, rel=0.005)  # acceptance: 0.5 %
    assert found.volume == pytest.approx(1.0, rel=1e-9)
    assert not found.cut


@pytest.mark.parametrize("offset", OFFSETS)
def test_a_sphere_little_larger_than_the_peak_keeps_its_value_between_voxels(offset):
    image = ball(10.0, (4.0, 4.0, 4.0), offset)
    found = peak(image, image >= 3.5, np.full(3, 4.0))
    assert found.value == pytest.approx(7.0, rel=0.005)  # acceptance: 0.5 %
    apart = np.linalg.norm((found.centre - (np.array(image.shape) - 1) / 2 - offset) * 4.0)
    assert apart < 4.0  # the plateau of the mean is as wide as the ball is larger


def test_without_the_search_between_voxels_a_small_lesion_loses_its_peak():
    spacing = np.full(3, 4.0)
    image = ball(9.0, spacing, (0.5, 0.5, 0.5))
    region = image >= 3.5
    assert (
        peak(image, region, spacing, between=False).value
        < 0.95 * peak(image, region, spacing).value
    )


@pytest.mark.parametrize(
    ("spacing", "voxels", "volume"),
    [  # counted by hand from the lattice
        ((4.07, 4.07, 3.0), 21, 1.044),
        ((4.07, 4.07, 5.0), 11, 0.911),
        ((5.47, 5.47, 3.27), 7, 0.685),
    ],
)
def test_the_voxel_centre_rule_says_what_volume_it_holds(spacing, voxels, volume):
    image = np.ones((13, 13, 13))
    region = np.zeros(image.shape, bool)
    region[6, 6, 6] = True
    found = peak(image, region, np.array(spacing), rule="voxel_centres")
    assert found.places.shape[0] == voxels
    assert found.volume == pytest.approx(volume, abs=5e-4)  # to the digits given
    assert not found.cut


def test_the_voxel_centre_rule_is_that_of_ibsi():
    rng = np.random.default_rng(3)
    image = rng.normal(size=(20, 18, 16)) + 5
    region = np.zeros(image.shape, bool)
    region[2:17, 3:15, 1:14] = rng.random((15, 12, 13)) < 0.5
    spacing = np.array([2.0, 2.5, 3.0])
    local, highest = peaks(image, region, spacing)
    for place, wanted in (("local", local), ("global", highest)):
        found = peak(image, region, spacing, rule="voxel_centres", place=place)
        assert found.value == pytest.approx(wanted, rel=1e-12)  # sums in another order


def test_a_uniform_image_has_its_value_as_peak_wherever_the_region_lies():
    image = np.full((9, 9, 9), 3.0)
    for corner in ((0, 0, 0), (8, 8, 8), (4, 0, 8)):
        region = np.zeros(image.shape, bool)
        region[corner] = True
        found = peak(image, region, np.full(3, 4.0), between=False)
        assert found.value == pytest.approx(3.0, rel=1e-12)
        assert found.cut
        assert 0.1 < found.volume < 0.9


def test_voxels_without_a_value_are_left_out_and_said():
    image = np.full((11, 11, 11), 2.0)
    image[5, 5, 6] = np.nan
    image[5, 6, 5] = np.inf
    region = np.zeros(image.shape, bool)
    region[5, 5, 5] = True
    found = peak(image, region, np.full(3, 3.0), between=False)
    assert found.value == pytest.approx(2.0, rel=1e-12)
    assert found.volume == pytest.approx(1.0 - 2 * 0.027, rel=1e-9)
    assert found.cut


def test_inside_only_keeps_the_neighbour_out():
    image = np.ones((24, 15, 15))
    image[12:] = 10.0  # a hot neighbour
    region = np.zeros(image.shape, bool)
    region[1:12, 1:14, 1:14] = True
    spacing = np.full(3, 3.0)
    assert peak(image, region, spacing, interior=True).value == pytest.approx(1.0, rel=1e-12)
    assert peak(image, region, spacing).value > 4.0


@pytest.mark.parametrize("rule", ["exact", "voxel_centres"])
def test_a_region_without_room_for_a_sphere_has_no_inner_peak(rule):
    image = np.ones((9, 9, 9))
    region = np.zeros(image.shape, bool)
    region[4, 4, 4] = True
    found = peak(image, region, np.full(3, 3.0), rule=rule, interior=True)
    assert np.isnan(found.value)
    assert found.volume == 0


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_region_without_values_has_no_peak(value):
    image = np.full((5, 5, 5), value)
    assert np.isnan(peak(image, np.ones(image.shape, bool), np.ones(3)).value)
    assert np.isnan(peak(np.ones((5, 5, 5)), np.zeros((5, 5, 5), bool), np.ones(3)).value)


def test_voxels_so_small_that_the_search_would_not_end_have_no_peak():
    image = np.ones((5, 5, 5))
    assert np.isnan(peak(image, np.ones(image.shape, bool), np.full(3, 1e-3)).value)


@pytest.mark.parametrize("spacing", [(0.0, 1.0, 1.0), (1.0, np.nan, 1.0), (1.0, 1.0)])
def test_a_spacing_that_is_none_is_refused(spacing):
    with pytest.raises(InputError, match="spacing"):
        peak(np.ones((3, 3, 3)), np.ones((3, 3, 3), bool), np.array(spacing))


def test_other_shapes_and_radii_are_refused():
    with pytest.raises(InputError, match="one 3-D"):
        peak(np.ones((3, 3, 3)), np.ones((3, 3, 2), bool), np.ones(3))
    with pytest.raises(InputError, match="radius"):
        peak(np.ones((3, 3, 3)), np.ones((3, 3, 3), bool), np.ones(3), radius=0.0)


def test_the_unit_of_the_image_changes_nothing_but_the_unit():
    image = ball(12.0, (3.0, 3.0, 3.0), (0.2, 0.4, 0.1)) + 0.1
    region = image >= 3.5
    one, thousand = (peak(image * by, region, np.full(3, 3.0)) for by in (1.0, 1000.0))
    assert thousand.value == pytest.approx(1000 * one.value, rel=1e-9)


def test_negative_values_stay():
    image = np.full((9, 9, 9), -2.0)
    assert peak(image, np.ones(image.shape, bool), np.full(3, 4.0)).value == pytest.approx(-2.0)
