"""Receptor or enzyme occupancy by a drug: Lassen plot, pairs of BPND, dose and occupancy.

All take plain numbers, one per region, subject or dose, and give estimates with 95 % intervals.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special

from igdd.errors import InputError
from igdd.kernels.errors_in_variables import Points, line
from igdd.kernels.judge import POORLY_IDENTIFIED, poorly_identified

TAIL = 0.025
# An occupancy nearer to 0 is none, to rounding.
ROUNDED = 1e-12


class Lassen(NamedTuple):
    """Occupancy [1] and VND [the unit of VT] of a Lassen plot, with standard errors and limits.

    A limit of VND is NaN where the slope cannot be told from zero: its interval has no bounds then.
    Where both axes have errors, a standard error is half the interval over Student's t.
    """

    occupancy: float
    occupancy_sd: float
    occupancy_limits: tuple[float, float]
    VND: float
    VND_sd: float
    VND_limits: tuple[float, float]
    correlation: float


class Occupancies(NamedTuple):
    """Occupancies (n,) [1], their standard errors and 95 % limits (NaN where unknown)."""

    occupancy: np.ndarray
    sd: np.ndarray
    low: np.ndarray
    high: np.ndarray


class DoseOccupancy(NamedTuple):
    """Emax model of occupancy over dose or concentration.

    parameters  Emax [1], ED50 [the dose's unit], Hill [1]
    sd, low, high  of each; 0 and the value itself for one that was held
    status  bits of `igdd.kinetics.Status`
    used    number of points with a dose above 0
    """

    parameters: np.ndarray
    sd: np.ndarray
    low: np.ndarray
    high: np.ndarray
    covariance: np.ndarray
    status: int
    used: int


def lassen(
    baseline: np.ndarray,
    blocked: np.ndarray,
    baseline_sd: np.ndarray | None = None,
    blocked_sd: np.ndarray | None = None,
) -> Lassen:
    """Occupancy and VND from VT (n,) of three or more regions before and under a drug.

    VT_baseline - VT_blocked = occupancy (VT_baseline - VND): the slope is the occupancy and the
    crossing of the abscissa is VND (Lassen et al., J Cereb Blood Flow Metab 1995;15:152; Cunningham
    et al., ibid. 2010;30:46, doi:10.1038/jcbfm.2009.190). The baseline, and with it its noise,
    stands on both axes.

    With standard errors of every VT the line is VT_blocked = occupancy VND + (1 - occupancy)
    VT_baseline, whose two coordinates have errors of their own: the likeliest line with its limits
    (`igdd.kernels.errors_in_variables`). Without them it is the usual unweighted regression, which
    takes the baseline as known; its slope is too high by (1 - occupancy) times the share of the
    noise in the spread of the baseline. Limits then by Student's t, of VND by Fieller's theorem.

    >>> found = lassen(np.array([2.0, 4.0, 6.0]), np.array([1.5, 2.5, 3.5]))
    >>> round(found.occupancy, 6), round(found.VND, 6)
    (0.5, 1.0)
    """
    baseline, blocked = _pairs(baseline, blocked, "VT", 3)
    if not np.ptp(baseline) > 0:
        raise InputError("VT is the same in all regions; a Lassen plot needs regions that differ")
    if baseline_sd is None or blocked_sd is None:
        return _ordinary(baseline, blocked)
    points = Points(
        baseline, blocked, np.asarray(baseline_sd, float), np.asarray(blocked_sd, float)
    )
    if not (points.x_sd.shape == points.y_sd.shape == baseline.shape):
        raise InputError(f"expected {baseline.size} standard errors of each session")
    if not all((np.isfinite(one) & (one > 0)).all() for one in (points.x_sd, points.y_sd)):
        raise InputError("a standard error of VT is not above 0; leave the pair out, or all errors")
    return _weighed(points)


def _ordinary(baseline: np.ndarray, blocked: np.ndarray) -> Lassen:
    """Unweighted regression of the change on the baseline."""
    middle = baseline.mean()
    away = baseline - middle
    spread = float(away @ away)
    change = baseline - blocked
    slope = float(away @ change) / spread
    level = float(change.mean())
    residuals = change - level - slope * away
    freedom = baseline.size - 2
    variance = float(residuals @ residuals) / freedom
    t = float(special.stdtrit(freedom, 1 - TAIL))
    slope_variance, level_variance = variance / spread, variance / baseline.size
    VND = middle - level / slope if slope else np.nan
    low, high = _fieller((level, level_variance), (slope, slope_variance), t)
    error = float(np.sqrt(slope_variance))
    return Lassen(
        occupancy=slope,
        occupancy_sd=error,
        occupancy_limits=(slope - t * error, slope + t * error),
        VND=float(VND),
        VND_sd=_ratio_sd((level, level_variance), (slope, slope_variance)),
        VND_limits=(float(middle - high), float(middle - low)),
        correlation=_correlation(baseline, change),
    )


def _weighed(points: Points) -> Lassen:
    """The likeliest line; VND is where it meets that of no occupancy, VT_blocked = VT_baseline."""
    found = line(points, TAIL)
    occupancies = 1 - found.slopes
    limits = (float(occupancies[-1]), float(occupancies[0]))
    VND_limits = float("nan"), float("nan")
    # Without occupancy the two lines are parallel: any VND is as likely.
    if limits[0] > ROUNDED or limits[1] < -ROUNDED:
        crossings = found.levels / occupancies[:, None]
        VND_limits = float(crossings.min()), float(crossings.max())
    t = float(special.stdtrit(points.x.size - 2, 1 - TAIL))
    occupancy = 1 - found.slope
    return Lassen(
        occupancy=occupancy,
        occupancy_sd=(limits[1] - limits[0]) / (2 * t),
        occupancy_limits=limits,
        VND=found.level / occupancy if abs(occupancy) > ROUNDED else float("nan"),
        VND_sd=(VND_limits[1] - VND_limits[0]) / (2 * t),
        VND_limits=VND_limits,
        correlation=_correlation(points.x, points.x - points.y),
    )


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's coefficient; NaN where the other does not vary."""
    first, second = one - one.mean(), other - other.mean()
    size = float(np.sqrt((first @ first) * (second @ second)))
    return float(first @ second) / size if size > 0 else float("nan")


def individual(
    baseline: np.ndarray,
    blocked: np.ndarray,
    baseline_sd: np.ndarray | None = None,
    blocked_sd: np.ndarray | None = None,
) -> Occupancies:
    """Occupancies 1 - BPND_blocked / BPND_baseline of pairs (n,), each by itself.

    Limits by Fieller's theorem from the standard errors of both, which are taken as independent;
    NaN where either is unknown, or where the baseline cannot be told from zero. An occupancy is
    not clipped: noise may bring it below 0 or above 1.

    >>> individual(np.array([2.0]), np.array([0.5])).occupancy
    array([0.75])
    """
    baseline, blocked = _pairs(baseline, blocked, "BPND", 1)
    unknown = np.full(baseline.shape, np.nan)
    below = unknown if baseline_sd is None else np.broadcast_to(baseline_sd, baseline.shape)
    above = unknown if blocked_sd is None else np.broadcast_to(blocked_sd, baseline.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(baseline != 0, blocked / baseline, np.nan)
    errors, low, high = (np.full(baseline.shape, np.nan) for _ in range(3))
    normal = float(special.ndtri(1 - TAIL))
    for pair in range(baseline.size):
        over, under = (blocked[pair], above[pair] ** 2), (baseline[pair], below[pair] ** 2)
        if np.isfinite(over).all() and np.isfinite(under).all():
            errors[pair] = _ratio_sd(over, under)
            low[pair], high[pair] = _fieller(over, under, normal)
    return Occupancies(occupancy=1 - ratio, sd=errors, low=1 - high, high=1 - low)


def dose_occupancy(
    dose: np.ndarray,
    occupancy: np.ndarray,
    sd: np.ndarray | None = None,
    *,
    Emax: float | None = None,
    Hill: float | None = 1.0,
) -> DoseOccupancy:
    """Occupancy = Emax dose^Hill / (ED50^Hill + dose^Hill) through points (n,), least squares.

    `Emax` and `Hill` are held at the value given and fitted where it is None; ED50 is fitted
    always. `sd` (n,) are the standard errors of the occupancies; they say how the points compare,
    and the variance comes from the residuals. At dose 0 the occupancy is 0 by definition: such a
    point says nothing of the parameters, and would only make the noise look smaller; it is not
    used. Limits by Student's t, those of ED50 on its logarithm.

    >>> dose = np.array([1.0, 3.0, 10.0, 30.0])
    >>> dose_occupancy(dose, dose / (5 + dose)).parameters.round(6)
    array([1., 5., 1.])
    """
    from igdd.kernels.levenberg import fit_curves

    dose, occupancy = _pairs(dose, occupancy, "dose and occupancy", 2)
    if (dose < 0).any() or not (dose > 0).any():
        raise InputError(f"the smallest dose is {dose.min():g}; expected doses above 0")
    sd = None if sd is None else np.asarray(sd, dtype=float)[dose > 0]
    dose, occupancy = dose[dose > 0], occupancy[dose > 0]
    free = np.array([Emax is None, True, Hill is None])
    freedom = dose.size - int(free.sum())
    if freedom < 1:
        raise InputError(
            f"{dose.size} doses above 0 for {free.sum()} parameters; expected more doses than "
            "parameters; hold Emax, where it is known"
        )

    def predict(parameters: np.ndarray) -> np.ndarray:
        most, half, hill = parameters.T[:, :, None]
        return np.asarray(most / (1 + np.exp(hill * (half - given))))

    given = np.log(dose)
    halves = np.linspace(given.min() - 2, given.max() + 2, 7)
    starts = np.array(
        [[1.0 if Emax is None else Emax, h, 1.0 if Hill is None else Hill] for h in halves]
    )
    bounds = np.array([(0.0, 2.0), (given.min() - 12, given.max() + 12), (0.1, 10.0)])
    bounds[~free] = starts[0][~free][:, None]
    fitted = fit_curves(predict, occupancy[None], sd, starts, bounds, free=free)
    parameters, covariance = fitted.parameters[0].copy(), fitted.covariance[0].copy()
    if not np.isfinite(parameters).all():
        raise InputError("the occupancies could not be fitted: all are 0, or one is not a number")
    half = np.exp(parameters[1])
    parameters[1] = half
    scale = np.array([1.0, half, 1.0])
    covariance = covariance * scale[:, None] * scale
    stuck = free & (np.diag(covariance) == 0)  # at a bound, where there is no standard error
    covariance[stuck, :] = covariance[:, stuck] = np.nan
    error = np.sqrt(np.diag(covariance))
    reach = float(special.stdtrit(freedom, 1 - TAIL)) * error
    low, high = parameters - reach, parameters + reach
    low[1], high[1] = half * np.exp(-reach[1] / half), half * np.exp(reach[1] / half)
    # The fit's own parameter is the logarithm of ED50, whose size is that of a unit.
    status = int(fitted.status[0]) & ~POORLY_IDENTIFIED
    if poorly_identified(parameters[None], covariance[None])[0]:
        status |= POORLY_IDENTIFIED
    return DoseOccupancy(parameters, error, low, high, covariance, status, dose.size)


def _pairs(
    first: np.ndarray, second: np.ndarray, what: str, least: int
) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if first.shape != second.shape or first.ndim != 1 or first.size < least:
        raise InputError(
            f"{what}: {first.size} and {second.size} numbers; expected {least} or more pairs"
        )
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise InputError(f"{what}: a number is missing; leave the pair out")
    return first, second


def _ratio_sd(above: tuple[float, float], below: tuple[float, float]) -> float:
    """Standard error of a ratio of independent (estimate, variance), to first order."""
    if not below[0]:
        return float("nan")
    ratio = above[0] / below[0]
    return float(np.sqrt(above[1] + ratio**2 * below[1]) / abs(below[0]))


def _fieller(
    above: tuple[float, float], below: tuple[float, float], t: float
) -> tuple[float, float]:
    """Limits of a ratio of independent (estimate, variance); NaN where they are not bounded.

    The ratios r with (above - r below)^2 <= t^2 (var above + r^2 var below).
    """
    square = below[0] ** 2 - t**2 * below[1]
    if not square > 0:
        return float("nan"), float("nan")
    product = above[0] * below[0]
    rest = above[0] ** 2 - t**2 * above[1]
    root = float(np.sqrt(max(product**2 - square * rest, 0.0)))
    return (product - root) / square, (product + root) / square
