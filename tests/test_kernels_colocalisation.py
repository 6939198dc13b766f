"""Co-localisation of two maps: identical, complementary, independent, shifted; and by scipy."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from scipy.ndimage import gaussian_filter

from igdd.errors import InputError
from igdd.kernels import colocalisation as pairs
from igdd.kernels.effective_size import Lags


def ball(radius):
    return ((np.indices((2 * radius + 1,) * 3) - radius) ** 2).sum(axis=0) <= radius**2


@pytest.fixture
def lags():
    return Lags(ball(7), np.ones(3))


@pytest.fixture
def maps(lags):
    rng = np.random.default_rng(8)
    return [gaussian_filter(rng.standard_normal((15, 15, 15)), 1.5)[lags.region] for _ in range(2)]


def test_identical_maps_agree_fully(lags, maps):
    one = maps[0]
    assert pairs.pearson(one, one) == pytest.approx(1.0)
    assert pairs.spearman(one, one) == pytest.approx(1.0)
    found = pairs.mutual_information(one, one, lags)
    assert found.plain == pytest.approx(np.log2(pairs.BINS), abs=1e-3)
    assert found.p < 1e-3
    hot = one > 0.0
    assert pairs.dice(hot, hot) == pairs.jaccard(hot, hot) == 1.0


def test_complementary_maps_agree_nowhere(lags, maps):
    one = maps[0]
    other = one.max() - one
    assert pairs.pearson(one, other) == pytest.approx(-1.0)
    assert pairs.spearman(one, other) == pytest.approx(-1.0)
    hot = one > np.median(one)
    assert pairs.dice(hot, ~hot) == pairs.jaccard(hot, ~hot) == 0.0
    # Information does not care about the sign; where a bin's border falls on a voxel, it counts
    # with one bin in one map and with the next in the other: one voxel in each of eight bins.
    lost = pairs.BINS / one.size * np.log2(one.size)
    assert pairs.mutual_information(one, other, lags).plain == pytest.approx(3.0, abs=lost)
    assert np.isnan(pairs.costes_thresholds(one, other)).all()


def test_correlations_are_scipys(maps):
    one, other = (np.round(values, 2) for values in maps)  # with ties
    assert pairs.pearson(one, other) == pytest.approx(stats.pearsonr(one, other).statistic)
    assert pairs.spearman(one, other) == pytest.approx(stats.spearmanr(one, other).statistic)
    assert_allclose(pairs.ranks(one), stats.rankdata(one))


def test_a_curved_relation_is_seen_by_ranks_and_information_not_by_a_line(lags, maps):
    one = maps[0] - np.median(maps[0])
    assert pairs.spearman(one, np.exp(5 * one)) == pytest.approx(1.0)
    valley = pairs.mutual_information(one, one**2, lags)
    assert abs(pairs.pearson(one, one**2)) < 0.3
    assert valley.plain > 1.5
    assert valley.p < 1e-3


def test_the_information_of_independent_blurred_maps_is_what_is_expected_of_them(lags):
    rng = np.random.default_rng(2)
    found = []
    for _ in range(120):
        fields = [gaussian_filter(rng.standard_normal((31,) * 3), 1.5) for _ in range(2)]
        cut = [values[8:23, 8:23, 8:23][lags.region] for values in fields]
        found.append(pairs.mutual_information(cut[0], cut[1], lags))
    plain, expected = (np.array([getattr(one, name) for one in found])
                       for name in ("plain", "independent"))  # fmt: skip
    # The bias of a plug-in estimate, to first order in 1 / size: to a tenth.
    assert plain.mean() == pytest.approx(expected.mean(), rel=0.1)
    # Miller and Madow's for free voxels would be a third of it.
    assert plain.mean() > 2 * 49 / (2 * lags.count * np.log(2))
    # False positives at 5 %: within three standard errors of 120 fields.
    assert np.mean([one.p < 0.05 for one in found]) <= 0.05 + 3 * 0.02


def test_the_unit_of_a_map_changes_nothing(lags, maps):
    one, other = maps[0], 0.7 * maps[0] + 0.3 * maps[1]
    for factor in (1e-9, 1e12):
        scaled = factor * other
        assert pairs.pearson(one, scaled) == pytest.approx(pairs.pearson(one, other))
        assert pairs.spearman(one, scaled) == pairs.spearman(one, other)
        assert (
            pairs.mutual_information(one, scaled, lags).plain
            == pairs.mutual_information(one, other, lags).plain
        )
        plain, moved = pairs.costes_thresholds(one, other), pairs.costes_thresholds(one, scaled)
        assert_allclose([moved[0], moved[1] / factor], plain, rtol=1e-6)
        counts, _, edges = pairs.joint_histogram(one, scaled, 16)
        assert_allclose(edges / factor, pairs.joint_histogram(one, other, 16)[2])
        assert counts.sum() == one.size


def test_manders_are_shares_of_an_amount():
    drug = np.array([1.0, 2.0, 3.0, 4.0])
    target = np.array([False, True, False, True])
    assert pairs.manders(drug, target) == pytest.approx(0.6)
    assert pairs.manders(np.array([-1.0, 2.0]), np.array([False, True])) == pytest.approx(2.0)
    assert np.isnan(pairs.manders(np.zeros(4), target))


def test_costes_finds_where_shared_signal_ends():
    rng = np.random.default_rng(1)
    # Noise alone in four fifths; a signal that both share, well above it, in the last.
    one, other = rng.normal(0.0, 1.0, (2, 5000))
    shared = rng.uniform(8.0, 20.0, 1000)
    one[:1000] += shared
    other[:1000] += 2 * shared
    low, high = pairs.costes_thresholds(one, other)
    above = (one >= low) & (other >= high)
    assert above[:1000].mean() > 0.99
    assert above[1000:].mean() < 0.05
    below = ~above
    assert pairs.pearson(one[below], other[below]) <= 0


def test_costes_is_the_highest_threshold_without_correlation_below():
    rng = np.random.default_rng(4)
    one = rng.normal(0, 1, 60)
    other = 0.5 * one + rng.normal(0, 1, 60)
    low, _ = pairs.costes_thresholds(one, other)
    slope = other.std() / one.std()

    def below(level):
        line = other.mean() + slope * (level - one.mean())
        part = (one < level - 1e-12) | (other < line - 1e-12)
        return pairs.pearson(one[part], other[part])

    assert below(low) <= 0
    candidates = np.concatenate([one, one.mean() + (other - other.mean()) / slope])
    assert all(not below(level) <= 0 for level in candidates if level > low + 1e-9)


def test_maps_that_rise_together_everywhere_are_hot_everywhere():
    rising = np.arange(50.0)
    assert pairs.costes_thresholds(rising, 3 * rising + 1) == (0.0, 1.0)


def test_overlap_of_known_sets():
    one = np.arange(10) < 4
    other = (np.arange(10) >= 2) & (np.arange(10) < 8)
    assert pairs.dice(one, other) == pytest.approx(2 * 2 / 10)
    assert pairs.jaccard(one, other) == pytest.approx(2 / 8)
    assert np.isnan(pairs.dice(np.zeros(3, bool), np.zeros(3, bool)))
    assert np.isnan(pairs.jaccard(np.zeros(3, bool), np.zeros(3, bool)))


@pytest.mark.parametrize("lag", [(0, 0, 0), (2, 0, 0), (-1, 2, 0), (0, -2, 3)])
def test_a_known_shift_is_found_by_the_lag(lag):
    region = ball(8)
    whole = gaussian_filter(np.random.default_rng(0).standard_normal((40, 40, 40)), 1.2)
    # other(x + lag) is one(x)
    one = whole[10:27, 10:27, 10:27]
    start = [10 - n for n in lag]
    other = whole[tuple(slice(n, n + 17) for n in start)]
    lags = Lags(region, np.array([1.0, 2.0, 1.5]))
    found = pairs.lag_correlation(one, 5 * other + 7, lags, 20.0)
    assert found is not None
    assert found.lag.tolist() == list(lag)
    assert found.correlation == pytest.approx(1.0, abs=1e-9)
    there = np.roll(np.pad(region, 4), [-n for n in lag], axis=(0, 1, 2))[4:-4, 4:-4, 4:-4]
    assert (found.meeting == (region & there)).all()


def test_the_correlation_at_a_lag_is_that_of_the_voxels_that_meet(lags, maps):
    fields = [lags.field(values) for values in maps]
    every = pairs._at_every_lag(*[
        lags.field((values - values.mean()) / values.std()) for values in maps
    ], lags)  # fmt: skip
    moved = np.roll(fields[1], (-2, 1, 0), axis=(0, 1, 2))
    meeting = pairs._meeting(lags.region, np.array([2, -1, 0]))
    wanted = np.corrcoef(fields[0][meeting], moved[meeting])[0, 1]
    assert every[2, -1, 0] == pytest.approx(wanted, abs=1e-9)


def test_no_lag_beyond_the_reach_is_tried():
    region = np.ones((12, 6, 6), bool)
    whole = np.random.default_rng(1).standard_normal((16, 6, 6))
    found = pairs.lag_correlation(whole[:12], whole[4:], Lags(region, np.ones(3)), 3.0)
    assert found is not None
    assert np.linalg.norm(found.lag) <= 3
    farther = pairs.lag_correlation(whole[:12], whole[4:], Lags(region, np.ones(3)), 5.0)
    assert farther is not None
    assert farther.lag.tolist() == [-4, 0, 0]
    assert farther.by_distance.size <= 6


def test_flat_maps_and_single_voxels_are_undefined(lags, maps):
    flat = np.full(lags.count, 0.1)
    assert np.isnan(pairs.pearson(flat, maps[0]))
    assert np.isnan(pairs.spearman(flat, maps[0]))
    assert np.isnan(pairs.mutual_information(flat, maps[0], lags).plain)
    assert np.isnan(pairs.costes_thresholds(flat, maps[0])).all()
    assert pairs.lag_correlation(lags.field(flat), lags.field(maps[0]), lags, 9.0) is None
    alone = np.array([3.0])
    assert np.isnan(pairs.pearson(alone, alone))
    assert np.isnan(pairs.mutual_information(alone, alone, Lags(np.ones((1, 1, 1), bool),
                                                                np.ones(3))).plain)  # fmt: skip


def test_a_joint_histogram_counts_every_voxel_once(maps):
    counts, first, second = pairs.joint_histogram(maps[0], maps[1], 10)
    wanted = np.histogram2d(maps[0], maps[1], bins=[first, second])[0]
    assert_allclose(counts, wanted)
    flat, _, _ = pairs.joint_histogram(np.ones(5), np.arange(5.0), 4)
    assert flat.sum() == 5
    for bins in (0, 100_000):
        with pytest.raises(InputError, match="bins of a joint histogram"):
            pairs.joint_histogram(maps[0], maps[1], bins)


def test_bins_of_equal_share_keep_equal_values_together():
    bins = pairs.quantile_bins(np.repeat([0.0, 1.0], [90, 10]), 8)
    assert np.unique(bins[:90]).size == 1
    assert bins[-1] == 1
