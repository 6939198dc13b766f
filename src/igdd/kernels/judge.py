"""What is to be said of fitted curves: corrected AIC, runs of residuals, identifiability, t*.

Everything works on many curves at once, one per row. The bits of a status are those of
`igdd.kinetics.Status`, which stands above the kernels.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from functools import cache

import numpy as np
from scipy import special

from igdd.errors import InputError

NOT_FITTED, NOT_CONVERGED, AT_BOUND, POORLY_IDENTIFIED, RESIDUAL_RUNS, INCOMPLETE = (
    2**bit for bit in range(6)
)

# A curve followed to four digits has nothing left to explain, whatever the signs of the rest.
FOLLOWED = 1e-4
UNLIKELY = 0.01
# How many times larger errors may become if a parameter at its bound counts as unknown.
TOLD_APART = 10.0
# Condition of the information matrix, columns at unit length, beyond which rounding and the
# curvature of the model, not the data, decide where the minimum lies.
CONDITION = 1e9
# Standard error over value beyond which the linear interval says nothing of the parameter.
UNSURE = 1.0


def deviations(sd: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
    """Standard deviations (n, t) of curves; ones where nothing is known, inf: frame not used.

    >>> deviations(None, (1, 2))
    array([[1., 1.]])
    """
    if sd is None:
        return np.ones(shape)
    return np.broadcast_to(np.asarray(sd, dtype=float), shape)


def aicc(squares: np.ndarray, frames: np.ndarray | int, fitted: np.ndarray | int) -> np.ndarray:
    """Akaike's criterion, corrected for few frames, from sums of weighted squares (n,).

    n ln(S / n) + 2 k + 2 k (k + 1) / (n - k - 1) with n frames and k fitted parameters (Hurvich and
    Tsai, Biometrika 1989;76:297). Only differences between models of the same curve, weighted
    alike, have a meaning. NaN where n - k - 1 < 1.

    >>> aicc(np.array([4.0]), 8, 2).round(3), aicc(np.array([4.0]), 4, 3)
    (array([0.855]), array([nan]))
    """
    squares = np.asarray(squares, dtype=float)
    count, size = np.broadcast_arrays(np.asarray(frames, dtype=float), fitted)
    spare = np.where(count - size - 1 >= 1, count - size - 1, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        likelihood = count * np.log(squares / count)
    return np.asarray(likelihood + 2 * size + 2 * size * (size + 1) / spare)


def runs_probability(residuals: np.ndarray) -> np.ndarray:
    """Probability (n,) of as few runs of one sign as these residuals (n, t) show, or fewer.

    Wald and Wolfowitz (Ann Math Stat 1940;11:147), by their exact distribution given the numbers of
    positive and negative residuals, so that few frames can prove nothing. NaN and 0 do not count.

    >>> runs_probability(np.array([[1.0] * 6 + [-1.0] * 6])).round(5)
    array([0.00216])
    """
    residuals = np.atleast_2d(np.asarray(residuals, dtype=float))
    counts = np.array([_count_runs(row[np.isfinite(row) & (row != 0)]) for row in residuals])
    distinct, where = np.unique(counts.reshape(-1, 3), axis=0, return_inverse=True)
    chances = np.array([few_runs(*(int(number) for number in row)) for row in distinct])
    return np.asarray(chances[where.ravel()], dtype=float)


def _count_runs(residuals: np.ndarray) -> tuple[int, int, int]:
    """Positive residuals, negative ones, runs."""
    positive = residuals > 0
    above = int(positive.sum())
    return above, residuals.size - above, int(np.sum(positive[1:] != positive[:-1])) + 1


def few_runs(above: int, below: int, runs: int) -> float:
    """P(runs or fewer) when `above` and `below` signs stand in random order."""
    if not above or not below:
        # All of one sign: as likely as one toss after another.
        return float(0.5 ** max(above + below - 1, 0))
    number = np.arange(2, runs + 1)
    half = number // 2

    def ways(pluses: np.ndarray, minuses: np.ndarray) -> np.ndarray:
        # Logarithms: beyond a thousand frames the counts themselves have no floating-point number.
        logarithm = _log_choose(above - 1, pluses) + _log_choose(below - 1, minuses)
        return np.asarray(np.exp(logarithm - _log_choose(above + below, np.array(above))))

    even = 2 * ways(half - 1, half - 1)
    odd = ways(half, half - 1) + ways(half - 1, half)
    return float(np.where(number % 2 == 0, even, odd).sum())


def too_few_runs(above: np.ndarray, below: np.ndarray, runs: np.ndarray) -> np.ndarray:
    """Whether so many runs (n,) of so many signs are fewer than chance makes them.

    >>> too_few_runs(np.array([6, 6]), np.array([6, 6]), np.array([2, 6]))
    array([ True, False])
    """
    few, frames = np.zeros(runs.shape, dtype=bool), above + below
    for count in np.flatnonzero(np.bincount(frames)).tolist():
        rows = frames == count
        critical = np.zeros(count + 1, dtype=np.int64)
        for one in np.flatnonzero(np.bincount(above[rows])).tolist():
            critical[one] = critical_runs(one, count - one)
        few[rows] = runs[rows] <= critical[above[rows]]
    return few


@cache
def critical_runs(above: int, below: int) -> int:
    """Most runs that are too few for these numbers of signs; 0 where any number may be chance."""
    numbers = range(1, above + below + 1)
    return bisect_left(numbers, UNLIKELY, key=lambda runs: few_runs(above, below, runs))


def _log_choose(size: int, taken: np.ndarray) -> np.ndarray:
    """Logarithm of the binomial coefficient; -inf where more are taken than there are."""
    known = taken <= size
    rest = np.where(known, size - taken, 0)
    found = special.gammaln(size + 1) - special.gammaln(taken + 1) - special.gammaln(rest + 1)
    return np.asarray(np.where(known, found, -np.inf))


def residual_runs(
    values: np.ndarray, predicted: np.ndarray, sd: np.ndarray | None = None
) -> np.ndarray:
    """Whether residuals (n, t) keep one sign for too long, at a probability below 1 %.

    Frames that the fit did not use (predicted NaN, sd infinite) do not count; a curve that is
    followed to a ten-thousandth of its own size is not judged.
    """
    spread = deviations(sd, values.shape)
    used = np.isfinite(predicted) & np.isfinite(values) & np.isfinite(spread)
    residuals = np.where(used, values - np.where(used, predicted, 0.0), 0.0)
    size = np.sqrt(np.sum(np.where(used, values, 0.0) ** 2, axis=1))
    judged = np.sqrt(np.sum(residuals**2, axis=1)) > FOLLOWED * size
    few = np.zeros(len(values), dtype=bool)
    if judged.any():
        few[judged] = runs_probability(residuals[judged]) < UNLIKELY
    return few


def condition(information: np.ndarray) -> np.ndarray:
    """Condition number (n,) of information matrices (n, k, k) with their columns at unit length.

    Units do not count: a parameter of 1e-6 beside one of 1e3 is as well known. Infinite where a
    parameter has no effect at all.

    >>> condition(np.array([[[1.0, 0.0], [0.0, 1e12]]]))
    array([1.])
    """
    finite = np.isfinite(information).all(axis=(1, 2))
    information = np.where(finite[:, None, None], information, 0.0)
    length = np.sqrt(np.einsum("njj->nj", information))
    scale = np.where(length > 0, length, 1.0)
    eigen = np.linalg.eigvalsh(information / scale[:, :, None] / scale[:, None, :])
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(eigen[:, 0] > 0, eigen[:, -1] / eigen[:, 0], np.inf))


def poorly_identified(
    parameters: np.ndarray,
    covariance: np.ndarray,
    conditions: np.ndarray | None = None,
    *,
    low: np.ndarray | float = 0.0,
    known: np.ndarray | float = 0.0,
) -> np.ndarray:
    """Whether the data leave a parameter open: a standard error above its value or not known, or a
    condition of the information matrix above 1e9. A variance of 0 says that nothing was asked.

    low    (p,) lower bounds. What may be below 0, such as a delay, has no size to compare with:
           only an error that is not known leaves it open
    known  (p,) errors up to which parameters are known however small they are. To a rate 0 is the
           end of the model, and an error above the value reaches it; to a share of blood it is a
           value like any other

    >>> rate_and_share, errors = np.array([[0.1, 0.01]]), np.diag([0.05, 0.02]) ** 2
    >>> poorly_identified(rate_and_share, errors[None], known=np.array([0.0, 0.1]))
    array([False])
    """
    variance = np.einsum("njj->nj", covariance)
    size = np.where(np.less(low, 0), np.inf, np.maximum(np.abs(parameters), known))
    with np.errstate(invalid="ignore"):
        sure = (np.sqrt(variance) <= UNSURE * size).all(axis=1)
    if conditions is not None:
        sure &= conditions <= CONDITION
    return np.asarray(~sure)


def earliest_straight(
    abscissa: np.ndarray, ordinate: np.ndarray, limit: float = 0.1, least: int = 5
) -> np.ndarray:
    """First frame (n,) from which a graphical plot is straight; -1 where none is: the rule for t*.

    A plot is straight from a frame if no point from there on lies further from the regression line
    through them, relative to the line, than `limit`; at least `least` points are asked for.
    `abscissa` is (t,) or (n, t), `ordinate` (n, t); points that are not finite are left out.

    >>> x = np.arange(10.0)
    >>> earliest_straight(x, np.where(x < 3, 0.0, 2 * x + 1)[None])
    array([3])
    """
    if least < 3:
        raise InputError(f"a line through {least} points is always straight; expected 3 or more")
    ordinate = np.atleast_2d(np.asarray(ordinate, dtype=float))
    abscissa = np.broadcast_to(np.asarray(abscissa, dtype=float), ordinate.shape)
    known = np.isfinite(abscissa) & np.isfinite(ordinate)
    found = np.full(len(ordinate), -1)
    for frame in range(ordinate.shape[1] - least, -1, -1):
        inside = known.copy()
        inside[:, :frame] = False
        straight = _largest_deviation(abscissa, ordinate, inside) <= limit
        straight &= (inside.sum(axis=1) >= least) & known[:, frame]
        found[straight] = frame
    return found


def _largest_deviation(
    abscissa: np.ndarray, ordinate: np.ndarray, inside: np.ndarray
) -> np.ndarray:
    """Largest distance (n,) of a point inside from the regression line, relative to the line."""
    count = np.maximum(inside.sum(axis=1, keepdims=True), 1)
    x, y = (np.where(inside, values, 0.0) for values in (abscissa, ordinate))
    middle, level = x.sum(axis=1, keepdims=True) / count, y.sum(axis=1, keepdims=True) / count
    x, y = np.where(inside, x - middle, 0.0), np.where(inside, y - level, 0.0)
    spread = np.sum(x * x, axis=1, keepdims=True)
    slope = np.sum(x * y, axis=1, keepdims=True) / np.where(spread > 0, spread, 1.0)
    line = level + slope * x
    with np.errstate(divide="ignore", invalid="ignore"):
        away = np.where(inside, np.abs(y + level - line) / np.abs(line), 0.0)
    return np.asarray(np.nan_to_num(away, nan=np.inf).max(axis=1))


def bootstrap_sd(
    solve: Callable[[np.ndarray], np.ndarray],
    values: np.ndarray,
    predicted: np.ndarray,
    sd: np.ndarray | None = None,
    *,
    fitted: int,
    replicates: int = 200,
    seed: int = 0,
) -> np.ndarray:
    """Standard errors (n, p) by drawing residuals anew: for methods without a covariance of use.

    solve      curves (n, t) -> parameters (n, p); called `replicates` times
    predicted  (n, t), NaN in frames that the fit did not use: those keep their values
    fitted     number of parameters; residuals shrink by fitting and are widened by
               sqrt(n / (n - k)) (Efron and Tibshirani 1993, section 9.4)

    Residuals are drawn in units of their standard deviation, centred, from the curve's own.
    """
    spread = deviations(sd, values.shape)
    used = np.isfinite(predicted) & np.isfinite(values) & np.isfinite(spread)
    scale = np.where(used, spread, 1.0)
    residuals = np.where(used, (values - np.where(used, predicted, 0.0)) / scale, 0.0)
    count = np.maximum(used.sum(axis=1, keepdims=True), 1)
    residuals = np.where(used, residuals - residuals.sum(axis=1, keepdims=True) / count, 0.0)
    residuals *= np.sqrt(count / np.maximum(count - fitted, 1))
    # Used frames first in each row, so that a draw below the count is a used frame's residual.
    residuals = np.take_along_axis(residuals, np.argsort(~used, axis=1, kind="stable"), axis=1)
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(replicates):
        choice = np.floor(rng.random(values.shape) * count).astype(int)
        noise = np.take_along_axis(residuals, choice, axis=1) * scale
        drawn.append(solve(np.where(used, np.where(used, predicted, 0.0) + noise, values)))
    every = np.stack(drawn)
    known = np.isfinite(every).all(axis=(0, 2))
    result = np.full(every.shape[1:], np.nan)
    result[known] = every[:, known].std(axis=0, ddof=1)
    return result
