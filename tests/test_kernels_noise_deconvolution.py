"""Noise deconvolution: an even lesion stays even, an uneven one keeps its unevenness."""

from __future__ import annotations

import numpy as np
import pytest

from igdd.kernels import heterogeneity
from igdd.kernels.noise_deconvolution import (
    classes,
    corrected_map,
    limits,
    noise_of,
    replicated,
    true_variance,
)


def ball(radius: int):
    steps = np.indices((2 * radius + 1,) * 3) - radius
    return np.nonzero((steps**2).sum(axis=0) <= radius**2)


def noise_at(places, sd, fwhm: float = 0.0):
    count = places[0].size
    sd = np.broadcast_to(np.asarray(sd, dtype=float), count)
    return noise_of(sd, np.ones(count), places, spacing=np.full(3, 2.0), fwhm=fwhm)


def test_drawn_noise_has_its_variance_and_correlation():
    places = ball(7)
    noise = noise_at(places, 2.0, fwhm=5.0)
    rng = np.random.default_rng(0)
    drawn = np.stack([noise.draw(rng) for _ in range(1500)])
    # 1500 draws of about 90 independent voxels know a variance to 0.4 %
    assert drawn.var(axis=0).mean() == pytest.approx(4.0, rel=0.02)
    own = np.mean([np.var(one) for one in drawn])
    assert own == pytest.approx(noise.scatter(), rel=0.02)


@pytest.mark.parametrize("fwhm", [0.0, 5.0])
def test_a_true_variation_of_030_under_noise_of_030_is_found(fwhm):
    places = ball(14)
    rng = np.random.default_rng(1)
    found = []
    for _ in range(10):
        truth = np.exp(0.2936 * rng.standard_normal(places[0].size))  # CV 0.30, log-normal
        truth *= 4.0 / truth.mean()
        noise = noise_at(places, 0.3 * 4.0, fwhm)
        variance, _ = true_variance(truth + noise.draw(rng), noise)
        found.append(np.sqrt(variance) / 4.0)
    np.testing.assert_allclose(found, 0.30, atol=0.03)  # asked of it


def test_the_standard_error_of_the_true_variance_is_its_scatter():
    places = ball(8)
    rng = np.random.default_rng(2)
    truth = 1.0 + 0.2 * np.sin(places[0] / 2.0)
    noise = noise_at(places, 0.3, fwhm=4.0)
    pairs = np.array([true_variance(truth + noise.draw(rng), noise) for _ in range(300)])
    # unbiased, and 300 trials know a standard deviation to 4 %
    error = pairs[:, 0].std(ddof=1)
    assert abs(pairs[:, 0].mean() - truth.var()) < 4 * error / np.sqrt(300)
    assert pairs[:, 1].mean() == pytest.approx(error, rel=0.15)


@pytest.mark.parametrize(("radius", "fwhm"), [(4, 0.0), (4, 4.0), (9, 0.0), (9, 5.0)])
def test_an_even_lesion_above_the_threshold_may_be_free_of_under_dosed_volume(radius, fwhm):
    places = ball(radius)
    weights = np.ones(places[0].size)
    noise = noise_at(places, 0.3 * 1.2, fwhm)

    def under_dosed(values):
        return np.array([1 - heterogeneity.coverage(values, weights, 1.0)])

    lows = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        values = 1.2 + noise.draw(rng)
        truth, again = replicated(values, noise, under_dosed, rng)
        sharp = under_dosed(corrected_map(values, classes(noise), sharp=True))
        _, low, high = limits(under_dosed(truth), again, sharp)
        lows.append(low[0])
        assert high[0] >= 0
    # 95 % of intervals; of 12, fewer than 10 would have a chance of 2 %
    assert np.sum(np.array(lows) <= 0) >= 10


def test_a_lesion_of_two_levels_keeps_its_under_dosed_share():
    places = ball(12)
    truth = np.where(places[0] < 8, 0.5, 1.5)
    share = (truth < 1).mean()
    noise = noise_at(places, 0.3)
    rng = np.random.default_rng(3)
    values = truth + noise.draw(rng)
    found = corrected_map(values, classes(noise))
    assert (values < 1).mean() > share + 0.02  # noise at 1.7 sd from both levels
    assert (found < 1).mean() == pytest.approx(share, abs=0.015)
    assert found.mean() == pytest.approx(values.mean())


