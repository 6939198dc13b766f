"""Co-occurrence features against the manual's sums, written out over every pair of levels."""

from __future__ import annotations

import numpy as np
import pytest

from igdd.kernels.cooccurrence import NAMES, cooccurrence_features


def written_out(counts, greys, levels):
    p = (counts + counts.T) / (2 * counts.sum())
    i, j = np.meshgrid(greys.astype(float), greys.astype(float), indexing="ij")
    mean = (i * p).sum()
    variance = ((i - mean) ** 2 * p).sum()
    k = np.abs(i - j)

    def bits(shares):
        shares = shares[shares > 0]
        return -(shares * np.log2(shares)).sum()

    def pooled(by):
        return np.array([p[by == value].sum() for value in np.unique(by)])

    margin = p.sum(axis=0)
    outer = np.outer(margin, margin)
    filled = p > 0
    hxy1 = -(p[filled] * np.log2(outer[filled])).sum()
    hxy2 = -(outer[outer > 0] * np.log2(outer[outer > 0])).sum()
    difference, off = (k * p).sum(), k > 0
    return {
        "joint_max": p.max(), "joint_avg": mean, "joint_var": variance, "joint_entr": bits(p),
        "diff_avg": difference, "diff_var": ((k - difference) ** 2 * p).sum(),
        "diff_entr": bits(pooled(k)), "sum_avg": ((i + j) * p).sum(),
        "sum_var": ((i + j - 2 * mean) ** 2 * p).sum(), "sum_entr": bits(pooled(i + j)),
        "energy": (p**2).sum(), "contrast": (k**2 * p).sum(), "dissimilarity": difference,
        "inv_diff": (p / (1 + k)).sum(), "inv_diff_norm": (p / (1 + k / levels)).sum(),
        "inv_diff_mom": (p / (1 + k**2)).sum(),
        "inv_diff_mom_norm": (p / (1 + (k / levels) ** 2)).sum(),
        "inv_var": (p[off] / k[off] ** 2).sum(),
        "corr": ((i - mean) * (j - mean) * p).sum() / variance,
        "auto_corr": (i * j * p).sum(), "clust_tend": ((i + j - 2 * mean) ** 2 * p).sum(),
        "clust_shade": ((i + j - 2 * mean) ** 3 * p).sum(),
        "clust_prom": ((i + j - 2 * mean) ** 4 * p).sum(),
        "info_corr1": (bits(p) - hxy1) / bits(margin),
        "info_corr2": np.sqrt(1 - np.exp(-2 * (hxy2 - bits(p)))),
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(5))
def test_every_feature_is_its_definition(seed):
    rng = np.random.default_rng(seed)
    greys = np.sort(rng.choice(np.arange(3, 40), 7, replace=False))
    counts = rng.integers(0, 9, (7, 7))
    found = dict(zip(NAMES, cooccurrence_features(counts, greys, 40), strict=True))
    wanted = written_out(counts, greys, 40)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, rel=1e-10, abs=1e-10), name


def test_one_level_has_no_correlation_but_all_else():
    found = cooccurrence_features(np.array([[5]]), np.array([4]), 1)
    undefined = {name for name, value in zip(NAMES, found, strict=True) if np.isnan(value)}
    assert undefined == {"corr", "info_corr1", "info_corr2"}


def test_nothing_counted_gives_nothing():
    assert np.isnan(cooccurrence_features(np.zeros((2, 2), int), np.array([1, 2]), 2)).all()
