"""A cumulative curve from linear observations of it, by a rate that changes smoothly.

The curve starts with a jump x_0 at time zero and grows by increments x_j in bins of time. What is
observed is y = design x + noise. A warped clock w(t), 4 units long, is proportional to
log(1 + t / t0); the rate q = dx/dw starts anywhere (sd 1) and is a random walk of variance tau2 per
unit of w. Given t0 and tau the estimate of any linear functional is Gaussian (a smoothing spline,
Wahba, J R Stat Soc B 1978;40:364). How smooth the rate is, and on which clock, is not chosen:
estimates are averaged over t0 and tau, each weighted by the marginal likelihood of the data
(equal prior weights), so that the uncertainty holds that of the smoothness.

Amounts are fractions of the dose: the priors (jump and first rate of sd 1) are wide for those only.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from igdd.errors import FitError, InputError

LENGTH = 4.0  # of the warped clock
# Standard deviation of the rate's change over a unit of the warped clock.
ROUGHNESS = np.array([0.1, 0.3, 1.0, 3.0, 10.0])
LINEAR = 20.0  # times the last instant: a clock that is not warped
MOST_BINS = 120
FINEST = 6  # bins between two instants


class Problem(NamedTuple):
    """Observations (n,) with covariance (n, n) of a curve on bins between `edges` (m + 1,).

    design   (n, m + 1) what a unit jump, and a unit increment spread evenly over each bin, add
    wanted   (k, m + 1) linear functionals of jump and increments to estimate
    jump_sd  prior standard deviation of the jump; 0: there is none
    """

    edges: np.ndarray
    design: np.ndarray
    values: np.ndarray
    covariance: np.ndarray
    wanted: np.ndarray
    jump_sd: float


class Estimated(NamedTuple):
    """Functionals (k,) with covariance (k, k), averaged over clocks and roughnesses.

    gain        (k, n) how the estimate follows the observations
    clock       bins' lengths (m,) on the most likely clock, and the roughness there
    """

    mean: np.ndarray
    covariance: np.ndarray
    gain: np.ndarray
    clock: np.ndarray
    roughness: float


def bin_edges(instants: np.ndarray) -> np.ndarray:
    """Edges from 0 through all instants (n,), with as many bins between two as can be afforded.

    >>> bin_edges(np.array([2.0, 1.0])).tolist()[::6]
    [0.0, 1.0, 2.0]
    """
    known = np.unique(np.append(instants, 0.0))
    if known[0] < 0 or known.size < 2:
        raise InputError("expected at least one instant after time zero, and none before it")
    pieces = max(1, min(FINEST, MOST_BINS // (known.size - 1)))
    inner = known[:-1, None] + np.diff(known)[:, None] * np.arange(pieces) / pieces
    return np.append(inner.ravel(), known[-1])


def clocks(edges: np.ndarray, instants: np.ndarray) -> list[np.ndarray]:
    """Lengths (m,) of the bins on three clocks: warped from the first instant on, half, and not."""
    last = edges[-1]
    first = float(np.min(instants[instants > 0]))
    return [
        np.diff(np.log1p(edges / zero)) * (LENGTH / np.log1p(last / zero))
        for zero in (first, np.sqrt(first * last), LINEAR * last)
    ]


def _walk(lengths: np.ndarray) -> np.ndarray:
    """Covariance (m, m) of a walk of unit variance per unit of clock, at the bins' middles."""
    middle = np.cumsum(lengths) - lengths / 2
    return np.asarray(np.minimum.outer(middle - middle[0], middle - middle[0]))


