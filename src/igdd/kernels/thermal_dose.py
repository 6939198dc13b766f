"""Thermal dose: cumulative equivalent minutes at 43 degrees C, of temperatures over time.

    CEM43 = integral of R^(43 - T) dt,    R = 0.5 from 43 on, 0.25 below

Sapareto and Dewey, Int J Radiat Oncol Biol Phys 1984;10:787. Straight lines between the samples are
integrated exactly, whatever their distance: a jump from 37 to 50 within one sample counts as ramp.
"""

from __future__ import annotations

import numpy as np

BREAK = 43.0  # degrees C
# Growth of the rate of damage per degree, above and below the break: -ln R.
ABOVE, BELOW = np.log(2.0), np.log(4.0)
# Below it no damage is counted where the caller asks for that.
NONE_BELOW = 39.0


def cem43(time: np.ndarray, temperature: np.ndarray, *, least: float | None = None) -> np.ndarray:
    """CEM43 (..., t) reached by each sample, in the unit of `time`, of temperatures (..., t) in C.

    least  temperature below which nothing counts, such as 39; None: everything counts

    >>> cem43(np.array([0.0, 60.0]), np.array([41.0, 41.0]))
    array([0.  , 3.75])
    """
    length = np.diff(time)
    first, last = temperature[..., :-1], temperature[..., 1:]
    bottom = -np.inf if least is None else least
    parts = _between(first, last, bottom, BREAK, BELOW) + _between(
        first, last, BREAK, np.inf, ABOVE
    )
    start = np.zeros((*temperature.shape[:-1], 1))
    return np.concatenate([start, np.cumsum(parts * length, axis=-1)], axis=-1)


def cem43_of_frames(
    duration: np.ndarray, temperature: np.ndarray, *, least: float | None = None
) -> np.ndarray:
    """CEM43 (...) of mean temperatures (..., t) of frames of such durations (t,).

    >>> cem43_of_frames(np.array([1 / 60]), np.array([[56.0]])).round(1)
    array([136.5])
    """
    growth = np.where(temperature >= BREAK, ABOVE, BELOW)
    rate = np.exp(growth * (temperature - BREAK))
    if least is not None:
        rate = np.where(temperature >= least, rate, 0.0)
    return np.asarray(np.sum(rate * duration, axis=-1))


def _between(
    first: np.ndarray, last: np.ndarray, low: float, high: float, growth: float
) -> np.ndarray:
    """Mean of exp(growth (T - 43)) over lines from `first` to `last`, where low <= T < high."""
    rise = last - first
    sloped = rise != 0
    begin, end = np.clip(first, low, high), np.clip(last, low, high)
    share = np.divide(end - begin, rise, out=np.zeros(rise.shape), where=sloped)
    flat = (first >= low) & (first < high) & ~sloped
    share = np.where(flat, 1.0, share)
    begin = np.where(share > 0, begin, BREAK)
    step = np.where(share > 0, growth * (end - begin), 0.0)
    small = np.abs(step) < 1e-12
    mean = np.where(small, 1.0, np.expm1(step) / np.where(small, 1.0, step))
    return np.asarray(share * np.exp(growth * (begin - BREAK)) * mean)
