"""Graphical and multilinear analysis of very many curves: Patlak, Logan and MA1 in one kernel.

Each method is a line in two columns, summed over the frames from t* on. With C the tissue, I its
running integral, P the input and Q the input's running integral,

    PATLAK        C = Ki Q + V P             plotted as C / P against Q / P
    LOGAN         I = VT Q + b C             plotted as I / C against Q / C
    MULTILINEAR   C = -(VT / b) Q + I / b    (MA1; nothing is divided)

Least squares are unweighted on the axes of the plot; with standard deviations of the curves each
row is divided by its own instead, since the error of a row is that of C, times 1, b or 1.

The variances take the size of the noise from the residuals about the line. Where the tissue is
integrated, the noise of a frame reaches all later rows, and early frames before t* reach all of
them: each frame's part is followed to first order through the integral, with noise alike over the
frames (MA1), in proportion to the tissue (Logan), or as the standard deviations say. The usual
covariance of a regression, which holds rows for independent, is here several times too small.

Sources: Patlak et al. (J Cereb Blood Flow Metab 1983;3:1), Logan et al. (ibid. 1990;10:740),
Ichise et al. (ibid. 2002;22:1271).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from igdd.kernels import judge
from igdd.kernels.graphical_noise import (
    ABOVE,
    BELOW,
    BOTH,
    EXPECTED,
    FIRST,
    FRAMES,
    LEAST,
    LEFT,
    LOGAN,
    MULTILINEAR,
    PATLAK,
    REST,
    RUNS,
    SECOND,
    SECOND_VARIANCE,
    SHARE,
    SHARED,
    SUMS,
    TARGET,
    VARIANCE,
)
from igdd.kernels.graphical_sums import sum_lines
from igdd.kernels.linear import weights

__all__ = [
    "LOGAN", "MULTILINEAR", "PATLAK", "Lines", "Plot", "axes", "find_gap", "fit", "predicted",
    "running_integral", "running_weights",
]  # fmt: skip

# A frame that starts this share of the shorter neighbour later than the one before it ends is
# taken to follow it: scanners round their clocks, and beds move for a moment.
LEEWAY = 0.01


@dataclass(frozen=True, kw_only=True, eq=False)
class Plot:
    """What all curves of one analysis share.

    kind     PATLAK, LOGAN or MULTILINEAR
    plasma   (t,) input over the frames; `area` (t,) its running integral over the frames
    running  (t, 4) weights of the tissue's running integral, from `running_weights`
    used     (m,) numbers of the frames in the line, ascending
    scale    the curve becomes `scale` * (curve - offset) before anything else: what the blood in
    offset   the vessels adds is taken out; `offset` (t,)
    """

    kind: int
    plasma: np.ndarray
    area: np.ndarray
    running: np.ndarray
    used: np.ndarray
    scale: float
    offset: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Lines:
    """Fitted lines: `coefficients` (n, 2) of the two columns, `covariance` (n, 2, 2), `status`."""

    coefficients: np.ndarray
    covariance: np.ndarray
    status: np.ndarray


def find_gap(start: np.ndarray, end: np.ndarray, allowed: float = 0.0) -> int:
    """Number of the first frame that starts before the one before it ends, or later by more than
    `allowed` and than rounding, or -1.

    >>> find_gap(np.array([0.0, 60.0, 180.0]), np.array([60.0, 120.0, 240.0]))
    2
    """
    apart = start[1:] - end[:-1]
    leeway = LEEWAY * np.minimum((end - start)[1:], (end - start)[:-1])
    wrong = np.flatnonzero(~((apart >= -leeway) & (apart <= np.maximum(leeway, allowed))))
    return int(wrong[0]) + 1 if wrong.size else -1


def running_weights(start: np.ndarray, end: np.ndarray, integration: str) -> np.ndarray:
    """Weights (t, 4) of a tissue's running integral from its frame means.

    With C and C' the values of a frame and of the one before, and A what was summed before it, the
    integral in the frame is A + w0 C' + w1 C, and A becomes A + w2 C' + w3 C.

    "trapezium" joins the frames' middles by straight lines, as older software does, and gives the
    integral up to the middle. Otherwise frame means times lengths are summed, which is exact at the
    frames' borders, and the integral is the mean over the frame of a tissue that stays level in
    it; between frames that do not touch, and from nothing at time zero to the first one, the tissue
    runs straight.

    >>> weights = running_weights(np.array([0.0, 10.0]), np.array([10.0, 30.0]), "exact")
    >>> weights.tolist()
    [[0.0, 5.0, 0.0, 10.0], [0.0, 10.0, 0.0, 20.0]]
    """
    weights = np.zeros((start.size, 4))
    if integration == "trapezium":
        weights[:] = np.diff((start + end) / 2, prepend=0.0)[:, None] / 2
        return weights
    apart = start - np.append(0.0, end[:-1])
    apart[0] = max(apart[0], 0.0)
    weights[:] = apart[:, None] / 2
    weights[:, 1] += (end - start) / 2
    weights[:, 3] += end - start
    return weights


def running_integral(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Running integral (n, t) of curves (n, t), by the weights of `running_weights`.

    >>> weights = running_weights(np.array([0.0, 10.0]), np.array([10.0, 30.0]), "exact")
    >>> running_integral(np.array([[2.0, 3.0]]), weights).tolist()
    [[10.0, 50.0]]
    """
    before = np.hstack([np.zeros((len(values), 1)), values[:, :-1]])
    whole = np.cumsum(weights[:, 2] * before + weights[:, 3] * values, axis=1)
    earlier = np.hstack([np.zeros((len(values), 1)), whole[:, :-1]])
    return np.asarray(earlier + weights[:, 0] * before + weights[:, 1] * values)