def estimate(
    problem: Problem, instants: np.ndarray, roughness: np.ndarray = ROUGHNESS
) -> Estimated:
    """The functionals wanted, averaged over clocks and roughnesses by marginal likelihood."""
    problem, restore = _reduced(problem)
    logs, means, spreads, gains, settings = [], [], [], [], []
    for lengths in clocks(problem.edges, instants):
        scaled, wished = problem.design[:, 1:] * lengths, problem.wanted[:, 1:] * lengths
        walk = _walk(lengths)
        level, seen = scaled.sum(axis=1), wished.sum(axis=1)
        jump, hoped = problem.design[:, 0], problem.wanted[:, 0]
        variance = problem.jump_sd**2
        fixed = np.outer(level, level) + variance * np.outer(jump, jump) + problem.covariance
        across = np.outer(seen, level) + variance * np.outer(hoped, jump)
        own = np.outer(seen, seen) + variance * np.outer(hoped, hoped)
        walked = scaled @ walk
        rough = walked @ scaled.T, wished @ walked.T, wished @ walk @ wished.T
        for tau in roughness:
            total, cross, prior = (
                part + tau**2 * more for part, more in zip((fixed, across, own), rough, strict=True)
            )
            factor = _factor(total)
            half = np.linalg.solve(factor, np.column_stack([problem.values, cross.T]))
            gain = np.linalg.solve(factor.T, half[:, 1:]).T
            logs.append(
                -0.5 * float(half[:, 0] @ half[:, 0]) - float(np.log(np.diag(factor)).sum())
            )
            means.append(half[:, 1:].T @ half[:, 0])
            spreads.append(prior - half[:, 1:].T @ half[:, 1:])
            gains.append(gain)
            settings.append((lengths, float(tau)))
    weight = np.exp(np.array(logs) - max(logs))
    weight /= weight.sum()
    mean = np.einsum("s,sk->k", weight, np.array(means))
    off = np.array(means) - mean
    covariance = np.einsum("s,skl->kl", weight, np.array(spreads))
    covariance += np.einsum("s,sk,sl->kl", weight, off, off)
    clock, likely = settings[int(np.argmax(logs))]
    gain = np.einsum("s,skn->kn", weight, np.array(gains)) @ restore
    return Estimated(mean, covariance, gain, clock, likely)


def _factor(covariance: np.ndarray) -> np.ndarray:
    try:
        return np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError as error:
        raise FitError(
            "the observations' covariance is singular; expected a standard deviation above 0 for "
            "every observation"
        ) from error


def _reduced(problem: Problem) -> tuple[Problem, np.ndarray]:
    """The problem with no more observations than bins, and how observations make the fewer ones.

    Of many observations only their weighted sums along the design's columns matter.
    """
    count, size = problem.design.shape
    if count <= size:
        return problem, np.eye(count)
    factor = _factor(problem.covariance)
    white = np.linalg.solve(factor, np.column_stack([problem.design, np.eye(count)]))
    across, design = np.linalg.qr(white[:, :size])
    restore = across.T @ white[:, size:]
    fewer = problem._replace(
        design=design, values=restore @ problem.values, covariance=np.eye(len(design))
    )
    return fewer, restore


def rising(problem: Problem, found: Estimated, most: float = np.inf) -> np.ndarray:
    """Jump and increments (m + 1,), none negative and their sum at most `most`.

    The least of weighted squares and of the walk's own, on the most likely clock and roughness.
    """
    from scipy.optimize import nnls

    lengths = found.clock
    scale = np.concatenate([[problem.jump_sd or 1.0], lengths])
    factor = np.linalg.cholesky(problem.covariance)
    rows = np.linalg.solve(factor, np.column_stack([problem.design * scale, problem.values]))
    middle = np.cumsum(lengths) - lengths / 2
    steps = found.roughness * np.sqrt(np.diff(middle))
    count = lengths.size
    prior = np.zeros((count + 1, count + 1))
    prior[0, 0] = prior[1, 1] = 1.0
    ahead = np.arange(count - 1)
    prior[ahead + 2, ahead + 2] = 1 / steps
    prior[ahead + 2, ahead + 1] = -1 / steps
    matrix, target = np.vstack([rows[:, :-1], prior]), np.append(rows[:, -1], np.zeros(count + 1))
    if not problem.jump_sd:
        matrix[:, 0] = 0.0
    solved, _ = nnls(matrix, target, maxiter=50 * (count + 1))
    if scale @ solved > most:
        # A row of great weight holds the sum at its bound.
        great = 1e3 * np.abs(matrix).max()
        matrix, target = np.vstack([matrix, great * scale]), np.append(target, great * most)
        solved, _ = nnls(matrix, target, maxiter=50 * (count + 1))
    return np.asarray(scale * solved)
