"""Statistics and histograms of intensities: definitions written out, and analytic cases."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from igdd.kernels.intensity_features import energy, histogram, statistics, volume_histogram


@pytest.fixture
def values():
    return np.random.default_rng(3).gamma(2.0, 3.0, 500)


def test_moments_are_those_of_the_population(values):
    found = statistics(values)
    assert found["var"] == pytest.approx(np.var(values), rel=1e-12)
    assert found["skew"] == pytest.approx(stats.skew(values), rel=1e-9)
    assert found["kurt"] == pytest.approx(stats.kurtosis(values), rel=1e-9)
    assert found["cov"] == pytest.approx(stats.variation(values), rel=1e-12)


def test_deviations_by_their_definition(values):
    found = statistics(values)
    low, high = np.percentile(values, [10, 90])
    middle = values[(values >= low) & (values <= high)]
    assert found["mad"] == pytest.approx(np.mean(np.abs(values - values.mean())), rel=1e-12)
    assert found["rmad"] == pytest.approx(np.mean(np.abs(middle - middle.mean())), rel=1e-12)
    assert found["medad"] == pytest.approx(np.mean(np.abs(values - np.median(values))), rel=1e-12)


def test_a_flat_region_has_no_skewness_and_no_kurtosis():
    found = statistics(np.full(9, 2.0))
    assert (found["skew"], found["kurt"], found["var"]) == (0, 0, 0)


def test_a_quotient_by_zero_is_not_a_number():
    found = statistics(np.array([-1.0, 1.0]))
    assert np.isnan(found["cov"])
    assert np.isnan(found["qcod"])


def test_energy_and_root_mean_square():
    found = energy(np.array([3.0, 4.0]))
    assert found["energy"] == 25
    assert found["rms"] == pytest.approx(np.sqrt(12.5))


def test_a_uniform_histogram_has_the_entropy_of_its_bins():
    found = histogram(np.repeat(np.arange(1, 9), 10))
    assert found["entropy"] == pytest.approx(3.0)
    assert found["uniformity"] == pytest.approx(1 / 8)
    assert found["max_grad"] == found["min_grad"] == 0


def test_the_mode_nearest_the_mean_is_taken():
    assert histogram(np.array([1, 1, 5, 5, 6, 7, 9]))["mode"] == 5


def test_gradients_include_empty_bins_and_are_one_sided_at_the_ends():
    found = histogram(np.array([1] * 10 + [4] * 3))
    # counts 10, 0, 0, 3: gradients -10, -5, 1.5, 3
    assert (found["min_grad"], found["min_grad_g"]) == (-10, 1)
    assert (found["max_grad"], found["max_grad_g"]) == (3, 4)


def laid_out(bins, last, first_value, step):
    """The volume histogram of the manual, with every bin written down."""
    volume = np.array([(bins >= j).mean() for j in range(last + 1)])
    fraction = np.arange(last + 1) / last
    value = first_value + step * np.arange(last + 1)
    return {
        "v10": volume[fraction >= 0.1 - 1e-12].max(),
        "v90": volume[fraction >= 0.9 - 1e-12].max(),
        "i10": value[volume <= 0.1 + 1e-12].min(),
        "i90": value[volume <= 0.9 + 1e-12].min(),
    }


@pytest.mark.parametrize("seed", range(20))
def test_the_volume_histogram_is_that_of_the_definition(seed):
    rng = np.random.default_rng(seed)
    bins = rng.integers(0, 40, rng.integers(10, 200))
    last = int(bins.max()) + int(rng.integers(1, 20))
    found = volume_histogram(bins, last, first_value=-3.0, step=0.5)
    for name, value in laid_out(bins, last, -3.0, 0.5).items():
        assert found[name] == pytest.approx(value, rel=1e-12), name
    assert found["diff_v10_v90"] == pytest.approx(found["v10"] - found["v90"])
    assert found["diff_i10_i90"] == pytest.approx(found["i10"] - found["i90"])


def test_a_billion_bins_cost_nothing():
    found = volume_histogram(np.array([0, 10**9]), 10**9, first_value=0.0, step=1e-9)
    assert found["v10"] == 0.5
    assert found["i90"] == pytest.approx(1e-9)


def test_a_range_of_one_bin_has_no_intensity_fraction():
    found = volume_histogram(np.zeros(5), 0, first_value=1.0, step=1.0)
    assert np.isnan(found["v10"])
    assert found["i10"] == 2  # the bin above the only one, which holds no volume