@pytest.mark.parametrize("low_part", [0.5, 0.2])
def test_the_interval_of_two_sharp_levels_holds_their_gini(low_part):
    """The smoothest likely histogram of two levels is too broad; the interval knows the other."""
    places = ball(6)
    weights = np.ones(places[0].size)
    truth = np.where(np.argsort(np.argsort(places[0])) < low_part * weights.size, 5.0, 15.0)
    noise = noise_at(places, 3.0)

    def measures(values):
        return np.array([
            heterogeneity.gini(values, weights), heterogeneity.hot_tail_mean(values, weights)
        ])  # fmt: skip

    held, plain = np.zeros(2), np.zeros(2)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        values = truth + noise.draw(rng)
        smooth, again = replicated(values, noise, measures, rng)
        sharp = measures(corrected_map(values, classes(noise), sharp=True))
        for count, other in ((held, sharp), (plain, measures(smooth))):
            _, low, high = limits(measures(smooth), again, other)
            count += (low <= measures(truth)) & (measures(truth) <= high)
    # Levels of no width are the worst case: 85 to 95 % hold the truth (docs/heterogeneity.md), and
    # half without the sharpest. At 85 %, fewer than 14 of 20 have a chance of 2 %.
    assert (held >= 14).all()
    assert (plain < held).all()


def test_the_sharpest_histogram_is_at_least_as_likely_and_keeps_mean_and_spread():
    places = ball(8)
    noise = noise_at(places, 3.0)
    values = np.where(places[0] < 8, 5.0, 15.0) + noise.draw(np.random.default_rng(1))
    smooth, sharp = (corrected_map(values, classes(noise), sharp=one) for one in (False, True))
    assert sharp.mean() == pytest.approx(smooth.mean())
    assert sharp.std() == pytest.approx(smooth.std())
    # Two levels: nearly all of the volume lies within a tenth of their distance of one of them.
    near = [np.minimum(np.abs(one - 5), np.abs(one - 15)) < 1 for one in (smooth, sharp)]
    assert near[1].mean() > 0.85 > near[0].mean()


def test_noise_that_follows_the_signal_is_taken_out_by_classes():
    places = ball(12)
    truth = np.where(places[0] < 10, 0.6, 1.5)
    noise = noise_at(places, 0.3 * truth)
    assert len(classes(noise)) == 2
    found = corrected_map(truth + noise.draw(np.random.default_rng(4)), classes(noise))
    assert (found < 1).mean() == pytest.approx((truth < 1).mean(), abs=0.015)
    assert found.std() == pytest.approx(truth.std(), rel=0.05)


def test_the_quantiles_of_a_gradient_are_found_below_its_noise():
    places = ball(14)
    truth = 0.5 + places[0] / places[0].max()
    noise = noise_at(places, 0.3)
    values = truth + noise.draw(np.random.default_rng(5))
    shares, weights = np.array([0.1, 0.5, 0.9]), np.ones(values.size)
    wanted, found, plain = (
        heterogeneity.quantiles(one, weights, shares)
        for one in (truth, corrected_map(values, classes(noise)), values)
    )
    np.testing.assert_allclose(found, wanted, atol=0.05)  # a sixth of the noise
    assert abs(plain[0] - wanted[0]) > 0.1


def test_without_noise_nothing_changes():
    places = ball(4)
    values = np.random.default_rng(6).random(places[0].size)
    assert np.array_equal(corrected_map(values, classes(noise_at(places, 0.0))), values)


def test_the_unit_changes_nothing():
    places = ball(6)
    values = np.random.default_rng(7).normal(5, 2, places[0].size)
    first = corrected_map(values, classes(noise_at(places, 1.0)))
    second = corrected_map(1e6 * values, classes(noise_at(places, 1e6)))
    np.testing.assert_allclose(second, 1e6 * first, rtol=1e-6)  # grid points at rounding


@pytest.mark.parametrize("count", [1, 2])
def test_a_voxel_or_two_are_no_obstacle(count):
    places = tuple(np.arange(count) for _ in range(3))
    found = corrected_map(np.arange(1.0, count + 1), classes(noise_at(places, 0.2)))
    assert np.isfinite(found).all()
