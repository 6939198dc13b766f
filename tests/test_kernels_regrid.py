"""Interpolation onto another lattice: what each order reproduces exactly."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import make_interp_spline

from igdd.kernels.regrid import new_size, places, resample


def test_the_lattice_of_the_ct_phantom():
    # IBSI 1, configuration C: 204 x 201 x 60 voxels of 0.977 x 0.977 x 3 mm at 2 mm
    spacing = np.float32(0.977)
    assert [new_size(204, float(spacing), 2.0), new_size(201, float(spacing), 2.0)] == [100, 99]
    assert new_size(60, 3.0, 2.0) == 90


def test_float_rounding_adds_no_voxel():
    assert new_size(100, float(np.float32(0.7)), 0.35) == 200


def test_centres_are_aligned():
    for size, old, new in ((60, 3.0, 2.0), (7, 1.0, 2.5), (5, 2.0, 2.0)):
        there = places(size, old, new)
        assert there.mean() == pytest.approx((size - 1) / 2)
        np.testing.assert_allclose(np.diff(there), new / old, rtol=1e-6)


@pytest.mark.parametrize("order", ["linear", "cubic"])
def test_a_plane_is_reproduced_inside(order):
    i, j, k = np.indices((30, 28, 26))
    image = 2.0 * i - 3.0 * j + 0.5 * k
    inner = np.linspace(12, 15, 7)
    found = resample(image, [inner, inner, inner], order)
    a, b, c = np.meshgrid(inner, inner, inner, indexing="ij")
    # The edge value beyond the ends bends a spline; its trace decays by 0.268 a voxel: 1e-6 here.
    np.testing.assert_allclose(found, 2 * a - 3 * b + 0.5 * c, atol=1e-4)


def test_the_cubic_spline_goes_through_the_voxels():
    rng = np.random.default_rng(0)
    image = rng.normal(size=(9, 8, 7))
    whole = [np.arange(n, dtype=float) for n in image.shape]
    np.testing.assert_allclose(resample(image, whole, "cubic"), image, atol=1e-10)


def test_the_cubic_spline_is_that_of_the_extended_line():
    line = np.random.default_rng(1).normal(size=12)
    padded = np.pad(line, 60, mode="edge")
    spline = make_interp_spline(np.arange(padded.size) - 60.0, padded, k=3)
    there = np.linspace(0, 11, 31)
    found = resample(line.reshape(-1, 1, 1), [there, None, None], "cubic").ravel()
    np.testing.assert_allclose(found, spline(there), atol=1e-9)


@pytest.mark.parametrize("order", ["nearest", "linear", "cubic"])
def test_beyond_the_outermost_centres_the_edge_goes_on(order):
    line = np.array([3.0, 1.0, 4.0, 1.0, 5.0]).reshape(-1, 1, 1)
    found = resample(line, [np.array([-0.4, 4.4]), None, None], order).ravel()
    np.testing.assert_allclose(found, [3, 5], atol=1e-9)


@pytest.mark.parametrize("order", ["nearest", "linear", "cubic"])
def test_an_axis_of_one_voxel_is_constant(order):
    image = np.full((1, 3, 3), 7.0)
    found = resample(image, [np.array([-0.3, 0.0, 0.3]), None, None], order)
    np.testing.assert_allclose(found, 7)
