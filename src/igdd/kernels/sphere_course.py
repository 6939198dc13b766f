"""Free and bound drug in the shells of a sphere over time: a stiff tridiagonal system.

Solved by the method of `igdd.kernels.esdirk`. What entered and what left are integrated with the
weights of the same stages, so that the mass balance closes to rounding whatever the step.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from igdd.kernels.compiled import njit
from igdd.kernels.esdirk import DEFECT, FIRST_SHARE, GAMMA, LAST, NODES, STAGES, next_step

MOST_STEPS = 100_000


class Sphere(NamedTuple):
    """Concentrations in n shells: dC/dt = A C + gain Cp - what cells take up, which is in A too.

    bands   (3, n) above, on and below the diagonal of A, column by column [1/s]
    gain    (n,) rate from plasma; uptake: rate into cells [1/s]
    sums    (3, n) volume per time by which plasma gives, is given back, and by which drug leaves
    plasma  (k, 2) terms c exp(-rate t)
    """

    bands: np.ndarray
    gain: np.ndarray
    uptake: float
    sums: np.ndarray
    plasma: np.ndarray


class _Work(NamedTuple):
    """Room: state (free, bound, entered, left), the same at a step's end, slopes, three rows."""

    state: np.ndarray
    trial: np.ndarray
    slopes: np.ndarray
    free: np.ndarray
    known: np.ndarray
    upper: np.ndarray


@njit(cache=True, error_model="numpy")
def _plasma(time: float, terms: np.ndarray) -> float:
    total = 0.0
    for k in range(len(terms)):
        total += terms[k, 0] * math.exp(-terms[k, 1] * time)
    return total


@njit(cache=True, error_model="numpy")
def _tridiagonal(bands: np.ndarray, scale: float, right: np.ndarray, upper: np.ndarray) -> None:
    """Solve (I - scale A) x = right in place, A by bands; diagonally dominant, so no pivoting."""
    size = right.size
    pivot = 1.0 - scale * bands[1, 0]
    right[0] /= pivot
    for i in range(1, size):
        upper[i] = -scale * bands[0, i] / pivot
        below = -scale * bands[2, i - 1]
        pivot = 1.0 - scale * bands[1, i] - below * upper[i]
        right[i] = (right[i] - below * right[i - 1]) / pivot
    for i in range(size - 2, -1, -1):
        right[i] -= upper[i + 1] * right[i + 1]


@njit(cache=True, error_model="numpy")
def _rest(free: np.ndarray, cp: float, sphere: Sphere, slope: np.ndarray) -> None:
    """Slopes of what cells hold, of what entered and of what left, at free concentrations."""
    size = free.size
    entered, left = 0.0, 0.0
    for i in range(size):
        slope[size + i] = sphere.uptake * free[i]
        entered += sphere.sums[0, i] * cp - sphere.sums[1, i] * free[i]
        left += sphere.sums[2, i] * free[i]
    slope[2 * size] = entered
    slope[2 * size + 1] = left


@njit(cache=True, error_model="numpy")
def _start(sphere: Sphere, work: _Work) -> None:
    """The slope at time zero, when the tumour is empty."""
    cp = _plasma(0.0, sphere.plasma)
    for i in range(sphere.gain.size):
        work.slopes[0, i] = sphere.gain[i] * cp
    _rest(work.free, cp, sphere, work.slopes[0])


@njit(cache=True, error_model="numpy")
def _stages(time: float, step: float, sphere: Sphere, work: _Work) -> None:
    """Slopes (6, state) of one step, the first given."""
    size = sphere.gain.size
    for stage in range(1, 6):
        cp = _plasma(time + NODES[stage] * step, sphere.plasma)
        for i in range(size):
            total = 0.0
            for before in range(stage):
                total += STAGES[stage, before] * work.slopes[before, i]
            work.known[i] = work.state[i] + step * total
            work.free[i] = work.known[i] + GAMMA * step * sphere.gain[i] * cp
        _tridiagonal(sphere.bands, GAMMA * step, work.free, work.upper)
        for i in range(size):
            work.slopes[stage, i] = (work.free[i] - work.known[i]) / (GAMMA * step)
        _rest(work.free, cp, sphere, work.slopes[stage])


@njit(cache=True, error_model="numpy")
def _advance(step: float, work: _Work, tolerance: tuple[float, float]) -> float:
    """`trial` becomes the state after the step; the largest local error over that allowed."""
    worst = 0.0
    for i in range(work.state.size):
        total, error = 0.0, 0.0
        for stage in range(6):
            total += LAST[stage] * work.slopes[stage, i]
            error += DEFECT[stage] * work.slopes[stage, i]
        work.trial[i] = work.state[i] + step * total
        if i < work.state.size - 2:
            allowed = tolerance[1] + tolerance[0] * max(abs(work.state[i]), abs(work.trial[i]))
            worst = max(worst, abs(step * error) / allowed)
    return worst


@njit(cache=True, error_model="numpy", nogil=True)
def solve(
    sphere: Sphere, times: np.ndarray, tolerance: tuple[float, float], found: np.ndarray
) -> None:
    """Fill `found` (t, 2 n + 2) with free, bound, entered and left; rows not reached stay as is."""
    size = sphere.gain.size
    work = _Work(
        np.zeros(2 * size + 2), np.zeros(2 * size + 2), np.zeros((6, 2 * size + 2)),
        np.zeros(size), np.zeros(size), np.zeros(size),
    )  # fmt: skip
    _start(sphere, work)
    time, taken = 0.0, 0
    step = FIRST_SHARE / max(np.max(np.abs(sphere.bands[1])), 1e-300)
    for row in range(times.size):
        while time < times[row]:
            taken += 1
            if taken > MOST_STEPS:
                return
            last = time + 1.0000001 * step >= times[row]
            now = times[row] - time if last else step
            _stages(time, now, sphere, work)
            worst = _advance(now, work, tolerance)
            following = next_step(now, worst)
            if not worst <= 1.0:
                step = following
                continue
            time = times[row] if last else time + now
            work.state[:] = work.trial
            work.slopes[0] = work.slopes[5]
            step = max(step, following) if last else following
        found[row] = work.state
