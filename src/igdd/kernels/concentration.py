"""Contrast concentration from the signal of a spoiled gradient echo, and T1 by several flip angles.

The steady-state signal of a spoiled gradient echo (CAPLEX M.SM2.002), with E1 = exp(-TR R1),

    S = M0 sin(a) (1 - E1) / (1 - cos(a) E1)

is inverted exactly: against a baseline S0 at R10, whose M0 cancels,

    q = S / S0 (1 - E10) / (1 - cos(a) E10),   E1 = (1 - q) / (1 - q cos(a)),   C = (R1 - R10) / r1

Only 0 < q < 1 is the signal of any R1 > 0: noise or inflow beyond has no concentration, and is NaN.
T2* decay within the echo time is not part of it: at high concentration C is too low.

Angles are in radians, times and rates in one unit and its reciprocal, relaxivity in rate per unit
of concentration. Arrays broadcast; the last axis of the variable-flip-angle functions is the angle.
"""

from __future__ import annotations

import numpy as np

MOST_STEPS = 100
# Relative change of R1 below which a fit has converged: its curvature is then seen to rounding.
CONVERGED = 1e-12


def spoiled_signal(
    rate: np.ndarray | float,
    flip: np.ndarray | float,
    repetition: float,
    magnetization: np.ndarray | float = 1.0,
) -> np.ndarray:
    """Steady-state signal of a spoiled gradient echo, in the unit of the magnetization.

    >>> float(spoiled_signal(1.0, np.deg2rad(25), 0.005, 1000.0).round(3))
    21.462
    """
    kept = np.exp(-repetition * np.asarray(rate))
    saturated = 1 - np.cos(flip) * kept
    return np.asarray(magnetization * np.sin(flip) * (1 - kept) / saturated)


def relaxation_rate(
    signal: np.ndarray,
    baseline: np.ndarray | float,
    rate: np.ndarray | float,
    flip: np.ndarray | float,
    repetition: float,
) -> np.ndarray:
    """R1 of each signal, given the signal `baseline` at the known `rate`; NaN where there is none.

    >>> before, after = spoiled_signal(np.array([1.0, 3.0]), 0.3, 0.004)
    >>> float(relaxation_rate(after, before, 1.0, 0.3, 0.004).round(12))
    3.0
    """
    ratio = np.divide(
        signal,
        baseline,
        out=np.full(np.broadcast_shapes(np.shape(signal), np.shape(baseline)), np.nan),
        where=np.asarray(baseline) > 0,
    )
    # Signal over M0 sin(a), at the baseline: 1 - E10 without cancellation.
    lost = -np.expm1(-repetition * np.asarray(rate))
    q = ratio * lost / (lost + (1 - lost) * (1 - np.cos(flip)))
    possible = (q > 0) & (q < 1)
    q = np.where(possible, q, 0.5)
    kept = (1 - q) / (1 - q * np.cos(flip))
    return np.asarray(np.where(possible, -np.log(kept) / repetition, np.nan))


