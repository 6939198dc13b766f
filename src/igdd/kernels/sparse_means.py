"""Weighted sums of means of sparse designs, with their standard errors and degrees of freedom.

One function (`weighted_means`) serves all designs: one animal a time (Bailer 1988,
doi:10.1007/BF01061863; Nedelman, Gibiansky, Lau 1995, doi:10.1023/A:1016255124336), batches of
animals that share their times (Holder 2001, doi:10.1081/BIP-100104199), batches whose times
overlap, and complete profiles (Jaki, Wolfsegger 2012, doi:10.1002/sim.4386).

Values are (..., animal, column), NaN where an animal has none; leading axes are trials of the same
design.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from igdd.errors import InputError


class Sparse(NamedTuple):
    """A quantity of a sparse design, its standard error and its degrees of freedom."""

    estimate: np.ndarray
    standard_error: np.ndarray
    freedom: np.ndarray


def weighted_means(values: np.ndarray, weights: np.ndarray) -> Sparse:
    """Sum over columns of weight times mean, each mean over the animals that have the column.

    With n_j animals in column j and r_jk in both, the covariance of two means is
    r_jk / (n_j n_k) times that of the values, sum (x_j - m_j)(x_k - m_k) over the r_jk animals over
    (r_jk - 1) + (1 - r_jk / n_j)(1 - r_jk / n_k), held within Cauchy and Schwarz's bound. Degrees
    of freedom follow Satterthwaite over the batches (animals with the same columns): they add
    independent parts V_b to the variance V, and nu = V^2 / sum V_b^2 / (n_b - 1).

    An animal whose columns nobody else has (a sample was lost) counts for the degrees of freedom
    with the batch that it shares most columns with. A column of one animal has no variance: the
    standard error is NaN. So are the degrees of freedom where there is no variance at all.

    >>> found = weighted_means(
    ...     np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, 4.0], [np.nan, 8.0]]),
    ...     np.array([1.0, 0.5]))
    >>> [float(one.round(6)) for one in found]
    [5.0, 1.414214, 2.0]
    """
    used = np.any(weights != 0, axis=tuple(range(weights.ndim - 1)))
    values, weights = values[..., used], weights[..., used]
    sampled = sampled_by(values)
    number = sampled.sum(axis=0)
    means = np.where(sampled, values, 0.0).sum(axis=-2) / number
    estimate = (means * weights).sum(axis=-1)
    spread = _spread(np.where(sampled, values - means[..., None, :], 0.0), sampled)
    patterns, sizes = np.unique(sampled, axis=0, return_counts=True)
    share = weights[..., None, :] * (patterns / number)
    parts = sizes * np.einsum("...bj,...jk,...bk->...b", share, spread, share, optimize=True)
    together = _batches(patterns, sizes)
    parts, sizes = parts @ together, sizes @ together
    variance = np.maximum(parts.sum(axis=-1), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        below = np.where(parts > 0, parts**2 / (sizes - 1.0), 0.0).sum(axis=-1)
        freedom = np.where((variance > 0) & (below > 0), variance**2 / below, np.nan)
    return Sparse(np.asarray(estimate), np.asarray(np.sqrt(variance)), np.asarray(freedom))


def _batches(patterns: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Which patterns of sampling make one batch (pattern, batch): single animals join the nearest.

    >>> _batches(np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1]], dtype=bool), np.array([1, 3, 2]))
    array([[1., 0.],
           [1., 0.],
           [0., 1.]])
    """
    shared = patterns.astype(int) @ patterns.T
    np.fill_diagonal(shared, 0)
    label = np.arange(sizes.size)
    for lone in np.flatnonzero(sizes == 1):
        nearest = int(np.argmax(shared[lone]))
        if shared[lone, nearest]:
            label[label == label[lone]] = label[nearest]
    return np.asarray(label[:, None] == np.unique(label), dtype=float)


def sampled_by(values: np.ndarray) -> np.ndarray:
    """Which animal has which column, the same in every trial."""
    if values.ndim < 2 or not values.shape[-1]:
        raise InputError(f"values of shape {values.shape}; expected (..., animal, time)")
    there = np.isfinite(values)
    first = there.reshape(-1, *values.shape[-2:])[0]
    if not (there == first).all():
        raise InputError("the trials differ in who was sampled when; expected one design")
    if not first.any(axis=0).all():
        column = int(np.argmin(first.any(axis=0)))
        raise InputError(f"nobody was sampled at time {column}; expected a value; leave it out")
    return np.asarray(first)


def _spread(deviations: np.ndarray, sampled: np.ndarray) -> np.ndarray:
    """Covariance of the values of two columns (..., column, column); NaN for one animal."""
    together = sampled.T.astype(float) @ sampled
    number = np.diag(together)
    missed = 1 - together / number
    below = (together - 1) + missed * missed.T
    products = np.swapaxes(deviations, -1, -2) @ deviations
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.where(below > 0, products / below, np.nan)
    spread = np.where(together > 0, spread, 0.0)
    deviation = np.sqrt(np.diagonal(spread, axis1=-2, axis2=-1))
    bound = deviation[..., :, None] * deviation[..., None, :]
    return np.asarray(np.clip(spread, -bound, bound))
