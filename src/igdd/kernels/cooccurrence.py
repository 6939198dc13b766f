"""Co-occurrence: the 25 features of a grey level co-occurrence matrix.

IBSI reference manual (arXiv:1612.07003), section 3.6. With p the symmetric matrix of joint
probabilities of levels i and j, entropies in bits; both HXY1 and HXY2 of the information
correlations equal twice the marginal entropy, since both marginals are one.
"""

from __future__ import annotations

import numpy as np

from igdd.kernels.compiled import njit

NAMES = (
    "joint_max", "joint_avg", "joint_var", "joint_entr", "diff_avg", "diff_var", "diff_entr",
    "sum_avg", "sum_var", "sum_entr", "energy", "contrast", "dissimilarity", "inv_diff",
    "inv_diff_norm", "inv_diff_mom", "inv_diff_mom_norm", "inv_var", "corr", "auto_corr",
    "clust_tend", "clust_shade", "clust_prom", "info_corr1", "info_corr2",
)  # fmt: skip


@njit(cache=True, nogil=True)
def _entropy(shares: np.ndarray) -> float:
    total = 0.0
    for share in shares.flat:
        if share > 0:
            total -= share * np.log2(share)
    return total


@njit(cache=True, nogil=True)
def _of_difference(apart: np.ndarray, levels: int) -> tuple[float, ...]:
    """Average, variance, contrast, the four inverse differences and inverse variance."""
    average = contrast = plain = norm = moment = moment_norm = inverse = 0.0
    for k in range(apart.size):
        share = apart[k]
        relative = k / levels
        average += k * share
        contrast += k * k * share
        plain += share / (1 + k)
        norm += share / (1 + relative)
        moment += share / (1 + k * k)
        moment_norm += share / (1 + relative * relative)
        if k > 0:
            inverse += share / (k * k)
    variance = 0.0
    for k in range(apart.size):
        variance += (k - average) ** 2 * apart[k]
    return average, variance, contrast, plain, norm, moment, moment_norm, inverse


@njit(cache=True, nogil=True)
def cooccurrence_features(counts: np.ndarray, greys: np.ndarray, levels: int) -> np.ndarray:
    """The features (25,) of counts (level, level), in the order of `NAMES`.

    greys   (level,) the grey level that each row and column stands for
    levels  number of grey levels of the discretisation, by which differences are normalised

    All NaN where nothing was counted; the correlations are NaN where there is one level only.
    """
    found = np.full(25, np.nan)
    total = 2.0 * counts.sum()
    if total == 0:
        return found
    size = greys.size
    joint = (counts + counts.T) / total
    span = greys[-1] - greys[0] + 1
    marginal = np.zeros(size)
    apart = np.zeros(span)
    together = np.zeros(2 * span - 1)
    auto = 0.0
    for i in range(size):
        for j in range(size):
            share = joint[i, j]
            marginal[i] += share
            apart[abs(greys[i] - greys[j])] += share
            together[greys[i] + greys[j] - 2 * greys[0]] += share
            auto += share * greys[i] * greys[j]
    mean = np.sum(marginal * greys)
    variance = np.sum(marginal * (greys - mean) ** 2)
    tendency = shade = prominence = 0.0
    for k in range(together.size):
        away = k + 2 * greys[0] - 2 * mean
        tendency += away**2 * together[k]
        shade += away**3 * together[k]
        prominence += away**4 * together[k]
    differences = _of_difference(apart, levels)
    alone, both = _entropy(marginal), _entropy(joint)
    found[:7] = joint.max(), mean, variance, both, differences[0], differences[1], _entropy(apart)
    found[7:11] = 2 * mean, tendency, _entropy(together), np.sum(joint * joint)
    found[11], found[12] = differences[2], differences[0]
    found[13:18] = differences[3:8]
    found[19:23] = auto, tendency, shade, prominence
    if variance > 0 and alone > 0:
        found[18] = (auto - mean * mean) / variance
        found[23] = (both - 2 * alone) / alone
        found[24] = np.sqrt(max(1 - np.exp(-2 * (2 * alone - both)), 0.0))
    return found