def concentration(
    signal: np.ndarray,
    baseline: np.ndarray | float,
    rate: np.ndarray | float,
    flip: np.ndarray | float,
    repetition: float,
    *,
    relaxivity: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Contrast concentration of each signal, and whether the signal is one that a tissue can give.

    rate        R10, before contrast
    relaxivity  r1 of the agent in the medium and at the field that were imaged: plasma and whole
                blood differ by up to 30 %
    """
    found = relaxation_rate(signal, baseline, rate, flip, repetition)
    return (found - rate) / relaxivity, np.isfinite(found)


def rate_slope(
    signal: np.ndarray, rate: np.ndarray, flip: np.ndarray | float, repetition: float
) -> np.ndarray:
    """Change of R1 per change of signal, where `signal` is that of R1 `rate`, at one magnetization.

    >>> rates = np.array([2.0, 2.0001])
    >>> signals = spoiled_signal(rates, 0.3, 0.004)
    >>> float((rate_slope(signals, rates, 0.3, 0.004)[0] * np.diff(signals)[0]).round(8))
    0.0001
    """
    # 1 - E1 without cancellation.
    lost = -np.expm1(-repetition * np.asarray(rate))
    saturated = lost + (1 - lost) * (1 - np.cos(flip))
    steep = signal * repetition * (1 - lost) * (1 - np.cos(flip))
    return np.asarray(saturated * lost / steep)


def variable_flip_linear(
    signal: np.ndarray, flip: np.ndarray, repetition: float
) -> tuple[np.ndarray, np.ndarray]:
    """R1 and M0 from signals (..., a) at flip angles (a,) or (..., a), by the straight line.

    S / sin(a) = E1 S / tan(a) + M0 (1 - E1): quick, but noise stands in the abscissa too and
    lowers R1's precision; NaN where the slope is outside 0 to 1.
    """
    across, up = signal / np.tan(flip), signal / np.sin(flip)
    centre = across.mean(axis=-1, keepdims=True)
    spread = np.sum((across - centre) ** 2, axis=-1)
    together = np.sum((across - centre) * up, axis=-1)
    slope = np.divide(together, spread, out=np.full(spread.shape, np.nan), where=spread > 0)
    possible = (slope > 0) & (slope < 1)
    slope = np.where(possible, slope, np.nan)
    height = up.mean(axis=-1) - slope * centre[..., 0]
    return -np.log(slope) / repetition, height / (1 - slope)


def variable_flip(
    signal: np.ndarray, flip: np.ndarray, repetition: float
) -> tuple[np.ndarray, np.ndarray]:
    """R1 and M0 from signals (..., a) at flip angles (a,) or (..., a), by least squares.

    Starts from the straight line; Levenberg-Marquardt in log R1 with M0 projected out, so that
    R1 stays positive. NaN where the line gives no start or the search does not end.
    """
    start, _ = variable_flip_linear(signal, flip, repetition)
    usable = np.isfinite(start)
    rate = np.where(usable, start, 1.0)
    damping, settled = np.full(rate.shape, 1e-3), ~usable
    shape, magnetization, cost = _projected(rate, signal, flip, repetition)
    for _ in range(MOST_STEPS):
        slope = _slope(rate, shape, flip, repetition) * magnetization[..., None]
        # What of the slope M0 cannot make up.
        own = np.sum(shape * slope, axis=-1) / np.sum(shape**2, axis=-1)
        slope = slope - own[..., None] * shape
        residual = signal - magnetization[..., None] * shape
        gradient, curvature = np.sum(slope * residual, axis=-1), np.sum(slope**2, axis=-1)
        flat = curvature * (1 + damping)
        step = np.divide(gradient, flat, out=np.zeros_like(rate), where=flat > 0)
        tried = rate * np.exp(np.clip(step, -1.0, 1.0))
        trial = _projected(tried, signal, flip, repetition)
        better = trial[2] <= cost
        settled = settled | (np.abs(step) < CONVERGED)
        rate = np.where(better, tried, rate)
        shape = np.where(better[..., None], trial[0], shape)
        magnetization, cost = np.where(better, trial[1:], (magnetization, cost))
        damping = np.where(better, damping / 10, damping * 10)
        if settled.all():
            break
    found = usable & settled
    return np.where(found, rate, np.nan), np.where(found, magnetization, np.nan)


def variable_flip_spread(
    rate: np.ndarray,
    magnetization: np.ndarray,
    signal: np.ndarray,
    flip: np.ndarray,
    repetition: float,
) -> np.ndarray:
    """Relative standard deviation of R1 (and of T1) that the fit's residuals leave.

    As large as the scatter of the signals about the fitted curve says, M0 unknown; NaN of two
    angles, through which a curve always passes.
    """
    spare = signal.shape[-1] - 2
    if spare < 1:
        return np.full(rate.shape, np.nan)
    shape = spoiled_signal(rate[..., None], flip, repetition)
    slope = _slope(rate, shape, flip, repetition) * magnetization[..., None]
    own = np.sum(shape * slope, axis=-1) / np.sum(shape**2, axis=-1)
    curvature = np.sum((slope - own[..., None] * shape) ** 2, axis=-1)
    left = np.sum((signal - magnetization[..., None] * shape) ** 2, axis=-1)
    return np.asarray(np.sqrt(left / spare / curvature))


def _projected(
    rate: np.ndarray, signal: np.ndarray, flip: np.ndarray, repetition: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Signal per M0 (..., a), the best M0 and its sum of squares, at each rate."""
    shape = spoiled_signal(rate[..., None], flip, repetition)
    magnetization = np.sum(shape * signal, axis=-1) / np.sum(shape**2, axis=-1)
    residual = signal - magnetization[..., None] * shape
    return shape, magnetization, np.sum(residual**2, axis=-1)


def _slope(rate: np.ndarray, shape: np.ndarray, flip: np.ndarray, repetition: float) -> np.ndarray:
    """Derivative of the signal per M0 by log R1."""
    x = repetition * rate[..., None]
    kept = np.exp(-x)
    return np.asarray(
        shape * x * kept * (1 / (1 - kept) - np.cos(flip) / (1 - np.cos(flip) * kept))
    )
