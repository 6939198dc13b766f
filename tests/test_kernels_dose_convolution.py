"""Convolution slab by slab: what it keeps, and that edges are edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from igdd.errors import InputError
from igdd.kernels.dose_convolution import convolve, slabs


def directly(values: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """The sum over all pairs of voxels."""
    half = [(side - 1) // 2 for side in kernel.shape]
    padded = np.zeros([n + 2 * h for n, h in zip(values.shape, half, strict=True)])
    for place, value in np.ndenumerate(values):
        cut = tuple(slice(p, p + side) for p, side in zip(place, kernel.shape, strict=True))
        padded[cut] += value * kernel
    return padded[tuple(slice(h, h + n) for h, n in zip(half, values.shape, strict=True))]


@settings(max_examples=30, deadline=None)
@given(
    st.tuples(*[st.integers(1, 7)] * 3),
    st.tuples(*[st.sampled_from([1, 3, 5, 9])] * 3),
    st.integers(0, 2**32 - 1),
)
def test_it_is_the_sum_over_all_pairs_of_voxels(shape, sides, seed):
    rng = np.random.default_rng(seed)
    values, kernel = rng.normal(size=shape), rng.uniform(size=sides)
    # Fourier transforms of some thousand numbers of size 1, in double precision
    assert_allclose(convolve(values, kernel), directly(values, kernel), rtol=0, atol=1e-11)


def test_a_point_reproduces_the_kernel_and_its_sum():
    kernel = np.random.default_rng(1).uniform(size=(5, 7, 3))
    point = np.zeros((20, 20, 20))
    point[9, 11, 10] = 3.0
    found = convolve(point, kernel)
    assert_allclose(found[7:12, 8:15, 9:12], 3 * kernel, atol=1e-13)
    assert found.sum() == pytest.approx(3 * kernel.sum(), rel=1e-9)  # the issue's own line


@pytest.mark.parametrize("corner", [(0, 0, 0), (19, 0, 19), (19, 19, 19)])
def test_nothing_comes_back_in_from_the_far_side(corner):
    kernel = np.ones((5, 5, 5))
    point = np.zeros((20, 20, 20))
    point[corner] = 1.0
    found = convolve(point, kernel)
    assert found.sum() == pytest.approx(27.0, rel=1e-12)
    assert abs(found[10, 10, 10]) < 1e-13


@pytest.mark.parametrize("samples", [1, 5000, 40_000, 10**9])
def test_slabs_fit_together_without_a_seam(samples):
    rng = np.random.default_rng(2)
    values, kernel = rng.uniform(size=(9, 8, 31)), rng.uniform(size=(3, 5, 7))
    read = []

    def planes(first: int, last: int) -> np.ndarray:
        read.append((first, last))
        return values[:, :, first:last]

    other = rng.uniform(size=(1, 3, 3))
    parts = list(slabs(planes, (9, 8, 31), [kernel, other], samples))
    assert [part[0] for part in parts] == [0, *(part[1] for part in parts[:-1])]
    assert parts[-1][1] == 31
    for number, one in enumerate((kernel, other)):
        whole = np.concatenate([part[2][number] for part in parts], axis=2)
        assert_allclose(whole, directly(values, one), atol=1e-11)
    assert min(first for first, _ in read) == 0
    assert max(last for _, last in read) == 31


def test_a_kernel_larger_than_the_image_does_no_harm():
    rng = np.random.default_rng(4)
    values, kernel = rng.uniform(size=(2, 3, 1)), rng.uniform(size=(11, 9, 21))
    assert_allclose(convolve(values, kernel), directly(values, kernel), atol=1e-12)


@pytest.mark.parametrize("shape", [(2, 3, 3), (3, 3), (3, 3, 4)])
def test_a_kernel_without_a_middle_is_refused(shape):
    with pytest.raises(InputError, match="odd sides"):
        convolve(np.zeros((4, 4, 4)), np.ones(shape))


def test_a_voxel_without_value_puts_nothing_in_and_has_none():
    rng = np.random.default_rng(5)
    values, kernel = rng.uniform(size=(6, 7, 8)), rng.uniform(size=(3, 3, 3))
    values[2, 3, 4] = 0.0
    whole = convolve(values, kernel)
    values[2, 3, 4] = np.nan
    found = convolve(values, kernel)
    assert np.isnan(found[2, 3, 4])
    known = np.isfinite(found)
    assert known.sum() == found.size - 1
    assert_allclose(found[known], whole[known], rtol=0)


def test_an_infinite_value_is_refused():
    values = np.ones((3, 3, 3))
    values[1, 1, 1] = np.inf
    with pytest.raises(InputError, match="not finite"):
        convolve(values, np.ones((3, 3, 3)))
