"""Effective size: simulated blurred fields, whose truth is known, and the free voxels' limit."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from scipy.ndimage import gaussian_filter

from igdd.kernels.effective_size import (
    Lags,
    correlation_interval,
    correlation_p,
    correlogram,
    effective_size,
    mean_inflation,
    measured_correlation,
    point_spread_correlation,
    share,
    wilson,
)

FWHM = 2.3548200450309493  # of a Gaussian of unit standard deviation
FIELDS = 200


def ball(radius):
    return ((np.indices((2 * radius + 1,) * 3) - radius) ** 2).sum(axis=0) <= radius**2


def fields(region, sigma, seed):
    """White noise blurred by a Gaussian of sigma voxels, cut far from any border; (n,) each."""
    rng = np.random.default_rng(seed)
    margin = int(4 * sigma) + 1
    inner = tuple(slice(margin, margin + n) for n in region.shape)
    shape = [n + 2 * margin for n in region.shape]
    while True:
        yield gaussian_filter(rng.standard_normal(shape), sigma)[inner][region]


@pytest.mark.parametrize(("sigma", "truth"), [(1.0, 0.0), (2.0, 0.0), (2.0, 0.6)])
def test_the_interval_of_a_correlation_of_blurred_fields_covers_the_truth(sigma, truth):
    lags = Lags(ball(7), np.ones(3))
    spread = point_spread_correlation(sigma * FWHM, lags)
    known = effective_size(spread, spread, lags)
    source = fields(lags.region, sigma, 4)
    covered = {"measured": 0, "point spread": 0, "voxels": 0}
    for _ in range(FIELDS):
        one, free = next(source), next(source)
        other = truth * one + np.sqrt(1 - truth**2) * free
        size = effective_size(
            measured_correlation(one, lags), measured_correlation(other, lags), lags
        )
        value = float(np.corrcoef(one, other)[0, 1])
        for name, number in (("measured", size), ("point spread", known), ("voxels", lags.count)):
            low, high = correlation_interval(value, number)
            covered[name] += low <= truth <= high
    # 95 %, within three standard errors of 200 fields (1.5 %).
    assert covered["measured"] / FIELDS == pytest.approx(0.95, abs=0.046)
    assert covered["point spread"] / FIELDS == pytest.approx(0.95, abs=0.046)
    # Voxels taken as free samples: the error that the effective size is there for.
    assert covered["voxels"] / FIELDS < 0.75


def test_the_variance_of_the_correlation_is_that_of_the_effective_size():
    lags = Lags(ball(6), np.ones(3))
    spread = point_spread_correlation(1.5 * FWHM, lags)
    source = fields(lags.region, 1.5, 9)
    found = [np.corrcoef(next(source), next(source))[0, 1] for _ in range(400)]
    ratio = np.var(found) * (effective_size(spread, spread, lags) - 1)
    # A variance of 400 draws has a relative standard error of 7.1 %; the formula takes the mean of
    # a quotient for the quotient of means, which for 28 samples errs to the safe side by a sixth.
    assert 1 - 1 / 6 - 3 * 0.071 < ratio < 1 + 3 * 0.071


def test_free_voxels_are_worth_their_number():
    lags = Lags(ball(4), np.array([1.0, 2.0, 3.0]))
    white = point_spread_correlation(0.0, lags)
    assert effective_size(white, white, lags) == pytest.approx(lags.count)
    rng = np.random.default_rng(0)
    measured = [measured_correlation(rng.standard_normal(lags.count), lags) for _ in range(2)]
    assert effective_size(*measured, lags) == pytest.approx(lags.count, rel=0.2)


def test_the_trace_formula_is_that_of_the_matrices():
    region = np.zeros((4, 3, 5), bool)
    region[:3, 1:, :4] = True
    region[0, 1, 0] = False
    spacing = np.array([1.0, 1.5, 2.0])
    lags = Lags(region, spacing)
    place = np.argwhere(region) * spacing
    apart = np.linalg.norm(place[:, None] - place[None], axis=2)
    matrices = [np.exp(-(apart**2) / (4 * (fwhm / FWHM) ** 2)) for fwhm in (2.0, 5.0)]
    centre = np.eye(lags.count) - 1 / lags.count
    variance = np.trace(centre @ matrices[0] @ centre @ matrices[1]) / (
        np.trace(centre @ matrices[0]) * np.trace(centre @ matrices[1])
    )
    found = [point_spread_correlation(fwhm, lags) for fwhm in (2.0, 5.0)]
    assert effective_size(*found, lags) == pytest.approx(1 + 1 / variance, rel=1e-9)


def test_a_correlogram_is_that_of_every_pair():
    region = np.zeros((5, 4, 3), bool)
    region[1:, :3] = True
    region[2, 1, 1] = False
    lags = Lags(region, np.ones(3))
    values = np.random.default_rng(2).normal(5.0, 2.0, lags.count)
    place = np.argwhere(region)
    classes = np.rint(np.linalg.norm(place[:, None] - place[None], axis=2)).astype(int)
    away = values - values.mean()
    product = np.outer(away, away)
    found = correlogram(values, lags)
    assert_allclose(found[0], 1.0)
    for number in range(1, classes.max() + 1):
        wanted = product[classes == number].mean() / (away @ away / lags.count)
        assert found[number] == pytest.approx(wanted, abs=1e-12)


def test_scale_and_offset_of_a_map_do_not_matter():
    lags = Lags(ball(5), np.ones(3))
    source = fields(lags.region, 1.5, 1)
    one, other = next(source), next(source)
    sizes = [
        effective_size(
            measured_correlation(a * one + b, lags), measured_correlation(other, lags), lags
        )
        for a, b in ((1.0, 0.0), (1e7, 0.0), (-2.0, 5.0))
    ]
    assert_allclose(sizes, sizes[0], rtol=1e-6)


def test_a_wider_point_spread_leaves_fewer_samples():
    lags = Lags(ball(5), np.full(3, 2.0))
    sizes = [
        effective_size(spread, spread, lags)
        for spread in (point_spread_correlation(fwhm, lags) for fwhm in (0.0, 3.0, 6.0, 12.0, 99.0))
    ]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] >= 2


def test_flat_single_and_large_regions_are_unknown():
    lags = Lags(ball(3), np.ones(3))
    flat = measured_correlation(np.full(lags.count, 0.1), lags)
    white = point_spread_correlation(0.0, lags)
    assert np.isnan(effective_size(flat, white, lags))
    assert np.isnan(mean_inflation(np.full(lags.count, 0.1), lags))
    alone = Lags(np.ones((1, 1, 1), bool), np.ones(3))
    assert np.isnan(effective_size(np.ones((1, 1, 1)), np.ones((1, 1, 1)), alone))
    assert not Lags(np.ones((400, 400, 400), bool), np.ones(3)).usable


def test_free_samples_have_the_textbook_interval_and_p():
    low, high = correlation_interval(0.4, 50)
    assert_allclose(
        np.arctanh([low, high]), np.arctanh(0.4) + np.array([-1, 1]) * 1.959964 / 47**0.5
    )
    rng = np.random.default_rng(3)
    one, other = rng.standard_normal((2, 30))
    value, wanted = stats.pearsonr(one, other)
    assert correlation_p(value, 30) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("size", [1.0, 2.0, 3.0])
def test_three_samples_or_fewer_say_nothing(size):
    assert correlation_interval(0.9, size) == (-1.0, 1.0)


def test_a_perfect_correlation_has_no_width_and_an_unknown_one_no_ends():
    assert correlation_interval(1.0, 20.0) == (1.0, 1.0)
    assert correlation_p(-1.0, 20.0) == 0.0
    assert np.isnan(correlation_interval(np.nan, 20.0)).all()
    assert np.isnan(correlation_p(0.5, np.nan))


@pytest.mark.parametrize(("sigma", "least"), [(0.5, 0.91), (1.0, 0.91), (2.0, 0.86)])
def test_the_interval_of_a_share_covers_the_truth(sigma, least):
    lags = Lags(ball(7), np.ones(3))
    source = fields(lags.region, sigma, 6)
    covered = 0
    for _ in range(FIELDS):
        one, other = next(source), next(source)
        size = effective_size(
            measured_correlation(one, lags), measured_correlation(other, lags), lags
        )
        both = ((one > 0) & (other > 0)).astype(float)
        found = share(both, np.ones(both.size), lags, size)
        covered += found.low <= 0.25 <= found.high
    # 95 % less three standard errors (4.6 %); a region of twenty grains covers 90 %: its scatter is
    # itself known from twenty.
    assert covered / FIELDS >= least


def test_a_share_of_free_voxels_has_wilsons_interval():
    lags = Lags(np.ones((10, 10, 10), bool), np.ones(3))
    inside = (np.random.default_rng(5).random(1000) < 0.3).astype(float)
    found = share(inside, np.ones(1000), lags, 1000.0)
    assert found.size == pytest.approx(1000, rel=0.1)
    assert_allclose([found.low, found.high], wilson(inside.mean(), 1000), atol=0.004)


def test_a_share_of_all_or_nothing_has_an_interval_by_the_most_it_is_worth():
    lags = Lags(ball(3), np.ones(3))
    volume = np.ones(lags.count)
    none, whole = (share(factor * volume, volume, lags, 12.0) for factor in (0.0, 1.0))
    assert (none.value, none.low) == (0.0, 0.0)
    assert (whole.value, whole.high) == (1.0, 1.0)
    assert none.high == pytest.approx(wilson(0.0, 12.0)[1])
    assert none.high == pytest.approx(1 - whole.low)


def test_a_share_of_nothing_is_unknown():
    lags = Lags(ball(3), np.ones(3))
    assert np.isnan(share(np.ones(lags.count), np.zeros(lags.count), lags, 12.0).value)
    unsure = share(np.ones(lags.count), np.ones(lags.count), lags, np.nan)
    assert unsure.value == 1.0
    assert np.isnan([unsure.low, unsure.high]).all()