def axes(values: np.ndarray, plot: Plot) -> tuple[np.ndarray, np.ndarray]:
    """Abscissa and ordinate (n, t) of the plot in all frames, NaN where it has no point.

    MULTILINEAR has no plot of its own; its line begins where Logan's does.
    """
    tissue = plot.scale * (np.asarray(values, dtype=float) - plot.offset)
    top = tissue if plot.kind == PATLAK else running_integral(tissue, plot.running)
    below = np.broadcast_to(plot.plasma, tissue.shape) if plot.kind == PATLAK else tissue
    with np.errstate(divide="ignore", invalid="ignore"):
        abscissa, ordinate = plot.area / below, top / below
    known = np.isfinite(abscissa) & np.isfinite(ordinate)
    return np.where(known, abscissa, np.nan), np.where(known, ordinate, np.nan)


def predicted(values: np.ndarray, coefficients: np.ndarray, plot: Plot) -> np.ndarray:
    """What the lines say of the curves (n, t), as measured; NaN in frames that were not used.

    For LOGAN and MULTILINEAR this rests on the measured running integral.
    """
    tissue = plot.scale * (np.asarray(values, dtype=float) - plot.offset)
    first, second = coefficients[:, :1], coefficients[:, 1:]
    if plot.kind == PATLAK:
        line = first * plot.area + second * plot.plasma
    else:
        whole = running_integral(tissue, plot.running)
        with np.errstate(divide="ignore", invalid="ignore"):
            line = (
                (whole - first * plot.area) / second
                if plot.kind == LOGAN
                else first * plot.area + second * whole
            )
    shown = np.full(tissue.shape, np.nan)
    shown[:, plot.used] = (line / plot.scale + plot.offset)[:, plot.used]
    return shown


def fit(values: np.ndarray, plot: Plot, sd: np.ndarray | None = None) -> Lines:
    """Lines through the plots of curves (n, t), with `sd` (t,), (n, t) or None: unweighted axes.

    The status holds NOT_FITTED where a value is missing or there is nothing but zero;
    POORLY_IDENTIFIED where the columns cannot be told apart, or an unweighted Logan plot divides by
    values at or below zero; and RESIDUAL_RUNS.
    Memory order (t, n) is the faster one; single precision is summed in double.
    """
    by_frame = np.ascontiguousarray(values.T)
    if sd is None:
        weight = np.empty((0, 0))
    else:
        rows = np.atleast_2d(np.asarray(sd, dtype=float))
        weight = np.ascontiguousarray(weights(rows, (len(rows), values.shape[1])).T)
    sums = np.empty((SUMS, len(values)))
    constants = np.stack([plot.plasma, plot.area, plot.offset], axis=1)
    sum_lines(by_frame, plot.kind, constants, plot.running, plot.used, plot.scale, weight, sums)
    return _lines(sums, plot)


def _lines(sums: np.ndarray, plot: Plot) -> Lines:
    """Covariance and status of the fits from the kernel's sums."""
    with np.errstate(all="ignore"):
        variance = sums[REST] / np.where(sums[FRAMES] > 2, sums[EXPECTED], np.nan)
        covariance = np.empty((sums.shape[1], 2, 2))
        covariance[:, 0, 0] = variance * sums[VARIANCE]
        covariance[:, 0, 1] = covariance[:, 1, 0] = variance * sums[SHARED]
        covariance[:, 1, 1] = variance * sums[SECOND_VARIANCE]
        coefficients = np.ascontiguousarray(sums[:2].T)
        # Of two columns at unit length with the cosine c the condition is (1 + |c|) / (1 - |c|).
        sine = sums[LEFT] / (sums[LEFT] + sums[SHARE] * sums[BOTH])
        fitted = np.isfinite(sums[FIRST] + sums[SECOND]) & (sums[TARGET] > 0) & (sums[FRAMES] >= 2)
        open_ = sine * judge.CONDITION < 4.0
    if plot.kind == LOGAN:
        open_ |= sums[LEAST] <= 0
    status = judge.POORLY_IDENTIFIED * open_ + judge.RESIDUAL_RUNS * _too_few_runs(sums)
    status = np.where(fitted, status, judge.NOT_FITTED)
    coefficients[~fitted] = np.nan
    covariance[~fitted] = np.nan
    return Lines(coefficients=coefficients, covariance=covariance, status=status.astype(np.int64))


def _too_few_runs(sums: np.ndarray) -> np.ndarray:
    """What `judge.residual_runs` says, from the numbers of signs and runs."""
    with np.errstate(invalid="ignore"):
        judged = sums[REST] > judge.FOLLOWED**2 * sums[TARGET]
    return np.asarray(judged & judge.too_few_runs(*sums[[ABOVE, BELOW, RUNS]].astype(np.int64)))
