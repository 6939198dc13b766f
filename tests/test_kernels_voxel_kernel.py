"""From energy around a point to energy around a voxel, and in a sphere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from igdd.errors import InputError
from igdd.kernels.electron_tracks import Radial
from igdd.kernels.voxel_kernel import absorbed_fraction, radius_within, voxel_kernel


def shell(radius: float, energy: float = 1.0) -> Radial:
    return Radial(np.array([radius]), np.array([energy]))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(0.0, 3.0), min_size=1, max_size=8),
    st.tuples(*[st.floats(0.2, 5.0)] * 3),
)
def test_the_kernel_holds_the_energy_of_the_point(radii, sides):
    energies = np.arange(1.0, len(radii) + 1)
    found = voxel_kernel(Radial(np.array(sorted(radii)), energies), np.array(sides))
    # a sum of some hundred thousand positive numbers
    assert found.sum() == pytest.approx(energies.sum(), rel=1e-10)
    assert (found >= 0).all()


@pytest.mark.parametrize("radius", [0.05, 0.3, 0.9])
def test_a_thin_shell_leaves_its_voxel_as_geometry_says(radius):
    """The mean product of 1 - r|u|: |x| is 1/2, |x y| 2/(3 pi) and |x y z| 1/(4 pi) on average."""
    found = voxel_kernel(shell(radius), np.ones(3))
    stays = 1 - 1.5 * radius + 2 * radius**2 / np.pi - radius**3 / (4 * np.pi)
    neighbour = (radius / 2 - 4 * radius**2 / (3 * np.pi) + radius**3 / (4 * np.pi)) / 2
    # the quadrature: some 100 directions per octant, in six orders
    assert found[1, 1, 1] == pytest.approx(stays, abs=3e-3 * radius)
    assert found[2, 1, 1] == pytest.approx(neighbour, abs=3e-3 * radius)


def test_cubes_have_a_kernel_as_symmetric_as_they_are():
    found = voxel_kernel(shell(2.7), np.ones(3))
    for axes in ((1, 0, 2), (2, 1, 0), (1, 2, 0)):
        assert_allclose(found, found.transpose(axes), rtol=1e-9, atol=1e-15)
    for axis in range(3):
        assert_allclose(found, np.flip(found, axis), rtol=0, atol=0)


def test_long_voxels_have_a_kernel_of_their_own_shape():
    long = voxel_kernel(shell(2.0), np.array([1.0, 1.0, 4.0]))
    assert long.shape == (5, 5, 3)
    turned = voxel_kernel(shell(2.0), np.array([4.0, 1.0, 1.0]))
    assert_allclose(long, turned.transpose(1, 2, 0), rtol=1e-9, atol=1e-15)


def test_joining_voxels_is_the_kernel_of_larger_ones():
    """Eight small voxels as one: what the middle keeps, from all pairs of the small ones."""
    around = Radial(np.array([0.0, 0.4, 1.1]), np.array([1.0, 2.0, 3.0]))
    small, large = voxel_kernel(around, np.full(3, 0.5)), voxel_kernel(around, np.ones(3))
    centre = (small.shape[0] - 1) // 2
    pairs = [(i, j) for i in range(2) for j in range(2)]
    kept = sum(
        small[centre + a - b, centre + c - d, centre + e - f]
        for a, b in pairs for c, d in pairs for e, f in pairs
    ) / 8  # fmt: skip
    middle = large[tuple(side // 2 for side in large.shape)]
    assert kept == pytest.approx(middle, rel=2e-3)  # both quadratures


def test_a_source_that_leaves_nothing_elsewhere_has_a_kernel_of_one_voxel():
    found = voxel_kernel(shell(0.0, 2.0), np.ones(3))
    assert found[1, 1, 1] == pytest.approx(2.0, rel=1e-12)
    assert found.sum() == found[1, 1, 1]


def test_a_sphere_keeps_what_geometry_says():
    """Points r apart stay in a unit sphere with 1 - 3 r / 4 + r^3 / 16: random pairs agree."""
    rng = np.random.default_rng(3)
    inside = rng.uniform(-1, 1, (400_000, 3))
    inside = inside[(inside**2).sum(axis=1) <= 1]
    way = rng.normal(size=inside.shape)
    way /= np.linalg.norm(way, axis=1)[:, None]
    for radius in (0.2, 1.0, 1.9):
        kept = (((inside + radius * way) ** 2).sum(axis=1) <= 1).mean()
        # 200,000 pairs: a standard error of 0.001 at most
        assert absorbed_fraction(shell(radius), 1.0) == pytest.approx(kept, abs=4e-3)
    assert absorbed_fraction(shell(2.5), 1.0) == pytest.approx(0.0, abs=1e-15)


def test_the_radius_within_which_a_share_lies():
    around = Radial(np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 1.0]))
    assert radius_within(around, 1.0) == 2.0
    assert radius_within(around, 0.5) == 1.0


def test_voxels_too_small_for_a_kernel_are_refused():
    with pytest.raises(InputError, match="use larger voxels"):
        voxel_kernel(shell(1.0), np.full(3, 0.004))


@pytest.mark.parametrize("sides", [[1.0, 1.0], [0.0, 1.0, 1.0], [np.nan, 1.0, 1.0]])
def test_sides_that_are_none_are_refused(sides):
    with pytest.raises(InputError, match="three lengths"):
        voxel_kernel(shell(1.0), np.array(sides))
