"""Matched resolution: blur adds in squares, and noise falls as the blur says."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from igdd.kernels import matched_resolution as kernel
from igdd.kernels.blur import correlation_root, sigma_of

SPACING = np.array([2.0, 2.0, 3.0])


def test_two_blurs_are_one_of_their_sum_of_squares():
    truth = np.zeros((41, 41, 31))
    truth[15:27, 15:27, 12:20] = 1.0
    sharp = kernel.blurred(truth, SPACING, 6.0)
    both = kernel.blurred(sharp, SPACING, kernel.lacking(6.0, 10.0))
    # Sampled Gaussians are not quite closed under convolution, and end at 4 sigma.
    np.testing.assert_allclose(both, kernel.blurred(truth, SPACING, 10.0), atol=2e-3)


def test_no_blur_is_no_change():
    values = np.arange(60.0).reshape(3, 4, 5)
    np.testing.assert_array_equal(kernel.blurred(values, SPACING, 0.0), values)
    assert kernel.lacking(8.0, 6.0) == 0.0


def test_a_uniform_image_stays_and_no_hole_is_filled():
    values = np.full((12, 12, 12), 3.0)
    values[4, 5, 6] = np.nan
    made = kernel.blurred(values, SPACING, 7.0)
    assert np.isnan(made[4, 5, 6])
    np.testing.assert_allclose(made[np.isfinite(made)], 3.0, rtol=1e-12)


@pytest.mark.parametrize("noise", [0.0, 5.0])
def test_the_variance_is_that_of_blurred_noise(noise):
    shape = (9, 9, 9)
    margin = kernel.reach(SPACING, 6.0)
    padded = tuple(size + 2 * m for size, m in zip(shape, margin, strict=True))
    roots = [correlation_root(n, float(s), noise) for n, s in zip(padded, SPACING, strict=True)]
    rng = np.random.default_rng(4)
    middle = tuple(slice(m, m + size) for m, size in zip(margin, shape, strict=True))
    fields = []
    for _ in range(400):
        field = rng.standard_normal(padded) * 2.0
        for root in roots:
            field = np.tensordot(field, root, axes=(0, 0))
        fields.append(kernel.blurred(field, SPACING, 6.0)[middle])
    found = kernel.blurred_variance(
        np.full(padded, 4.0), np.ones(padded, dtype=bool), SPACING, 6.0, noise=noise
    )[middle]
    # 400 fields of hundreds of voxels, worth some ten independent places each: 3 %.
    assert np.mean(np.square(fields)) == pytest.approx(found.mean(), rel=0.05)
    assert np.ptp(found) < 1e-9 * found.mean()


def test_the_correlation_of_blurred_noise_is_wider_by_the_blur():
    """Smoothed twice is smoothed by the root of the sum of squares."""
    rng = np.random.default_rng(9)
    field = gaussian_filter(rng.standard_normal((60, 60, 60)), sigma_of(5.0, np.full(3, 2.0)))
    made = kernel.blurred(field, np.full(3, 2.0), 6.0)[12:-12, 12:-12, 12:-12]
    sigma = sigma_of(np.hypot(5.0, 6.0), np.full(3, 2.0))[0]
    neighbours = np.corrcoef(made[1:].ravel(), made[:-1].ravel())[0, 1]
    # R(1 voxel) = exp(-1 / (4 sigma^2)); 36^3 voxels of this grain are some 500 samples.
    assert neighbours == pytest.approx(np.exp(-1 / (4 * sigma**2)), abs=0.01)


def test_variance_near_voxels_without_a_value_is_larger():
    known = np.ones((15, 15, 15), dtype=bool)
    known[:7] = False
    made = kernel.blurred_variance(np.ones(known.shape), known, np.full(3, 2.0), 6.0, noise=0.0)
    assert np.isnan(made[:7]).all()
    # Half of the kernel is left: the mean of half as many voxels has about twice the variance.
    assert 1.5 < made[7, 7, 7] / made[11, 7, 7] < 2.2
